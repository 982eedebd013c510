"""What is known of a stream, as it stands in the server.

Read by the next version of this program as well, while a deploy goes on: what it does
not know it ignores, and what it misses has a default.
"""

from __future__ import annotations

import msgspec

from proxy.kept.shared_store import StreamEnd, StreamMeta


class MetaRecord(msgspec.Struct):
    """The same as `StreamMeta`, whose compiled form has no types that can be read."""

    id: bytes
    route: str
    resumes: bool
    shares: bool
    print: bytes
    names: list[tuple[str, str, bytes, bytes]]
    method: bytes
    target: bytes
    reconnects: bool
    status: int
    reason: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    codings: tuple[str, ...] = ()
    format: str | None = None
    stream: bool = True
    length: int | None = None
    ours: bool = False
    numbered: bool = False


class EndRecord(msgspec.Struct):
    """The same as `StreamEnd`."""

    state: str
    kind: str = ""
    text: str = ""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    last_piece: bytes = b""
    clean: bool = True


ENCODER = msgspec.msgpack.Encoder()
META = msgspec.msgpack.Decoder(MetaRecord)
END = msgspec.msgpack.Decoder(EndRecord)


class Malformed(Exception):
    """It is not what this version of the program can read."""


def encode_meta(meta: StreamMeta) -> bytes:
    """For the server."""
    return ENCODER.encode(meta._asdict())


def decode_meta(data: bytes) -> StreamMeta:
    """From the server.

    Raises:
        Malformed: there is something else.
    """
    try:
        return StreamMeta(**msgspec.structs.asdict(META.decode(data)))
    except msgspec.MsgspecError as error:
        raise Malformed(str(error)) from None


def encode_end(end: StreamEnd) -> bytes:
    """For the server."""
    return ENCODER.encode(end._asdict())


def decode_end(data: bytes) -> StreamEnd:
    """From the server.

    Raises:
        Malformed: there is something else.
    """
    try:
        return StreamEnd(**msgspec.structs.asdict(END.decode(data)))
    except msgspec.MsgspecError as error:
        raise Malformed(str(error)) from None
