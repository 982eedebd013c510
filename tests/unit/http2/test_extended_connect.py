"""WebSocket over HTTP/2 is the upgrade of HTTP/1.1, and back (RFC 8441)."""

from __future__ import annotations

import base64

import pytest

from proxy.http1.grammar import Fields
from proxy.http2.extended_connect import never_open
from proxy.http2.request_fields import request_content
from proxy.policy.response_plan import LENGTH, STREAM, TUNNEL, ResponsePlan
from proxy.policy.upgrade import is_extended_connect, is_upgrade
from tests.unit.http2.sections import WEBSOCKET, changed, head_of, read

HANDSHAKE: Fields = [
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-protocol", b"vite-hmr, chat"),
    (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
    (b"origin", b"https://a.example"),
]


def test_an_extended_connect_becomes_a_handshake_with_a_key() -> None:
    head = head_of([*WEBSOCKET, *HANDSHAKE], complete=False)
    assert (head.method, head.target, head.version) == (b"GET", b"/x?y", "2.0")
    *fields, (name, key) = head.fields
    assert fields == [
        (b"Host", b"a.example"),
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        *HANDSHAKE,
    ]
    assert name == b"Sec-WebSocket-Key"
    assert len(base64.b64decode(key, validate=True)) == 16
    assert is_upgrade(head)
    assert is_extended_connect(head)


def test_each_has_a_key_of_its_own_whatever_the_client_says() -> None:
    fields = [*WEBSOCKET, (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")]
    keys = {head_of(fields).get(b"sec-websocket-key") for _ in range(3)}
    assert len(keys) == 3
    assert b"dGhlIHNhbXBsZSBub25jZQ==" not in keys


def test_its_request_is_complete_for_the_upstream_may_switch_now() -> None:
    head = head_of(WEBSOCKET, complete=False)
    assert request_content(head, complete=False).complete


def test_the_name_of_the_protocol_is_of_any_case() -> None:
    request = read(changed(b":protocol", b"WebSocket", WEBSOCKET))
    assert request.protocol == b"websocket"
    assert request.error is None


@pytest.mark.parametrize("protocol", [b"connect-udp", b"webtransport", b"h2c"])
def test_another_protocol_is_answered_by_501(protocol: bytes) -> None:
    request = read(changed(b":protocol", protocol, WEBSOCKET), complete=False)
    assert request.error is not None
    assert request.error.status == 501
    assert protocol.decode() in str(request.error)
    assert request.head is not None
    assert request.head.method == b"CONNECT"


@pytest.mark.parametrize(
    ("status", "opens"),
    [(200, True), (204, True), (299, True), (302, False), (404, False)],
)
def test_a_response_that_is_no_tunnel_never_opens_one(status: int, opens: bool) -> None:
    plan = ResponsePlan(status, b"x", [(b"Content-Length", b"3")], LENGTH)
    sent = never_open(plan)
    assert (sent.status, sent.fields, sent.framing) == (
        501 if opens else status,
        plan.fields,
        LENGTH,
    )


def test_a_tunnel_and_a_stream_that_fails_are_as_they_are() -> None:
    for plan in (
        ResponsePlan(200, b"OK", [], TUNNEL),
        ResponsePlan(500, b"x", [], STREAM),
    ):
        assert never_open(plan) is plan
