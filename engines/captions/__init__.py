"""Caption engines: (image, prompt, what the experts found) into text."""

from engines.captions.engine import Captioned, CaptionEngine, CaptionTask, Refused, Unavailable

__all__ = ["CaptionEngine", "CaptionTask", "Captioned", "Refused", "Unavailable"]
