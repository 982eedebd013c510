"""The request that goes to the upstream."""

from __future__ import annotations

import pytest

from proxy.config.route import FieldRules
from proxy.errors import MalformedRequest
from proxy.http1.framing import LengthBody, UntilCloseBody, request_body
from proxy.http1.head import RequestHead, parse_request_head
from proxy.policy.request_plan import (
    IDEMPOTENT,
    RequestPlanner,
    hops_left,
    takes_trailers,
)
from proxy.policy.routing import destination
from tests.unit.http1.heads import request
from tests.unit.policy.compiled import ADDRESS, CompiledRoute, compiled


def sent(
    *lines: bytes,
    start: bytes = b"GET /sse/x HTTP/1.1",
    route: CompiledRoute | None = None,
    upgrade: bool = False,
    trusted: bool = False,
) -> RequestHead:
    """The upstream request, read back as strictly as it would be from a client."""
    head = request(*lines, start=start)
    data = written(head, route or compiled(), upgrade=upgrade, trusted=trusted)
    return parse_request_head(data)


def written(
    head: RequestHead,
    ready: CompiledRoute,
    *,
    upgrade: bool = False,
    trusted: bool = False,
) -> bytes:
    """The upstream request."""
    where = destination(head)
    plan = RequestPlanner(ADDRESS, b"http").plan(
        head,
        request_body(head),
        ready,
        ready.route.targets[0],
        where.path,
        where.authority,
        trusted=trusted or ready.route.trust_forwarded,
        upgrade=upgrade,
    )
    return plan.text


def framing(head: RequestHead) -> dict[bytes, bytes]:
    """What a message says of its own framing and its connection."""
    names = (
        b"content-length", b"transfer-encoding", b"connection", b"te", b"upgrade"
    )  # fmt: skip
    return {name: head.index[name] for name in names if name in head.index}


# -- the request line


@pytest.mark.parametrize(
    ("target", "path"),
    [
        pytest.param(b"/sse/a%2Fb//../c+d?", b"/v1/a%2Fb//../c+d?", id="odd bytes"),
        pytest.param(b"/sse/\xe4\xff?\x80", b"/v1/\xe4\xff?\x80", id="0x80 and above"),
        pytest.param(b"/sse", b"/v1/", id="nothing left"),
        pytest.param(b"http://h/sse/x", b"/v1/x", id="absolute-form becomes a path"),
    ],
)
def test_the_path_goes_on_below_the_target(target: bytes, path: bytes) -> None:
    route = compiled("http://up/v1", path_rewrite={"^/sse": ""})
    assert sent(b"Host: a", start=b"GET %b HTTP/1.1" % target, route=route).target == (
        path
    )


def test_options_for_the_whole_server_stays_that() -> None:
    """RFC 9112 §3.2.4, in both forms."""
    route = compiled("http://up/v1")
    for target in (b"*", b"http://h"):
        start = b"OPTIONS %b HTTP/1.1" % target
        assert sent(b"Host: a", start=start, route=route).target == b"*"


@pytest.mark.parametrize(
    "method", [b"GET", b"HEAD", b"POST", b"PURGE", b"M-SEARCH", b"get"]
)
def test_any_method_goes_on_as_it_is(method: bytes) -> None:
    assert sent(b"Host: a", start=method + b" /sse HTTP/1.1").method == method


@pytest.mark.parametrize("minor", [0, 1, 9])
def test_our_version_is_1_1_whatever_came(minor: int) -> None:
    """RFC 9110 §6.2: an intermediary sends its own version."""
    assert sent(b"Host: a", start=b"GET /sse HTTP/1.%d" % minor).minor == 1


# -- Host


@pytest.mark.parametrize(
    ("lines", "target", "change_origin", "host"),
    [
        pytest.param([b"Host: a:1"], b"/", False, b"a:1", id="the client's"),
        pytest.param([b"Host: a:1"], b"/", True, b"up:9000", id="change_origin"),
        pytest.param([b"Host: a"], b"http://h:2/", False, b"h:2", id="absolute-form"),
        pytest.param([b"Host: a"], b"http://h/", True, b"up:9000", id="and changed"),
        pytest.param([b"HOST: a:1"], b"/", False, b"a:1", id="any case"),
    ],
)
def test_there_is_exactly_one_host_and_it_comes_first(
    lines: list[bytes], target: bytes, change_origin: bool, host: bytes
) -> None:
    route = compiled(change_origin=change_origin)
    head = sent(*lines, start=b"GET %b HTTP/1.1" % target, route=route)
    assert head.fields[0] == (b"Host", host)
    assert [name.lower() for name, _ in head.fields].count(b"host") == 1


