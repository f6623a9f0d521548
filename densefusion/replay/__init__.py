"""Rejects and dead letters, put back where they came from.

`origin` reads from a reject or a dead letter the message that it once was; `selection` says which
are meant, and which have no way back; `marks` remembers what has been put back; `putting` publishes
both in one transaction; `replay` goes through a topic with all of these, and `reading` reads it to
the end that it had when the reading began.
"""

from densefusion.replay.claims import Claims
from densefusion.replay.replay import Kind, Replay
from densefusion.replay.report import Outcome, Report
from densefusion.replay.selection import Selection

__all__ = ["Claims", "Kind", "Outcome", "Replay", "Report", "Selection"]
