"""Which connections may serve another exchange (RFC 9112 §9.3)."""

from __future__ import annotations

import pytest

from proxy.http1.persistence import stays_in_step, wants_keep_alive
from tests.unit.http1.heads import request, response


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