def test_an_http_1_0_request_without_host_gets_the_targets() -> None:
    head = sent(start=b"GET / HTTP/1.0")
    assert head.get(b"host") == b"up:9000"
    assert head.get(b"x-forwarded-host") is None


def test_the_forwarded_host_is_the_one_that_was_asked_for() -> None:
    """RFC 9112 §3.2.2: the target's authority, not a Host that contradicts it."""
    for change_origin in (False, True):
        route = compiled(change_origin=change_origin)
        start = b"GET http://good/ HTTP/1.1"
        head = sent(b"Host: evil", start=start, route=route)
        assert head.get(b"x-forwarded-host") == b"good"
        assert b"evil" not in head.index.values()


def test_forwarded_fields_are_trusted_only_where_the_route_says_so() -> None:
    line = b"X-Forwarded-For: 10.0.0.1"
    assert sent(b"Host: a", line).get(b"x-forwarded-for") == b"192.0.2.7"
    for trusting in (
        sent(b"Host: a", line, route=compiled(trust_forwarded=True)),
        sent(b"Host: a", line, trusted=True),
    ):
        assert trusting.get(b"x-forwarded-for") == b"10.0.0.1, 192.0.2.7"


@pytest.mark.parametrize(
    ("line", "rewrite", "origin"),
    [
        pytest.param(b"Origin: http://a", False, b"http://a", id="off by default"),
        pytest.param(b"origin: http://a", True, b"http://up:9000", id="rewrite_origin"),
        pytest.param(b"Origin: null", True, b"null", id="null, RFC 6454 7.1"),
        pytest.param(b"X: y", True, None, id="none: none is invented"),
    ],
)
def test_the_origin_is_the_targets_only_where_the_route_says_so(
    line: bytes, rewrite: bool, origin: bytes | None
) -> None:
    head = sent(b"Host: a", line, route=compiled(rewrite_origin=rewrite))
    assert head.get(b"origin") == origin


def test_the_rules_of_the_route_apply() -> None:
    route = compiled(request=FieldRules(set={"X-Key": "k"}, remove=["Cookie"]))
    head = sent(b"Host: a", b"Cookie: b", route=route)
    assert head.get(b"x-key") == b"k"
    assert head.get(b"cookie") is None


# -- framing from scratch (RFC 9112 §6)


@pytest.mark.parametrize(
    ("lines", "framed"),
    [
        pytest.param([], {}, id="no body"),
        pytest.param(
            [b"Content-Length: 5"], {b"content-length": b"5"}, id="known length"
        ),
        pytest.param(
            [b"Content-Length: 0"], {b"content-length": b"0"}, id="empty on purpose"
        ),
        pytest.param(
            [b"content-length: 007"], {b"content-length": b"7"}, id="leading zeros"
        ),
        pytest.param(
            [b"Content-Length: 5", b"Content-Length: 5"],
            {b"content-length": b"5"},
            id="repeated: once",
        ),
        pytest.param(
            [b"Content-Length: 5, 5"], {b"content-length": b"5"}, id="a list: once"
        ),
        pytest.param(
            [b"Transfer-Encoding: Chunked"],
            {b"transfer-encoding": b"chunked"},
            id="chunked",
        ),
        pytest.param(
            [b"Transfer-Encoding: chunked", b"Connection: close, Transfer-Encoding"],
            {b"transfer-encoding": b"chunked"},
            id="chunked, and Connection names it",
        ),
        pytest.param(
            [b"Content-Length: 5", b"Connection: Content-Length"],
            {b"content-length": b"5"},
            id="known length, and Connection names it",
        ),
        pytest.param(
            [b"Connection: keep-alive", b"Keep-Alive: 1"], {}, id="keep-alive"
        ),
        pytest.param([b"Connection: close"], {}, id="close is for this hop"),
        pytest.param(
            [b"TE: gzip;q=0.5, Trailers", b"Connection: TE"],
            {b"connection": b"TE", b"te": b"trailers"},
            id="trailers are welcome, RFC 9110 10.1.4",
        ),
        pytest.param([b"TE: gzip", b"Connection: TE"], {}, id="no transfer coding is"),
        pytest.param(
            [b"Connection: Upgrade", b"Upgrade: websocket"],
            {},
            id="upgrade not allowed",
        ),
    ],
)
def test_the_framing_is_our_own(lines: list[bytes], framed: dict[bytes, bytes]) -> None:
    head = sent(b"Host: a", *lines, start=b"POST /sse HTTP/1.1")
    assert framing(head) == framed


