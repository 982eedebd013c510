"""A client of HTTP/2 over TLS, as far as opening and leaving streams needs it."""

from __future__ import annotations

import asyncio
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = 1  # a flag; on HEADERS it is END_STREAM
END_HEADERS = 4
CANCEL = 8
HEADER = struct.Struct(">BHBBI")  # length in 24 bits, type, flags, stream
# GET and https from the static table of RFC 7541, then :authority and :path.
FIELDS = b"\x82\x87\x01\x09localhost\x04"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


class Session:
    """One connection; its certificate is not checked."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.last = -1

    @classmethod
    async def connect(cls, port: int) -> Session:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        ends = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        session = cls(*ends)
        session.writer.write(PREFACE + frame(SETTINGS, 0, 0))
        return session

    async def open(self, path: bytes) -> int:
        """A new stream, on which the first bytes of the body have come."""
        self.last += 2
        fields = FIELDS + bytes((len(path),)) + path
        flags = ACK | END_HEADERS
        self.writer.write(frame(HEADERS, flags, self.last, fields))
        while True:
            kind, stream, payload = await self.receive()
            if stream == self.last and kind == RST_STREAM:
                raise OSError(f"reset with code {int.from_bytes(payload)}")
            if stream == self.last and kind == DATA and payload:
                return stream

    async def receive(self) -> tuple[int, int, bytes]:
        """The next frame, answered where it wants to be."""
        header = await self.reader.readexactly(HEADER.size)
        high, low, kind, flags, stream = HEADER.unpack(header)
        payload = await self.reader.readexactly(high << 16 | low)
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.writer.write(frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind == GOAWAY:
            raise OSError(f"the server ends the connection: {payload[8:]!r}")
        return kind, stream, payload

    def leave(self, stream: int) -> None:
        code = CANCEL.to_bytes(4)
        self.writer.write(frame(RST_STREAM, 0, stream, code))
