"""Unbuffered: the reverse proxy that never holds a piece of a stream."""

__version__ = "0.1.0"
