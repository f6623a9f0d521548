"""The boxes of the stream: the worker loop, and one module for each stage."""
