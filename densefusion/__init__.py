"""DenseFusion as a stream: image URLs in, hyper-detailed captions out."""

__version__ = "0.1.0"
