"""The response that goes to the client: its framing is always our own."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from proxy.config.route import FieldRules
from proxy.http1.framing import response_body
from proxy.http1.head import ResponseHead, parse_response_head
from proxy.policy.delivery import decide
from proxy.policy.response_plan import STREAM, TERMS, ResponsePlanner
from tests.unit.http1.heads import response
from tests.unit.policy.compiled import CompiledRoute, compiled

DATE = b"Thu, 01 Jan 1970 00:00:00 GMT"


def sent(
    *lines: bytes,
    start: bytes = b"HTTP/1.1 200 OK",
    method: bytes = b"GET",
    client_minor: int = 1,
    keep_alive: bool = True,
    route: CompiledRoute | None = None,
) -> ResponseHead:
    """The response to the client, read back strictly."""
    head = response(*lines, start=start)
    body = response_body(head, method)
    delivery = decide(head, body, "unless-no-transform")
    terms = TERMS[client_minor >= 1][keep_alive]
    plan = ResponsePlanner().final(
        head, body, delivery, route or compiled(), terms, lambda: DATE
    )
    assert parse_response_head(plan.text).fields == plan.all_fields
    return parse_response_head(plan.text)


def framing(head: ResponseHead) -> dict[bytes, bytes]:
    names = (b"content-length", b"transfer-encoding")
    return {name: head.index[name] for name in names if name in head.index}


SIZED = {b"content-length": b"5"}
CHUNKED = {b"transfer-encoding": b"chunked"}
FIELD = (b"Transfer-Encoding", b"chunked")
UNFRAMED: dict[bytes, bytes] = {}


@pytest.mark.parametrize(
    ("lines", "new", "old"),
    [
        pytest.param([b"Content-Length: 5"], SIZED, SIZED, id="known length"),
        pytest.param([b"Content-Length: 005"], SIZED, SIZED, id="leading zeros"),
        pytest.param([b"Content-Length: 5, 5"], SIZED, SIZED, id="a list: once"),
        pytest.param(
            [b"Content-Length: 5", b"content-length: 5"], SIZED, SIZED, id="twice: once"
        ),
        pytest.param(
            [b"Content-Length: 5", b"Connection: Content-Length"],
            SIZED,
            SIZED,
            id="Connection names it",
        ),
        pytest.param(
            [b"Content-Length: 0"],
            {b"content-length": b"0"},
            {b"content-length": b"0"},
            id="empty",
        ),
        pytest.param([b"Transfer-Encoding: chunked"], CHUNKED, UNFRAMED, id="chunked"),
        pytest.param([], CHUNKED, UNFRAMED, id="until the close"),
        pytest.param(
            [b"Content-Length: 5", b"Content-Encoding: gzip"],
            CHUNKED,
            UNFRAMED,
            id="decoded",
        ),
    ],
)
def test_a_response_is_framed_by_one_of_length_and_chunks(
    lines: list[bytes], new: dict[bytes, bytes], old: dict[bytes, bytes]
) -> None:
    """An HTTP/1.0 client knows no chunks: its body ends with the connection."""
    for status in (200, 404, 500):
        start = b"HTTP/1.1 %d x" % status
        assert framing(sent(*lines, start=start)) == new
        assert framing(sent(*lines, start=start, client_minor=0)) == old


@pytest.mark.parametrize(
    ("status", "method", "lines", "framed"),
    [
        pytest.param(
            200, b"HEAD", [b"Content-Length: 5"], SIZED, id="HEAD: what GET has"
        ),
        pytest.param(200, b"HEAD", [b"Content-Length: 5 ,5"], SIZED, id="HEAD, a list"),
        pytest.param(200, b"HEAD", [], UNFRAMED, id="HEAD, unknown"),
        pytest.param(
            200, b"HEAD", [b"Transfer-Encoding: chunked"], UNFRAMED, id="HEAD, chunked"
        ),
        pytest.param(
            200,
            b"HEAD",
            [b"Content-Length: 5", b"Content-Encoding: gzip"],
            SIZED,
            id="HEAD, coded",
        ),
        pytest.param(
            304, b"GET", [b"Content-Length: 5"], SIZED, id="304: what 200 has"
        ),
        pytest.param(304, b"GET", [], UNFRAMED, id="304"),
        pytest.param(
            304, b"GET", [b"Transfer-Encoding: chunked"], UNFRAMED, id="304, chunked"
        ),
        pytest.param(204, b"GET", [], UNFRAMED, id="204"),
        pytest.param(
            204, b"GET", [b"Content-Length: 0"], UNFRAMED, id="204, RFC 9110 8.6"
        ),
        pytest.param(204, b"GET", [b"Content-Length: 5"], UNFRAMED, id="204, wrong"),
        pytest.param(
            204, b"GET", [b"Transfer-Encoding: chunked"], UNFRAMED, id="204, chunked"
        ),
        pytest.param(204, b"HEAD", [b"Content-Length: 5"], UNFRAMED, id="204 to HEAD"),
    ],
)
def test_a_response_without_a_body_announces_none(
    status: int, method: bytes, lines: list[bytes], framed: dict[bytes, bytes]
) -> None:
    for minor in (0, 1):
        start = b"HTTP/1.1 %d x" % status
        head = sent(*lines, start=start, method=method, client_minor=minor)
        assert framing(head) == framed


def test_no_response_ever_has_both_framings_or_one_that_does_not_hold() -> None:
    """Whatever the upstream, the method and the client, our own readers agree."""
    framings: tuple[list[bytes], ...] = (
        [],
        [b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked"],
    )
    codings: tuple[list[bytes], ...] = (
        [],
        [b"Content-Encoding: gzip"],
        [b"Content-Encoding: x"],
    )
    statuses, methods = (200, 203, 204, 206, 304, 500), (b"GET", b"HEAD", b"POST")
    for lines, coding, status, method, minor in product(
        framings, codings, statuses, methods, (0, 1)
    ):
        start = b"HTTP/1.1 %d x" % status
        head = sent(*lines, *coding, start=start, method=method, client_minor=minor)
        assert len(framing(head)) <= 1
        assert response_body(head, method).complete == (
            method == b"HEAD" or status in (204, 304)
        )


@pytest.mark.parametrize(
    ("client_minor", "keep_alive", "connection"),
    [
        pytest.param(1, True, None, id="1.1 stays open unsaid"),
        pytest.param(1, False, b"close", id="1.1 close"),
        pytest.param(0, True, b"keep-alive", id="1.0 stays open if told"),
        pytest.param(0, False, b"close", id="1.0 close"),
    ],
)
def test_connection_is_ours_to_say(
    client_minor: int, keep_alive: bool, connection: bytes | None
) -> None:
    lines = (b"Connection: X-A, close", b"Keep-Alive: timeout=1", b"Content-Length: 5")
    head = sent(*lines, client_minor=client_minor, keep_alive=keep_alive)
    assert head.get(b"connection") == connection
    assert head.get(b"keep-alive") is None


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"HTTP/1.1 200 OK", id="usual"),
        pytest.param(b"HTTP/1.1 200 ", id="no reason"),
        pytest.param(b"HTTP/1.1 299 \xe4\tso", id="odd reason"),
        pytest.param(b"HTTP/1.1 999 Unknown", id="unknown status"),
    ],
)
def test_status_and_reason_go_on_as_they_came(start: bytes) -> None:
    head, came = sent(start=start), response(start=start)
    assert (head.status, head.reason) == (came.status, came.reason)


def test_our_version_is_1_1_and_via_has_the_upstreams() -> None:
    for client_minor in (0, 1):
        head = sent(start=b"HTTP/1.0 200 OK", client_minor=client_minor)
        assert head.minor == 1
        assert head.get(b"via") == b"1.0 unbuffered"


def test_a_date_is_added_only_where_there_is_none() -> None:
    """RFC 9110 §6.6.1."""
    assert sent().get(b"date") == DATE
    assert sent(b"date: Fri, 02 Jan 1970 00:00:00 GMT").get(b"date") == (
        b"Fri, 02 Jan 1970 00:00:00 GMT"
    )


def test_fields_keep_their_order_and_repetition() -> None:
    head = sent(
        b"Set-Cookie: a=1",
        b"Date: x",
        b'ETag: "strong"',
        b"set-cookie: b=2",
        b"WWW-Authenticate: A",
        b"WWW-Authenticate: B",
        b"Content-Length: 5",
    )
    assert head.fields == [
        (b"Set-Cookie", b"a=1"),
        (b"Date", b"x"),
        (b"ETag", b'"strong"'),
        (b"set-cookie", b"b=2"),
        (b"WWW-Authenticate", b"A"),
        (b"WWW-Authenticate", b"B"),
        (b"Via", b"1.1 unbuffered"),
        (b"Content-Length", b"5"),
    ]


def test_a_stream_is_labelled_for_the_next_hop() -> None:
    head = sent(b"Content-Type: text/event-stream", b"Cache-Control: no-cache")
    assert head.get(b"x-accel-buffering") == b"no"
    assert head.get(b"cache-control") == b"no-cache, no-transform"


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        pytest.param([b"Trailer: X-Sum"], b"X-Sum", id="RFC 9110 6.6.2"),
        pytest.param([b"Trailer: A", b"Connection: x"], b"A", id="another is named"),
        pytest.param([b"Trailer: A", b"Connection: Trailer"], None, id="hop-by-hop"),
    ],
)
@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"X: y"])
def test_trailers_are_announced_whether_or_not_they_follow(
    lines: list[bytes], kept: bytes | None, framing: bytes
) -> None:
    assert sent(*lines, framing).get(b"trailer") == kept


def test_the_rules_of_the_route_apply_last() -> None:
    rules = FieldRules(
        set={"Cache-Control": "no-store", "Server": "x"}, remove=["Via", "date"]
    )
    head = sent(b"Server: y", b"server: z", route=compiled(response=rules))
    assert head.get(b"server") == b"x"
    assert head.get(b"cache-control") == b"no-store"
    assert head.get(b"via") is None
    assert head.get(b"date") is None


def test_a_plan_says_the_same_before_and_after_it_is_written() -> None:
    """Once it is written, its fields are read from its text."""
    lines = [b"Content-Type: a", b"X-Empty:", b"Set-Cookie: a", b"Set-Cookie: b"]
    framings: tuple[list[bytes], ...] = ([], [b"Content-Length: 5"])
    starts = (b"HTTP/1.1 200 OK", b"HTTP/1.1 299 ")
    for more, start, terms in product(framings, starts, (*TERMS[0], *TERMS[1])):
        head = response(*lines, *more, start=start)
        body = response_body(head, b"GET")
        planner, route = ResponsePlanner(), compiled()
        delivery = planner.decide(head, body, route)
        plan = planner.final(head, body, delivery, route, terms, lambda: DATE)
        told = plan.fields, plan.all_fields, plan.line
        chunked = [FIELD] if plan.framing is STREAM else []
        assert [*plan.fields, *chunked, *plan.options] == plan.all_fields
        assert plan.text.startswith(plan.line)
        assert (plan.fields, plan.all_fields, plan.line) == told


def test_the_delivery_of_a_head_that_repeats_is_that_of_the_first() -> None:
    """One planner has seen all before; HEAD and another route change the answer."""
    routes = [compiled(), compiled()]
    routes[1].route = msgspec.structs.replace(routes[1].route, decode="never")
    heads = [
        response(b"Content-Encoding: gzip", b"Transfer-Encoding: chunked"),
        response(b"Content-Type: text/event-stream"),
        response(b"Content-Length: 5", b"Content-Encoding: gzip"),
        response(b"Content-Length: 0", b"Content-Encoding: gzip"),
    ]
    planner = ResponsePlanner()
    steps = list(product(heads, routes, (b"GET", b"HEAD")))
    for one, other in product(steps, steps):
        for head, route, method in (one, other):
            body = response_body(head, method)
            delivery = planner.decide(head, body, route)
            assert delivery == decide(head, body, route.route.decode)
            plan = planner.final(head, body, delivery, route, TERMS[1][1], lambda: DATE)
            fresh = ResponsePlanner().final(
                head, body, delivery, route, TERMS[1][1], lambda: DATE
            )
            assert plan.text == fresh.text


def test_the_same_head_again_is_decided_and_planned_once() -> None:
    """Else the test above would show nothing."""
    head, route, planner = response(b"Content-Length: 5"), compiled(), ResponsePlanner()
    plans = []
    for _ in range(2):
        body = response_body(head, b"GET")
        delivery = planner.decide(head, body, route)
        plans.append(
            planner.final(head, body, delivery, route, TERMS[1][1], lambda: DATE)
        )
    assert plans[0] is plans[1]
