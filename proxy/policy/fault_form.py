"""The form in which an upstream with faults sends its bytes: how they are cut and held.

    compress    gzip, held until the compressor gives something
    coalesce    held until so many bytes are together
    split       reads end inside a character, and between CR and LF
    drip        few bytes at a time

In this order. What `coalesce` holds goes out before a wait or an end; what a compressor
holds is lost with a connection that breaks.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from proxy.config.fault_options import COALESCED, Fault
from proxy.policy.fault_steps import (
    Complete,
    Drip,
    End,
    Fin,
    MadeStep,
    Send,
    Wait,
)

CR: Final = 0x0D
LF: Final = 0x0A
GZIP: Final = 16 + zlib.MAX_WBITS


class ResponseForm:
    """The steps of one body, in the form that its faults give them.

    `count`: complete events so far; `over`: nothing follows. `length`: what
    Content-Length says, if that is wrong.
    """

    def __init__(self, faults: Mapping[str, Fault], random: Random) -> None:
        self.faults = faults
        self.random = random
        self.out: list[MadeStep] = []
        self.write = bytearray()  # what is sent as one: a piece has many events
        self.count = 0
        self.over = False
        self.sent = 0  # bytes
        self.length = -1
        self.compressor: Any = None
        self.together = bytearray()  # what `coalesce` holds
        self.drip_left = 0  # bytes of the present write; 0: the next one
        self.last = 0  # byte that was sent
        self.cut_character = self.cut_line = False  # in this event
        self.until_cut = -1  # bytes of a character

    def taken(self) -> list[MadeStep]:
        """The steps that were made."""
        self.end_write()
        out, self.out = self.out, []
        return out

    def compress(self) -> None:
        """Have the body compressed."""
        self.compressor = zlib.compressobj(wbits=GZIP)

    def event_ended(self) -> None:
        """One more event is complete."""
        self.count += 1
        self.cut_character = self.cut_line = False

    # -- ends, and waits

    def wait(self, seconds: float) -> None:
        """Send nothing for a time."""
        self.flush()
        self.then(Wait(seconds))

    def break_off(self, end: End) -> None:
        """End before the body is complete. What a compressor holds is lost."""
        self.flush()
        self.then(end)
        self.over = True

    def finish(self) -> None:
        """End well, if Content-Length allows it."""
        if self.compressor is not None:
            self.send_coded(self.compressor.flush())
        self.flush()
        self.then(Complete() if self.length in (-1, self.sent) else Fin())
        self.over = True

    def then(self, step: MadeStep) -> None:
        """This comes behind all that was written."""
        self.end_write()
        self.out.append(step)

    def end_write(self) -> None:
        """What follows is a write of its own."""
        if self.write:
            self.out.append(Send(bytes(self.write)))
            self.write.clear()

    # -- the form

    def send(self, data: bytes) -> None:
        """Bytes of the body as the upstream has them."""
        if self.compressor is not None:
            data = self.compressor.compress(data)  # mostly nothing
        self.send_coded(data)

    def send_coded(self, data: bytes) -> None:
        """The same as they are sent."""
        if not data:
            return
        coalesce = self.faults.get("coalesce")
        if coalesce is None or self.count < coalesce.after:
            self.send_cut(data)
            return
        size = coalesce.size or COALESCED
        self.together += data
        while len(self.together) >= size:
            whole = bytes(self.together[:size])
            del self.together[:size]
            self.send_cut(whole)
            self.end_write()

    def flush(self) -> None:
        """Nothing that could go out is held any longer."""
        if self.together:
            whole = bytes(self.together)
            self.together.clear()
            self.send_cut(whole)

    def send_cut(self, data: bytes) -> None:
        """Cut inside characters and between CR and LF, once each in an event."""
        split = self.faults.get("split")
        if split is None or self.count < split.after:
            self.send_dripping(data)
            self.last = data[-1]
            return
        start = 0
        if self.until_cut > 0 or not (self.cut_character and self.cut_line):
            for at, byte in enumerate(data):
                if self.cuts_before(byte):
                    self.send_dripping(data[start:at])
                    self.then(Wait(split.seconds))
                    start = at
                self.last = byte
        self.send_dripping(data[start:])
        self.last = data[-1]

    def cuts_before(self, byte: int) -> bool:
        """Does a read end before this byte?"""
        if byte == LF:
            self.until_cut = -1
            cuts = self.last == CR and not self.cut_line
            self.cut_line = self.cut_line or cuts
            return cuts
        if 0x80 <= byte < 0xC0:
            self.until_cut -= 1
            return self.until_cut == 0
        self.until_cut = -1
        if byte >= 0xC2 and not self.cut_character:
            self.cut_character = True
            continuing = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
            self.until_cut = self.random.randint(1, continuing)
        return False

    def send_dripping(self, data: bytes) -> None:
        """Few bytes at a time."""
        if not data:
            return
        self.sent += len(data)
        drip = self.faults.get("drip")
        if drip is None or self.count < drip.after:
            self.write += data
            return
        size = drip.size or 1
        first = self.drip_left or size
        self.then(Drip(data, first, size, drip.seconds))
        missing = first - len(data)
        self.drip_left = missing if missing > 0 else missing % size