def test_a_route_cannot_give_a_message_a_second_framing() -> None:
    """The configuration refuses such a rule; a Connection field is no way round."""
    head = sent(
        b"Host: a",
        b"Transfer-Encoding: chunked",
        b"Connection: X",
        b"X-Content-Length: 5",
        start=b"POST /sse HTTP/1.1",
    )
    assert framing(head) == {b"transfer-encoding": b"chunked"}


# -- upgrades (RFC 9110 §7.8)

WEBSOCKET = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")


def test_an_upgrade_goes_on_as_one() -> None:
    lines = (*WEBSOCKET, b"Sec-WebSocket-Key: x==", b"Sec-WebSocket-Version: 13")
    head = sent(b"Host: a", *lines, upgrade=True)
    assert framing(head) == {b"connection": b"Upgrade", b"upgrade": b"websocket"}
    assert head.get(b"sec-websocket-key") == b"x=="
    assert head.get(b"sec-websocket-version") == b"13"


@pytest.mark.parametrize(
    "lines",
    [
        [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c, WebSocket"],
        [b"Connection: Upgrade", b"Upgrade: H2C", b"Upgrade: WebSocket,HTTP/2.0"],
    ],
)
def test_http2_is_never_offered_to_the_upstream(lines: list[bytes]) -> None:
    """h2c smuggling: behind the upgrade no request would be seen any more."""
    head = sent(b"Host: a", *lines, b"HTTP2-Settings: x", upgrade=True)
    assert framing(head) == {b"connection": b"Upgrade", b"upgrade": b"WebSocket"}
    assert head.get(b"http2-settings") is None


# -- Max-Forwards (RFC 9110 §7.6.2)


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
@pytest.mark.parametrize(
    ("value", "left"),
    [(b"1", b"0"), (b"007", b"6"), (b"1000", b"999"), (b"9" * 5000, b"999")],
)
def test_hops_are_counted(method: bytes, value: bytes, left: bytes) -> None:
    lines = (b"Host: a", b"max-forwards: " + value, b"A: 1")
    head = sent(*lines, start=method + b" / HTTP/1.1")
    assert head.fields[1:3] == [(b"max-forwards", left), (b"A", b"1")]


def test_the_hops_of_other_methods_are_not_counted() -> None:
    assert sent(b"Host: a", b"Max-Forwards: 5").get(b"max-forwards") == b"5"
    assert sent(b"Host: a", b"Max-Forwards: x").get(b"max-forwards") == b"x"


def test_the_same_fields_of_another_method_are_not_written_alike() -> None:
    """A head shares what was written for the one before it."""
    first = request(b"Host: a", b"Max-Forwards: 5")
    again = first.again(b"TRACE", b"/")
    route = compiled()
    for head, hops in ((first, b"5"), (again, b"4"), (first, b"5")):
        assert b"Max-Forwards: %b\r\n" % hops in written(head, route)


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1, 1", b"1.0", b"\xb2", b"a"])
def test_hops_that_are_no_number_are_refused(value: bytes) -> None:
    head = request(b"Max-Forwards: " + value, start=b"OPTIONS * HTTP/1.1")
    with pytest.raises(MalformedRequest, match=r"^invalid Max-Forwards '"):
        hops_left(head)


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


def test_the_same_fields_with_another_framing_are_planned_anew() -> None:
    """Fields of HTTP/2 need not say whether there is content."""
    head, ready = request(b"Host: a"), compiled()
    planner, where = RequestPlanner(ADDRESS, b"http"), destination(head)
    chunked = [(b"transfer-encoding", b"chunked")]
    for body, expected in (
        (LengthBody(0), []),
        (UntilCloseBody(), chunked),
        (UntilCloseBody(), chunked),
        (LengthBody(0), []),
    ):
        plan = planner.plan(
            head,
            body,
            ready,
            ready.route.targets[0],
            where.path,
            where.authority,
            trusted=False,
            upgrade=False,
        )
        assert [*framing(parse_request_head(plan.text)).items()] == expected
