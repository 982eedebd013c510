"""A WebSocket as the doctor reads it, whole and byte by byte."""

from __future__ import annotations

import zlib

import pytest

from proxy.record.websocket_messages import MessageReader, WebSocketMessage, frame
from proxy.tools.doctor.probe.websocket_body import WebSocketBody
from proxy.tools.doctor.probe.websocket_reader import WebSocketReader, accepted
from proxy.tools.doctor.probe.websocket_reader import frame as ours

TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9


def sent(opcode: int, payload: bytes) -> bytes:
    return frame(WebSocketMessage(opcode, payload), masked=False)


def squeezed(payload: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
    whole = bytearray(sent(TEXT, data.removesuffix(b"\0\0\xff\xff")))
    whole[0] |= 0x40
    return bytes(whole)


STREAM = (
    sent(TEXT, b"one")
    + sent(PING, b"still there?")
    + sent(TEXT, b'{"two":\n2}')
    + b"\x01\x02th"  # a message in two frames
    + b"\x80\x03ree"
    + squeezed(b"four")
    + sent(TEXT, b"")
    + sent(CLOSE, b"\x03\xe8bye")
)


@pytest.mark.parametrize("step", [1, 7, len(STREAM)])
def test_each_message_is_a_line(step: int) -> None:
    answers: list[bytes] = []
    body = WebSocketBody(answers.append)
    found = b"".join(
        body.feed(STREAM[start : start + step]) for start in range(0, len(STREAM), step)
    )
    assert found == b'one\n{"two": 2}\nthree\nfour\n(empty)\n'
    assert answers == [frame(WebSocketMessage(0xA, b"still there?"), masked=True)]
    assert (body.complete, body.error) == (True, None)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        pytest.param(b"\x03\xe8", None, id="normal"),
        pytest.param(b"\x03\xe9", None, id="going away"),
        pytest.param(b"", None, id="no code"),
        pytest.param(b"\x03\xf3oops", "it was closed with 1011 (oops)", id="failed"),
        pytest.param(b"\x03\xf0", "it was closed with 1008", id="refused"),
    ],
)
def test_how_it_was_closed(payload: bytes, error: str | None) -> None:
    body = WebSocketBody(lambda _: None)
    body.feed(sent(CLOSE, payload))
    assert (body.complete, body.error) == (error is None, error)


def test_a_connection_that_ends_without_a_close_frame_was_cut() -> None:
    body = WebSocketBody(lambda _: None)
    assert body.end() == "no Close frame (no ping came until then)"
    body.feed(sent(PING, b""))
    assert body.end() == "no Close frame (1 ping came until then)"
    body.feed(sent(CLOSE, b""))
    assert body.end() is None


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("masked", [True, False])
def test_a_frame_of_any_length_is_read_as_it_was_written(
    size: int, masked: bool
) -> None:
    """By the doctor's own reader, and by that of the records."""
    payload = bytes(size)
    whole = ours(TEXT, payload, masked=masked)
    assert list(WebSocketReader().feed(whole + b"\x81")) == [(TEXT, payload)]
    assert list(MessageReader().read(whole)) == [(TEXT, payload)]


def test_a_mask_is_taken_off() -> None:
    """The example of RFC 6455 §5.7."""
    masked = bytes.fromhex("818537fa213d7f9f4d5158")
    assert list(WebSocketReader().feed(masked)) == [(TEXT, b"Hello")]


def test_the_key_of_the_standard_has_its_answer() -> None:
    """RFC 6455 §1.3."""
    assert accepted(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_message_without_end_is_not_waited_for() -> None:
    body = WebSocketBody(lambda _: None)
    body.feed(b"\x81\x7f" + b"\xff" * 8)
    assert body.error == "what came are no frames of a WebSocket"


def test_what_is_no_websocket_is_told() -> None:
    body = WebSocketBody(lambda _: None)
    body.feed(b"\xc1\x05hello")  # not compressed, though it says so
    assert body.error == "what came are no frames of a WebSocket"
