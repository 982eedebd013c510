"""Bytes of a client, cut anywhere, as frames (RFC 9113 §3.4, §4.1).

The content of DATA is handed on as it comes, without waiting for the end of its frame,
and what comes of one stream at once is handed on in one piece. Other frames are handed
on whole. Each byte is looked at once, however finely it is cut.
"""

from __future__ import annotations

from abc import abstractmethod

from proxy.http2.faults import ConnectionFault
from proxy.http2.frames import (
    ACK,
    DATA,
    DEFAULT_WINDOW,
    END_STREAM,
    FRAME_HEADER,
    FRAME_SIZE_ERROR,
    HEADER_BYTES,
    LARGEST_NUMBER,
    PADDED,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS,
    SMALLEST_MAX_FRAME,
    kind_name,
)
from proxy.http2.stream_state import StreamState

FRAMES_AT_ONCE = 1000  # of a read: 2 to 5 ms. One of 256 KiB holds 29,000.
UNPACK = FRAME_HEADER.unpack_from


class FrameReader:
    """Takes reads of the socket, and calls what a session makes of them."""

    def __init__(self) -> None:
        self.preface = PREFACE  # what is missing of it
        self.settings_received = False
        self.in_block = False  # a header block has not ended
        self.closed = False  # nothing is read any more
        self.window = DEFAULT_WINDOW  # bytes of DATA that the peer may still send
        # More frames came at once than a turn of the loop has time for.
        self.behind = False
        self.left = b""  # for the next turn
        # A frame that is not all here, or its header, and how long it must be.
        self.begun = bytearray()
        self.needed = HEADER_BYTES
        # A DATA frame that is not all here: what is missing of it.
        self.missing = 0
        self.padding = 0
        self.flags = 0
        # Whose content that is, and that which is here: None if nobody wants it.
        self.target: StreamState | None = None
        self.parts: list[memoryview] = []

    def receive(self, data: bytes) -> None:
        """Take bytes of the peer. Must not be called from what it calls.

        While `behind`, it is to be called with nothing in the next turn of the loop.

        Raises:
            ConnectionFault: the caller tells the peer by `go_away`, and closes.
        """
        self.behind = False
        if self.closed:
            return
        try:
            if self.left:
                data, self.left = self.left + data, b""
            if self.begun:
                self.begun += data
                if len(self.begun) < self.needed:
                    return
                data = bytes(self.begun)
                self.begun.clear()
            if self.preface:
                data = self.read_preface(data)
            if data:
                self.read(data)
        except ConnectionFault:
            self.deliver()
            self.closed = True
            raise

    @property
    def in_frame(self) -> bool:
        """Has something begun, other than content, whose end is not here?"""
        return self.in_block or len(self.begun) > 0

    def read_preface(self, data: bytes) -> bytes:
        """Take the preface off; return what comes behind it."""
        size = min(len(data), len(self.preface))
        if data[:size] != self.preface[:size]:
            raise ConnectionFault(
                PROTOCOL_ERROR, "not the connection preface of HTTP/2"
            )
        self.preface = self.preface[size:]
        return data[size:]

    def read(self, data: bytes) -> None:
        """Take frames, from the first byte of `data` on."""
        view = memoryview(data)
        stop = len(data)
        start = self.read_on(view) if self.missing or self.padding else 0
        needed = HEADER_BYTES
        for _ in range(FRAMES_AT_ONCE):
            begin = start + HEADER_BYTES
            if begin > stop or self.closed:
                break
            high, low, kind, flags, number = UNPACK(data, start)
            size: int = high << 8 | low
            end = begin + size
            if kind == DATA and self.settings_received and not self.in_block:
                target = self.target
                if (
                    target is not None
                    and target.number == number
                    and not flags
                    and 0 < size <= target.window
                    and size <= target.expected
                    and size <= self.window
                    and size <= SMALLEST_MAX_FRAME
                    and end <= stop
                ):
                    # As in `read_data` and `data_begun`, for most frames of a body.
                    self.window -= size
                    target.window -= size
                    target.expected -= size
                    self.parts.append(view[begin:end])
                    start = end
                    continue
                if flags & PADDED and size > 0 and begin == stop:
                    needed = HEADER_BYTES + 1
                    break
                check_size(kind, size)
                start = self.read_data(view, begin, flags, number, size)
            else:
                check_size(kind, size)
                if end > stop:
                    needed = HEADER_BYTES + size
                    break
                self.read_frame(kind, flags, number, data[begin:end])
                start = end
        else:
            self.behind = stop - start >= HEADER_BYTES
        self.deliver()
        if self.behind:
            self.left = data[start:]
        elif start < stop:
            self.begun += view[start:]
            self.needed = needed

    def read_data(
        self, view: memoryview, start: int, flags: int, number: int, size: int
    ) -> int:
        """Take of a DATA frame what is here; return where that ends."""
        number &= LARGEST_NUMBER
        content = size
        if flags & PADDED:
            content = self.content_size(view, start, number, size)
            start += 1
        target = self.target
        if target is None or target.number != number:
            self.deliver()
            self.target = self.stream(number)
        self.data_begun(number, flags, size, content)
        end = start + content
        stop = len(view)
        if end > stop:
            if self.target is not None and start < stop:
                self.parts.append(view[start:])
            self.missing = end - stop
            self.padding = size - content - 1 if flags & PADDED else 0
            self.flags = flags
            return stop
        if content and self.target is not None:
            self.parts.append(view[start:end])
        if flags & (PADDED | END_STREAM):
            if flags & PADDED:
                end += size - content - 1
                if end > stop:
                    self.padding = end - stop
                    self.flags = flags
                    return stop
            if flags & END_STREAM:
                self.end_target()
        return end

    def read_on(self, view: memoryview) -> int:
        """Take more of a DATA frame that was cut; return where that ends."""
        size = min(self.missing, len(view))
        if size:
            self.missing -= size
            if self.target is not None:
                self.parts.append(view[:size])
        padding = min(self.padding, len(view) - size)
        self.padding -= padding
        if not self.missing and not self.padding and self.flags & END_STREAM:
            self.end_target()
        return size + padding

    def content_size(self, view: memoryview, start: int, number: int, size: int) -> int:
        """How much of a padded DATA frame is content (RFC 9113 §6.1)."""
        if size == 0:
            raise ConnectionFault(FRAME_SIZE_ERROR, "DATA without its padding")
        content: int = size - 1 - view[start]
        if content < 0:
            raise ConnectionFault(
                PROTOCOL_ERROR, f"DATA of stream {number}: padding too long"
            )
        return content

    def deliver(self) -> None:
        """Hand the content on that is here."""
        parts = self.parts
        if parts:
            self.parts = []
            if self.target is not None:
                self.content(
                    self.target,
                    bytes(parts[0]) if len(parts) == 1 else b"".join(parts),
                )

    def end_target(self) -> None:
        """A DATA frame that ends its stream is complete."""
        self.deliver()
        if self.target is not None:
            self.data_ended(self.target)

    def read_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Take a whole frame that is not DATA, or is where it must not be."""
        self.deliver()
        if not self.settings_received:
            if kind != SETTINGS or flags & ACK:
                raise ConnectionFault(
                    PROTOCOL_ERROR, f"{kind_name(kind)} as the first frame"
                )
            self.settings_received = True
        self.frame(kind, flags, number & LARGEST_NUMBER, payload)

    # -- what the session makes of it

    @abstractmethod
    def stream(self, number: int) -> StreamState | None:
        """The stream of that number, if it is not closed."""

    @abstractmethod
    def data_begun(self, number: int, flags: int, size: int, content: int) -> None:
        """The header of a DATA frame for `target`; sets that to None to drop it."""

    @abstractmethod
    def content(self, state: StreamState, data: bytes) -> None:
        """Content of a stream."""

    @abstractmethod
    def data_ended(self, state: StreamState) -> None:
        """The last DATA frame of a stream is complete."""

    @abstractmethod
    def frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Any other frame."""


def check_size(kind: int, size: int) -> None:
    """No frame is larger than we have allowed (RFC 9113 §4.2).

    Raises:
        ConnectionFault.
    """
    if size > SMALLEST_MAX_FRAME:
        raise ConnectionFault(FRAME_SIZE_ERROR, f"{kind_name(kind)} of {size} bytes")
