"""WebSocket frames of a client (RFC 6455 §5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.library.client_frames import (
    Arrived,
    FrameFault,
    Opcode,
    ServerFrames,
    client_frame,
    close_frame,
    masked,
)


def server_frame(first: int, payload: bytes) -> bytes:
    """A frame of a server: `first` is its first byte."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


STREAM = (
    server_frame(0x81, "größe".encode())
    + server_frame(0x01, b"one, ")
    + server_frame(0x89, b"in between")
    + server_frame(0x80, b"two")
    + server_frame(0x82, b"\xff" * 300)
    + server_frame(0x82, b"\x00" * 70000)
    + server_frame(0x8A, b"")
    + server_frame(0x88, b"\x03\xe8bye")
)
MESSAGES = [
    Arrived(Opcode.TEXT, "größe".encode(), "größe"),
    Arrived(Opcode.PING, b"in between"),
    Arrived(Opcode.TEXT, b"one, two", "one, two"),
    Arrived(Opcode.BINARY, b"\xff" * 300),
    Arrived(Opcode.BINARY, b"\x00" * 70000),
    Arrived(Opcode.PONG),
    Arrived(Opcode.CLOSE, b"\x03\xe8bye", "bye", 1000),
]


def test_frames_are_messages_however_they_are_cut() -> None:
    assert ServerFrames().feed(STREAM) == MESSAGES
    reader = ServerFrames()
    one_by_one = [
        each for i in range(len(STREAM)) for each in reader.feed(STREAM[i : i + 1])
    ]
    assert one_by_one == MESSAGES


@given(st.integers(0, len(STREAM)))
def test_frames_are_messages_at_any_cut(cut: int) -> None:
    reader = ServerFrames()
    assert reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:]) == MESSAGES


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\xc1\x00", 1002, id="an extension's bit"),
        pytest.param(client_frame(Opcode.TEXT, b"a"), 1002, id="masked"),
        pytest.param(b"\x83\x00", 1002, id="unknown opcode"),
        pytest.param(b"\x09\x00", 1002, id="a ping in parts"),
        pytest.param(b"\x89\x7e\x00\x7e", 1002, id="a long ping"),
        pytest.param(b"\x80\x00", 1002, id="a continuation of nothing"),
        pytest.param(b"\x01\x00\x81\x00", 1002, id="a message in another"),
        pytest.param(b"\x81\x01\xff", 1007, id="text that is not UTF-8"),
        pytest.param(b"\x88\x01\x03", 1002, id="half a close code"),
        pytest.param(b"\x88\x03\x03\xe8\xff", 1007, id="a reason that is not UTF-8"),
        pytest.param(b"\x82\x65", 1009, id="too big"),
        pytest.param(b"\x02\x40" + b"x" * 64 + b"\x80\x40", 1009, id="in parts"),
    ],
)  # fmt: skip
def test_what_a_server_may_not_send_is_a_fault(data: bytes, code: int) -> None:
    with pytest.raises(FrameFault) as caught:
        ServerFrames(most=100).feed(data)
    assert caught.value.code == code


@given(st.binary(max_size=200), st.binary(min_size=4, max_size=4))
def test_a_mask_is_taken_off_by_itself(payload: bytes, mask: bytes) -> None:
    assert masked(masked(payload, mask), mask) == payload
    assert masked(payload, mask) == bytes(
        byte ^ mask[i % 4] for i, byte in enumerate(payload)
    )


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_says_how_long_it_is(size: int) -> None:
    frame = client_frame(Opcode.BINARY, b"x" * size)
    assert frame[0] == 0x82
    assert frame[1] & 0x80
    taken_off = bytes((frame[0], frame[1] & 0x7F)) + frame[2:]
    begin = len(frame) - size - 4
    plain = taken_off[:begin] + masked(frame[begin + 4 :], frame[begin : begin + 4])
    assert ServerFrames().feed(plain) == [Arrived(Opcode.BINARY, b"x" * size)]


def test_a_close_says_no_code_where_none_can_be_on_the_wire() -> None:
    assert close_frame(1005)[1] == close_frame(1006)[1] == 0x80
    long = close_frame(1000, "ä" * 100)
    assert len(long) == 6 + 2 + 122  # whole characters, 125 bytes at most
