"""What a case is, and short ways to write one down.

`sent` comes after the preface and empty SETTINGS, unless it is `bare`. `log` is all
that the owners of the session and of its streams are told, `wrote` all that it sends
by itself, besides the acknowledgement of those, both as `recording` words them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.unit.http2.recording import START


@dataclass(frozen=True, slots=True)
class FrameCase:
    """`fault`: the code with which the connection ends, if it does."""

    name: str
    source: str
    sent: bytes
    log: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    fault: str = ""
    bare: bool = False

    @property
    def bytes(self) -> bytes:
        return self.sent if self.bare else START + self.sent


def understood(
    name: str,
    source: str,
    sent: bytes,
    *log: str,
    wrote: tuple[str, ...] = (),
    bare: bool = False,
) -> FrameCase:
    """The connection goes on, and nobody is at fault."""
    return FrameCase(name, source, sent, log, wrote, bare=bare)


def stream_fault(
    name: str,
    source: str,
    sent: bytes,
    code: str,
    *log: str,
    number: int = 1,
    wrote: tuple[str, ...] = (),
) -> FrameCase:
    """One stream is reset, the connection goes on."""
    return FrameCase(name, source, sent, log, (*wrote, f"RST {number} {code}"))


def fatal(
    name: str,
    source: str,
    sent: bytes,
    code: str,
    *log: str,
    wrote: tuple[str, ...] = (),
    bare: bool = False,
) -> FrameCase:
    """The connection ends."""
    return FrameCase(name, source, sent, log, wrote, code, bare)
