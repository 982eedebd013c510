"""What the heads of both sides ask of their connections."""

from __future__ import annotations

import pytest

from proxy.policy.messages import (
    IDEMPOTENT,
    is_agreed,
    is_upgrade,
    stays_in_step,
    takes_trailers,
    wants_keep_alive,
)
from tests.unit.http1.heads import request, response

WEBSOCKET = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")


# -- upgrades (RFC 9110 §7.8)


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


@pytest.mark.parametrize(
    ("lines", "minor", "kept"),
    [
        pytest.param([], 1, True, id="1.1"),
        pytest.param([b"Connection: close"], 1, False, id="1.1 close"),
        pytest.param([b"Connection: x, CLOSE"], 1, False, id="among others"),
        pytest.param([b"Connection: a", b"Connection: close"], 1, False, id="repeated"),
        pytest.param([b"Connection: keep-alive, close"], 1, False, id="both"),
        pytest.param([b"Connection: keep-alive"], 1, True, id="1.1 keep-alive"),
        pytest.param([b"Connection: closed"], 1, True, id="another word"),
        pytest.param([], 0, False, id="1.0"),
        pytest.param([b"Connection: Keep-Alive"], 0, True, id="1.0 keep-alive"),
        pytest.param([b"Connection: keep-alive, close"], 0, False, id="1.0 both"),
    ],
)
def test_a_connection_is_kept_as_rfc_9112_says(
    lines: list[bytes], minor: int, kept: bool
) -> None:
    """RFC 9112 §9.3, both ways."""
    assert wants_keep_alive(request(*lines, start=b"GET / HTTP/1.%d" % minor)) is kept
    answer = response(*lines, start=b"HTTP/1.%d 200 OK" % minor)
    assert wants_keep_alive(answer) is kept


@pytest.mark.parametrize(
    ("status", "lines", "minor", "kept"),
    [
        pytest.param(200, [], 1, True, id="usual"),
        pytest.param(200, [b"Connection: close"], 1, False, id="close"),
        pytest.param(200, [], 0, False, id="1.0"),
        pytest.param(204, [], 1, True, id="204"),
        pytest.param(204, [b"Content-Length: 0"], 1, True, id="204 of length 0"),
        pytest.param(204, [b"Content-Length: 5"], 1, False, id="204 of length 5"),
        pytest.param(204, [b"Transfer-Encoding: chunked"], 1, False, id="204 chunked"),
        pytest.param(204, [b"Connection: close"], 1, False, id="204 close"),
        pytest.param(304, [b"Content-Length: 5"], 1, True, id="304 of length 5"),
    ],
)
def test_an_upstream_that_may_be_out_of_step_is_not_asked_again(
    status: int, lines: list[bytes], minor: int, kept: bool
) -> None:
    """Some send a body with 204; it would be read as the next response."""
    start = b"HTTP/1.%d %d x" % (minor, status)
    assert stays_in_step(response(*lines, start=start)) is kept


@pytest.mark.parametrize(
    ("lines", "minor", "taken"),
    [
        pytest.param([b"TE: trailers"], 1, True, id="trailers"),
        pytest.param([b"TE: deflate;q=0.5, Trailers"], 1, True, id="among others"),
        pytest.param([b"TE: trailers"], 0, False, id="1.0 has no chunks"),
        pytest.param([b"TE: gzip"], 1, False, id="another word"),
        pytest.param([], 1, False, id="none"),
    ],
)
def test_trailers_are_for_who_wants_them(
    lines: list[bytes], minor: int, taken: bool
) -> None:
    head = request(b"Host: a", *lines, start=b"GET / HTTP/1.%d" % minor)
    assert takes_trailers(head) is taken


def test_only_idempotent_methods_may_be_sent_twice() -> None:
    """RFC 9110 §9.2.2; a method that is unknown is not."""
    assert {b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"} == IDEMPOTENT
