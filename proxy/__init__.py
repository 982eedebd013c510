"""Unbuffered: a streaming reverse proxy that never buffers a response."""

__version__ = "0.1.0"
