"""Frames of a WebSocket, cut anywhere: the examples of RFC 6455 §5.7, and Close."""

from __future__ import annotations

import pytest

from proxy.origin.websocket_frames import FrameScanner, close_frame

MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
FRAGMENTS = bytes.fromhex("010348656c80026c6f")
PING = bytes.fromhex("890548656c6c6f")
LONG = bytes.fromhex("827e0100") + bytes(256)
LONGER = bytes.fromhex("827f0000000000010000") + bytes(65536)
MASKED_CLOSE = bytes.fromhex("888237fa213d") + bytes([0x03 ^ 0x37, 0xE8 ^ 0xFA])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
def test_messages_are_counted_however_they_are_cut(size: int) -> None:
    data = MASKED_HELLO + FRAGMENTS + PING + LONG + LONGER
    scanner = FrameScanner()
    for at in range(0, len(data), size):
        assert not scanner.feed(data[at : at + size])
    assert scanner.messages == 4
    assert scanner.between


@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_close_is_told_with_its_status(size: int) -> None:
    data = PING + MASKED_CLOSE + b"\xff\xff"  # nothing counts behind it
    scanner = FrameScanner()
    told = [scanner.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert told[-1]
    assert scanner.status == b"\x03\xe8"


def test_a_close_may_be_empty() -> None:
    scanner = FrameScanner()
    assert scanner.feed(bytes.fromhex("888000000000"))
    assert scanner.status == b""
    assert close_frame(b"") == b"\x88\x00"


def test_between_two_frames_is_neither_in_a_head_nor_in_a_payload() -> None:
    scanner = FrameScanner()
    seen = []
    for byte in MASKED_HELLO:
        scanner.feed(bytes([byte]))
        seen.append(scanner.between)
    assert seen == [False] * 10 + [True]
