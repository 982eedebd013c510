"""What sources and sinks of pieces promise each other."""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields


class Receiver(Protocol):
    """Takes a body from a source, piece by piece."""

    @property
    def blocked(self) -> bool:
        """Should the source not be read for now?"""

    def piece(self, data: bytes) -> None:
        """The next piece; never empty."""

    def end(self, trailers: Fields) -> None:
        """The body is complete."""

    def broken(self, error: ProxyError) -> None:
        """The body will never be complete."""


class Feeder(Protocol):
    """Writes to a sink and wants to know whether its peer keeps up."""

    def sink_blocked(self) -> None:
        """More bytes wait than may."""

    def sink_ready(self) -> None:
        """The peer has read on."""


class Sink(Protocol):
    """Where pieces go: it frames them, and says whether its peer keeps up."""

    feeder: Feeder | None  # told when it does not, and when it does again
    blocked: bool

    def send_piece(self, piece: bytes) -> None:
        """Write one piece of the body, framed; never empty."""

    def send_end(self, trailers: Fields) -> None:
        """End the body."""


class ChunkedSink(Sink, Protocol):
    """A sink whose bodies are in the chunked coding of HTTP/1.1."""

    @property
    def transport(self) -> asyncio.Transport:
        """What a whole chunk may be written to as it is."""


class Source(Protocol):
    """Where pieces come from: it can be told to wait."""

    def pause_reading(self) -> None:
        """Take no more bytes from the peer for now."""

    def resume_reading(self) -> None:
        """Take bytes again."""


class TunnelEnd(Source, Sink, Protocol):
    """One end of a tunnel."""

    closed: bool

    @property
    def is_closing(self) -> bool:
        """Is it closed, or about to be?"""

    @property
    def half_closes(self) -> bool:
        """Can it end one direction alone? TLS cannot."""

    def send_fin(self) -> None:
        """End the direction to this peer, after all that was written."""
