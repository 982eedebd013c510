"""Sizes of messages: at a limit, beyond it, and before the end has come."""

from __future__ import annotations

import pytest

from proxy.config.model import ServerOptions
from proxy.config.route import RouteOptions
from proxy.errors import (
    MalformedResponse,
    ProxyError,
    RequestBodyTooLarge,
    RequestHeadTooLarge,
    RequestTargetTooLong,
)
from proxy.http1.chunked import ChunkedBody
from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import END_OF_HEAD
from proxy.http1.head import RequestHead
from proxy.policy.size_limits import (
    LINE_ROOM,
    MAX_RESPONSE_FIELDS,
    check_body,
    check_request_head,
    check_response_head,
    check_target,
)

LIMITS = ServerOptions(max_head_bytes=1024, max_target_bytes=100, max_fields=3)
NONE = ServerOptions(max_head_bytes=1024, max_target_bytes=0, max_fields=0)
LINE = b"GET / HTTP/1.1\r\n"


def judged(data: bytes, limits: ServerOptions) -> type[ProxyError] | None:
    try:
        check_request_head(data, data.find(END_OF_HEAD), limits)
    except ProxyError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(LINE + b"A: b\r\n" * 3 + b"\r\n", None, id="fields"),
        pytest.param(
            LINE + b"A: b\r\n" * 4 + b"\r\n", RequestHeadTooLarge, id="a field more"
        ),
        pytest.param(LINE + b"A: b\r\n" * 4, None, id="more of an unfinished head"),
        pytest.param(b"x" * (100 + LINE_ROOM), None, id="a line that may still end"),
        pytest.param(
            b"x" * (100 + LINE_ROOM + 4), RequestTargetTooLong, id="one that may not"
        ),
        pytest.param(
            b"x" * (100 + LINE_ROOM) + b"\r\n" + b"x" * 50, None, id="it has ended"
        ),
        pytest.param(
            LINE + b"A: " + b"x" * 1005 + b"\r\n\r\n", None, id="a head of 1024"
        ),
        pytest.param(
            LINE + b"A: " + b"x" * 1006 + b"\r\n\r\n", RequestHeadTooLarge, id="1025"
        ),
        pytest.param(
            LINE + b"A: " + b"x" * 1008, None, id="three bytes may be of its end"
        ),
        pytest.param(
            LINE + b"A: " + b"x" * 1009, RequestHeadTooLarge, id="but no more"
        ),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_a_head_has_its_limits(data: bytes, fault: type[ProxyError] | None) -> None:
    assert judged(data, LIMITS) is fault


def test_0_is_no_limit() -> None:
    assert judged(b"GET /" + b"x" * 900, NONE) is None
    assert judged(LINE + b"A: b\r\n" * 100 + b"\r\n", NONE) is None
    check_target(RequestHead(b"GET", b"/" * 900, 1, []), NONE)
    check_body(LengthBody(1 << 60), RouteOptions())
    check_response_head(b"x" * 1_000_000, -1, 0)


def test_a_target_has_its_limit() -> None:
    check_target(RequestHead(b"GET", b"/" * 100, 1, []), LIMITS)
    with pytest.raises(RequestTargetTooLong, match=r"100 bytes \(max_target_bytes\)"):
        check_target(RequestHead(b"GET", b"/" * 101, 1, []), LIMITS)


@pytest.mark.parametrize("body", [LengthBody(0), LengthBody(10), ChunkedBody()])
def test_a_body_may_be_as_long_as_the_limit_or_not_say(body: Body) -> None:
    check_body(body, RouteOptions(max_body_bytes=10))


def test_a_body_that_says_more_is_refused() -> None:
    with pytest.raises(RequestBodyTooLarge, match=r"10 bytes \(max_body_bytes\)"):
        check_body(LengthBody(11), RouteOptions(max_body_bytes=10))


def test_a_response_head_has_its_limits() -> None:
    line = b"HTTP/1.1 200 OK\r\n"
    fields = b"A: b\r\n" * MAX_RESPONSE_FIELDS
    check_response_head(line + fields + b"\r\n", len(line + fields) - 2, 1 << 20)
    more = line + fields + b"A: b\r\n"
    with pytest.raises(MalformedResponse, match="fields"):
        check_response_head(more + b"\r\n", len(more) - 2, 1 << 20)
    with pytest.raises(MalformedResponse, match="max_response_head_bytes"):
        check_response_head(line, -1, 10)
