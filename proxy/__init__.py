"""Unbuffered: a streaming reverse proxy that never buffers a response.

The names for other programs are in the package `unbuffered`: `import unbuffered`. What
is here is its implementation.
"""

__version__ = "0.1.0"
