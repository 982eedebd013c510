"""Messages of a WebSocket, read from any split of its bytes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.record.websocket_messages import (
    BINARY,
    CLOSE,
    TEXT,
    MessageReader,
    WebSocketMessage,
    frame,
)


def read(*pieces: bytes) -> list[WebSocketMessage]:
    reader = MessageReader()
    return [message for piece in pieces for message in reader.read(piece)]


def deflated(*payloads: bytes) -> list[bytes]:
    """Payloads of one side (RFC 7692 §7.2.1)."""
    coder = zlib.compressobj(wbits=-15)
    return [
        (coder.compress(each) + coder.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for each in payloads
    ]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "plain"])
def test_a_message_comes_back_from_its_frame(size: int, masked: bool) -> None:
    message = WebSocketMessage(BINARY, bytes(size))
    assert read(frame(message, masked=masked)) == [message]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_messages_are_the_same_however_they_are_split(sizes: list[int]) -> None:
    messages = [
        WebSocketMessage(TEXT, b"abc"),
        WebSocketMessage(CLOSE, b""),
        WebSocketMessage(BINARY, b"x" * 200),
    ]
    data = b"".join(frame(each, masked=True) for each in messages)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    assert read(*pieces, data[at:]) == messages


def test_a_mask_is_removed() -> None:
    """The example of RFC 6455 §5.7."""
    data = bytes.fromhex("818537fa213d7f9f4d5158")
    assert read(data) == [WebSocketMessage(TEXT, b"Hello")]


def test_fragments_are_one_message_with_control_frames_between() -> None:
    data = bytes.fromhex("010348656c" + "8900" + "80026c6f")
    assert read(data) == [WebSocketMessage(9, b""), WebSocketMessage(TEXT, b"Hello")]


def test_compressed_messages_are_inflated_with_what_came_before() -> None:
    first, second = deflated(b"hello hello", b"hello hello")
    assert len(second) < len(first)
    frames = [bytes([0xC1, len(each)]) + each for each in (first, second)]
    assert read(*frames) == [WebSocketMessage(TEXT, b"hello hello")] * 2


def test_what_cannot_be_inflated_ends_the_reading() -> None:
    good = frame(WebSocketMessage(TEXT, b"a"), masked=False)
    reader = MessageReader()
    assert list(reader.read(bytes.fromhex("c102ffff") + good)) == []
    assert reader.over
