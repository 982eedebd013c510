"""How everything in the server is called.

All keys of a stream have the same hash tag, so that a cluster keeps them together.
"""

from __future__ import annotations


class Keys:
    """By `[store] prefix`. `stream`: see `Sealing.stream_name`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.encode("ascii")
        self.secret = self.prefix + b":secret"

    def meta(self, stream: bytes) -> bytes:
        """A hash: what is known of a stream."""
        return b"%b:{%b}:meta" % (self.prefix, stream)

    def log(self, stream: bytes, epoch: int) -> bytes:
        """A stream of the server: what one epoch has of a stream of ours."""
        return b"%b:{%b}:log:%d" % (self.prefix, stream, epoch)

    def name(self, name: bytes) -> bytes:
        """A sorted set: the streams of a name."""
        return b"%b:name:%b" % (self.prefix, name)

    def elected(self, name: bytes) -> bytes:
        """A string: the only stream of a name."""
        return b"%b:only:%b" % (self.prefix, name)

    def note(self, name: bytes) -> bytes:
        """A string: a short text."""
        return b"%b:note:%b" % (self.prefix, name)

    def node(self, node: bytes) -> bytes:
        """A string that expires when the node shows no more signs of life."""
        return b"%b:node:%b" % (self.prefix, node)

    def channel(self, node: bytes) -> bytes:
        """Where a node is told something."""
        return b"%b:to:%b" % (self.prefix, node)
