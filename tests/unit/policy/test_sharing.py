"""Which clients get one upstream stream together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.framing import response_body
from proxy.http1.grammar import is_authority
from proxy.http1.head import RequestHead
from proxy.policy.delivery import decide
from proxy.policy.sharing import may_join, may_share, share_group
from tests.unit.http1.heads import request, response

SECRET = b"s" * 32
BY = ["Authorization", "Cookie"]
EVENT_STREAM = b"Content-Type: text/event-stream"


def asked(
    *lines: bytes,
    path: bytes = b"/events?a",
    host: bytes = b"h",
    method: bytes = b"GET",
) -> RequestHead:
    return request(
        b"Host: " + host, *lines, start=b"%b %b HTTP/1.1" % (method, path)
    )  # fmt: skip


def group(head: RequestHead, *by: str) -> bytes | None:
    return share_group(head, head.target, by or BY, SECRET)


# -- the group of a request


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(asked(), asked(), id="the same"),
        pytest.param(
            asked(b"Cookie: a=1", b"Accept-Language: de"),
            asked(b"Accept-Language: en", b"cookie: a=1"),
            id="fields that do not count",
        ),
        pytest.param(asked(b"Accept: text/event-stream"), asked(), id="Accept"),
        pytest.param(asked(b"Origin: http://a"), asked(), id="Origin"),
        pytest.param(asked(b"Content-Length: 0"), asked(), id="an empty body"),
        pytest.param(asked(host=b"H"), asked(), id="case of the host"),
        pytest.param(
            asked(), asked(b"Upgrade: h2c", b"Connection: Upgrade"), id="h2c, not taken"
        ),
    ],
)
def test_requests_that_ask_the_same_are_one_group(
    one: RequestHead, other: RequestHead
) -> None:
    assert group(one) == group(other) is not None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(asked(path=b"/events"), id="no query"),
        pytest.param(asked(path=b"/events?A"), id="another query"),
        pytest.param(asked(path=b"/Events?a"), id="another path"),
        pytest.param(asked(path=b"/%65vents?a"), id="as it was written"),
        pytest.param(asked(host=b"tenant2"), id="another host"),
        pytest.param(asked(host=b"h:8080"), id="another port"),
        pytest.param(asked(b"Authorization: a"), id="another user"),
        pytest.param(asked(b"Authorization:"), id="an empty user"),
        pytest.param(asked(b"Cookie: a=1"), id="another cookie"),
        pytest.param(
            asked(b"Authorization: a", b"Authorization: b"), id="all values of a field"
        ),
    ],
)
def test_requests_that_differ_in_what_counts_are_not(other: RequestHead) -> None:
    assert group(other) not in (None, group(asked()))


def test_the_named_fields_decide() -> None:
    one, other = asked(b"X-Room: 1", b"Cookie: a=1; b=1"), asked(b"Cookie: a=1; b=2")
    assert group(one, "cookie:a") == group(other, "cookie:a")
    assert group(one, "cookie:b") != group(other, "cookie:b")
    assert group(one, "X-Room") != group(other, "X-Room")
    assert share_group(one, b"/", [], SECRET) == share_group(other, b"/", [], SECRET)


def test_the_host_is_that_of_the_target_if_it_names_one() -> None:
    """RFC 9112 §3.2.2: absolute-form replaces Host."""
    absolute = asked(path=b"http://h/events?a", host=b"other")
    assert share_group(absolute, b"/events?a", BY, SECRET) == group(asked())


@pytest.mark.parametrize(
    "head",
    [
        *(
            pytest.param(asked(method=method), id=method.decode())
            for method in (b"HEAD", b"POST", b"OPTIONS", b"QUERY", b"get")
        ),
        pytest.param(asked(b"Content-Length: 5"), id="a body"),
        pytest.param(asked(b"Content-Length: 00"), id="a length that is odd"),
        pytest.param(asked(b"Transfer-Encoding: chunked"), id="a chunked body"),
        pytest.param(asked(b"Range: bytes=5-"), id="a range"),
        pytest.param(asked(b"Last-Event-ID: 5"), id="what it has already"),
        pytest.param(asked(b"Last-Event-ID:"), id="an empty one"),
        pytest.param(asked(path=b"/?lastEventID=5"), id="the same in the query"),
        pytest.param(asked(path=b"/?lastEvent%49D=5"), id="the same, encoded"),
        pytest.param(
            asked(b"Upgrade: websocket", b"Connection: Upgrade"), id="a WebSocket"
        ),
        pytest.param(asked(b"Mcp-Session-Id: a"), id="MCP: one stream, one client"),
        pytest.param(asked(b"MCP-Protocol-Version: 2025-06-18"), id="MCP by version"),
        pytest.param(asked(b"Authorization: Negotiate a"), id="a connection's user"),
    ],
)
def test_a_request_for_something_of_its_own_has_no_group(head: RequestHead) -> None:
    assert group(head) is None


def test_a_group_shows_no_value_and_depends_on_the_secret() -> None:
    head = asked(b"Cookie: topsecret")
    one = group(head)
    assert one is not None
    assert len(one) == 32
    assert one != share_group(head, head.target, BY, b"another")


@given(st.text("h1:/", min_size=1), st.text("h1:/"), st.data())
def test_host_and_path_cannot_pass_for_each_other(
    host: str, path: str, data: st.DataObject
) -> None:
    """Wherever one ends and the other begins."""
    text = host + path
    cut = data.draw(st.integers(0, len(text)))
    groups = {
        share_group(
            RequestHead(b"GET", b"/", 1, [(b"Host", text[:at].encode())]),
            text[at:].encode(),
            [],
            SECRET,
        )
        for at in (len(host), cut)
        if is_authority(text[:at].encode())
    }
    both = is_authority(host.encode()) and is_authority(text[:cut].encode())
    assert not both or len(groups) == (1 if cut == len(host) else 2)


# -- the response


def shared(
    *lines: bytes,
    by: list[str] = BY,
    status: int = 200,
    head: RequestHead | None = None,
    decode: bool = True,
) -> bool:
    answer = response(*lines, start=b"HTTP/1.1 %d x" % status)
    body = response_body(answer, b"GET")
    delivery = decide(answer, body, "streams" if decode else "never")
    return may_share(head or asked(), answer, delivery, by)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([EVENT_STREAM], id="events"),
        pytest.param([b"Content-Type: application/x-ndjson"], id="lines"),
        pytest.param([EVENT_STREAM, b"Content-Encoding: gzip"], id="decoded"),
        pytest.param([EVENT_STREAM, b"Cache-Control: private, no-store"], id="private"),
        pytest.param([EVENT_STREAM, b"Vary:"], id="varies by nothing"),
        pytest.param([EVENT_STREAM, b"Vary: accept-encoding, Accept"], id="negotiated"),
        pytest.param(
            [EVENT_STREAM, b"Vary: Cookie", b"vary: AUTHORIZATION"], id="what counts"
        ),
    ],
)
def test_a_stream_that_is_for_all_of_a_group_is_shared(lines: list[bytes]) -> None:
    assert shared(*lines)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="no type"),
        pytest.param([b"Content-Type: application/json"], id="JSON"),
        pytest.param([b"Content-Type: application/json-seq"], id="no known boundaries"),
        pytest.param([EVENT_STREAM, b"Content-Encoding: x"], id="coded"),
        pytest.param([EVENT_STREAM, b"Set-Cookie: a=b"], id="a cookie"),
        pytest.param([EVENT_STREAM, b"set-cookie:"], id="an empty one"),
        pytest.param([EVENT_STREAM, b"Vary: *"], id="varies by anything"),
        pytest.param([EVENT_STREAM, b"Vary: Cookie, *"], id="and by a field"),
        pytest.param([EVENT_STREAM, b"Vary: Origin"], id="varies by Origin"),
        pytest.param([EVENT_STREAM, b"Vary: Accept-Language"], id="by the language"),
        pytest.param([EVENT_STREAM, b"Vary: Cookie", b"Vary: X-A"], id="in two fields"),
        pytest.param([EVENT_STREAM, b"Content-Digest: a=:YQ==:"], id="a digest of all"),
        pytest.param([EVENT_STREAM, b"Mcp-Session-Id: a"], id="a session of MCP"),
        pytest.param(
            [EVENT_STREAM, b"Persistent-Auth: true"], id="a connection's user"
        ),
    ],
)
def test_a_response_that_is_for_one_client_is_not(lines: list[bytes]) -> None:
    assert not shared(*lines)


def test_only_a_whole_response_to_get_is_shared() -> None:
    assert not shared(EVENT_STREAM, status=206)
    assert not shared(EVENT_STREAM, status=500)
    assert not shared(EVENT_STREAM, head=asked(method=b"POST"))
    assert not shared(EVENT_STREAM, head=asked(b"Mcp-Session-Id: a"))
    assert not shared(EVENT_STREAM, b"Content-Encoding: gzip", decode=False)


def test_a_response_varies_only_by_what_tells_clients_apart() -> None:
    assert shared(EVENT_STREAM, b"Vary: Origin, X-Room", by=["x-ROOM", "Origin"])
    assert not shared(EVENT_STREAM, b"Vary: Authorization", by=[])
    # One cookie counts, and the response may depend on another one.
    assert not shared(EVENT_STREAM, b"Vary: Cookie", by=["cookie:sid"])


@pytest.mark.parametrize(
    ("accept", "joins"),
    [
        pytest.param(None, True, id="anything"),
        pytest.param(b"*/*", True, id="all types"),
        pytest.param(b"text/*;q=0.5", True, id="all types of text"),
        pytest.param(b"a/b, Text/Event-Stream ;q=1", True, id="the type"),
        pytest.param(b"application/x-ndjson", False, id="another type"),
        pytest.param(b"text/event-streams, text", False, id="similar types"),
    ],
)
def test_a_stream_that_varies_by_accept_is_for_those_who_accept_it(
    accept: bytes | None, joins: bool
) -> None:
    """RFC 9110 §12.5.1."""
    head = asked() if accept is None else asked(b"Accept: " + accept)
    assert may_join(head, response(EVENT_STREAM, b"Vary: Accept")) is joins
    assert may_join(head, response(EVENT_STREAM))
