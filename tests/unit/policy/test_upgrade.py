"""The switch to another protocol (RFC 9110 §7.8)."""

from __future__ import annotations

import pytest

from proxy.errors import MalformedResponse
from proxy.http1.head import HTTP2, RequestHead
from proxy.policy.upgrade import (
    check_answer,
    is_agreed,
    is_extended_connect,
    is_upgrade,
)
from tests.unit.http1.heads import request, response

WEBSOCKET = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")


@pytest.mark.parametrize(
    ("lines", "minor", "upgrade"),
    [
        pytest.param(WEBSOCKET, 1, True, id="websocket"),
        pytest.param(
            [b"connection: upgrade", b"UPGRADE: WebSocket"], 1, True, id="case"
        ),
        pytest.param([b"Connection: Upgrade", b"Upgrade: tls, x/1"], 1, True, id="any"),
        pytest.param(
            [b"Connection: Upgrade", b"Upgrade: h2c, a"], 1, True, id="h2c + a"
        ),
        pytest.param([b"Connection: Upgrade", b"Upgrade: h2c"], 1, False, id="h2c"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: H2C"], 1, False, id="H2C"),
        pytest.param(
            [b"Connection: Upgrade", b"Upgrade: HTTP/2.0, h2c"], 1, False, id="HTTP/2.0"
        ),
        pytest.param(
            [b"Upgrade: websocket"], 1, False, id="Connection does not say it"
        ),
        pytest.param([b"Connection: Upgrade"], 1, False, id="no protocol"),
        pytest.param(
            [b"Connection: Upgrade", b"Upgrade: ,"], 1, False, id="empty list"
        ),
        pytest.param(WEBSOCKET, 0, False, id="HTTP/1.0, RFC 9110 7.8"),
        pytest.param([], 1, False, id="none"),
    ],
)
def test_an_upgrade_is_asked_for_by_both_fields(
    lines: list[bytes], minor: int, upgrade: bool
) -> None:
    head = request(b"Host: a", *lines, start=b"GET / HTTP/1.%d" % minor)
    assert is_upgrade(head) is upgrade


@pytest.mark.parametrize(
    ("asked", "answered", "agreed"),
    [
        pytest.param(b"websocket", b"websocket", True, id="the same"),
        pytest.param(b"WebSocket", b"websocket", True, id="any case"),
        pytest.param(b"a, b", b"b", True, id="one of two"),
        pytest.param(b"a, b", b"a,b", True, id="a stack of both"),
        pytest.param(b"websocket", b"other", False, id="another"),
        pytest.param(b"websocket", b"websocket, other", False, id="one too many"),
        pytest.param(b"websocket", b"", False, id="empty"),
        pytest.param(b"websocket", None, False, id="none, CVE-2024-23326"),
        pytest.param(b"websocket, h2c", b"h2c", False, id="h2c, though offered"),
        pytest.param(b"websocket, http/2.0", b"HTTP/2.0", False, id="HTTP/2.0"),
    ],
)
def test_a_switch_is_agreed_on_only_if_it_was_offered(
    asked: bytes, answered: bytes | None, agreed: bool
) -> None:
    lines = [] if answered is None else [b"Upgrade: " + answered]
    switch = response(*lines, start=b"HTTP/1.1 101 Switching Protocols")
    assert is_agreed(request(b"Upgrade: " + asked), switch) is agreed


# -- what a request allows


# -- extended CONNECT (RFC 8441)

# RFC 6455 §1.3 has this key and what is made of it.
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
EXTENDED = RequestHead(
    b"GET",
    b"/",
    HTTP2,
    [(b"Host", b"a"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Key", KEY)],
)


def test_only_upgrade_in_a_head_of_http2_is_an_extended_connect() -> None:
    assert is_extended_connect(EXTENDED)
    assert not is_extended_connect(RequestHead(b"GET", b"/", HTTP2, []))
    assert not is_extended_connect(request(b"Host: a", *WEBSOCKET))


@pytest.mark.parametrize(
    ("status", "lines", "passes"),
    [
        pytest.param(101, [b"Sec-WebSocket-Accept: " + ACCEPT], True, id="right"),
        pytest.param(101, [b"sec-websocket-accept: " + ACCEPT], True, id="any case"),
        pytest.param(101, [], False, id="none"),
        pytest.param(101, [b"Sec-WebSocket-Accept:"], False, id="empty"),
        pytest.param(101, [b"Sec-WebSocket-Accept: " + KEY], False, id="the key"),
        pytest.param(
            101, [b"Sec-WebSocket-Accept: " + ACCEPT.lower()], False, id="case counts"
        ),
        pytest.param(
            101, [b"Sec-WebSocket-Accept: " + ACCEPT] * 2, False, id="two of them"
        ),
        pytest.param(200, [], False, id="200 would open it"),
        pytest.param(204, [], False, id="204 would open it"),
        pytest.param(299, [], False, id="299 would open it"),
        pytest.param(302, [b"Location: /"], True, id="a redirect"),
        pytest.param(401, [], True, id="a refusal"),
        pytest.param(426, [], True, id="not by GET alone"),
        pytest.param(502, [], True, id="a failure"),
    ],
)
def test_an_extended_connect_is_opened_by_the_right_handshake_alone(
    status: int, lines: list[bytes], passes: bool
) -> None:
    came = response(*lines, start=b"HTTP/1.1 %d x" % status)
    if passes:
        check_answer(EXTENDED, came)
        return
    with pytest.raises(MalformedResponse):
        check_answer(EXTENDED, came)
