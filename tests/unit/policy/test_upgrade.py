"""The switch to another protocol (RFC 9110 §7.8)."""

from __future__ import annotations

import pytest

from proxy.policy.upgrade import is_agreed, is_upgrade
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
