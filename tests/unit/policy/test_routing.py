"""Which route a request takes, and which requests take none."""

from __future__ import annotations

import re

import pytest

from proxy.errors import MalformedRequest, NoRoute
from proxy.policy.routing import Destination, Router, destination
from tests.unit.http1.heads import request

PREFIXES = ["/sse", "/sse/deep", "/API", "/%7Euser", "/a.b", "/a"]
ROUTER = Router({prefix: prefix for prefix in PREFIXES})
WITH_ROOT = Router({prefix: prefix for prefix in [*PREFIXES, "/"]})

MATCHES = {
    b"/sse": "/sse",
    b"/sse/": "/sse",
    b"/sse/events": "/sse",
    b"/sse?a=/b": "/sse",
    b"/sse/?": "/sse",
    b"/sse//x": "/sse",
    b"/sse/%2F": "/sse",
    b"/sse/deep": "/sse/deep",
    b"/sse/deep/x?y": "/sse/deep",
    b"/sse/deeper": "/sse",
    b"/sse/Deep": "/sse",
    b"/API/x": "/API",
    b"/%7Euser/x": "/%7Euser",
    b"/a.b": "/a.b",
    b"/a": "/a",
    b"/a/b": "/a",
}
NO_MATCH = [
    pytest.param(b"/sset", id="no segment boundary"),
    pytest.param(b"/sse%2Fevents", id="an encoded slash is no boundary"),
    pytest.param(b"/sse;v=1", id="nor is a parameter"),
    pytest.param(b"/ss", id="half of a prefix"),
    pytest.param(b"/SSE", id="case counts"),
    pytest.param(b"/api/x", id="case counts both ways"),
    pytest.param(b"//sse", id="an empty segment first"),
    pytest.param(b"/x/sse", id="a prefix inside, CVE-2026-55602"),
    pytest.param(b"/x?/sse/", id="a prefix in the query"),
    pytest.param(b"/%73se", id="the same letter, encoded"),
    pytest.param(b"/~user/x", id="the same path, decoded"),
    pytest.param(b"/axb", id="a dot is a dot"),
    pytest.param(b"/", id="the root"),
    pytest.param(b"/?", id="the root with a query"),
    pytest.param(b"*", id="OPTIONS *"),
]


@pytest.mark.parametrize(("path", "prefix"), MATCHES.items())
def test_the_longest_prefix_on_a_segment_boundary_wins(
    path: bytes, prefix: str
) -> None:
    assert ROUTER.match(path) == prefix
    assert WITH_ROOT.match(path) == prefix


@pytest.mark.parametrize("path", NO_MATCH)
def test_what_no_prefix_matches_takes_the_root_or_none(path: bytes) -> None:
    """RFC 9110 §9.3.7: `*` is the server as a whole, so it is the root's."""
    assert WITH_ROOT.match(path) == "/"
    with pytest.raises(NoRoute) as caught:
        ROUTER.match(path)
    assert caught.value.status == 404


def test_a_path_without_a_route_is_told_of_the_routes_but_not_of_its_query() -> None:
    with pytest.raises(NoRoute) as caught:
        Router({"/b": 1, "/a": 2}).match(b"/x\xff?key=secret")
    assert str(caught.value) == r"no route for '/x\\xff'; configured: /a, /b"


def test_without_any_route_nothing_matches() -> None:
    with pytest.raises(NoRoute, match="no route for '/'; configured: "):
        Router[str]({}).match(b"/")


def test_routes_are_listed_longest_first_and_prefixes_in_order() -> None:
    router = Router({"/a": 1, "/": 2, "/a/b": 3})
    assert router.routes == [3, 1, 2]
    assert router.prefixes == ["/", "/a", "/a/b"]


def test_the_order_of_the_configuration_does_not_count() -> None:
    for prefixes in (PREFIXES, PREFIXES[::-1]):
        router = Router({prefix: prefix for prefix in prefixes})
        assert router.match(b"/sse/deep") == "/sse/deep"


# -- request-target and Host (RFC 9112 §3.2)


@pytest.mark.parametrize(
    ("start", "path", "authority"),
    [
        pytest.param(b"GET /a?b HTTP/1.1", b"/a?b", b"own", id="origin-form"),
        pytest.param(b"GET //a HTTP/1.1", b"//a", b"own", id="two slashes"),
        pytest.param(b"GET /a://b HTTP/1.1", b"/a://b", b"own", id="a URL in a path"),
        pytest.param(b"OPTIONS * HTTP/1.1", b"*", b"own", id="asterisk-form"),
        pytest.param(b"GET http://h/a?b HTTP/1.1", b"/a?b", b"h", id="absolute-form"),
        pytest.param(b"GET HTTPS://h:1/ HTTP/1.1", b"/", b"h:1", id="case, port"),
        pytest.param(b"GET http://h HTTP/1.1", b"/", b"h", id="no path"),
        pytest.param(b"GET http://h?a/b HTTP/1.1", b"/?a/b", b"h", id="query only"),
        pytest.param(b"GET http://h/?a HTTP/1.1", b"/?a", b"h", id="root and query"),
        pytest.param(b"GET http://[::1]:8/a HTTP/1.1", b"/a", b"[::1]:8", id="IPv6"),
        pytest.param(b"GET http://h//a HTTP/1.1", b"//a", b"h", id="slashes kept"),
        pytest.param(
            b"GET http://h/?u=http://i/ HTTP/1.1",
            b"/?u=http://i/",
            b"h",
            id="URL in it",
        ),
        pytest.param(
            b"OPTIONS http://h HTTP/1.1", b"*", b"h", id="OPTIONS, RFC 9112 3.2.4"
        ),
        pytest.param(b"OPTIONS http://h/ HTTP/1.1", b"/", b"h", id="OPTIONS of a path"),
        pytest.param(b"OPTIONS http://h? HTTP/1.1", b"/?", b"h", id="OPTIONS, query"),
    ],
)
def test_the_target_says_what_is_asked_for(
    start: bytes, path: bytes, authority: bytes
) -> None:
    """RFC 9112 §3.2.2: the authority of an absolute target replaces Host."""
    head = request(b"Host: own", start=start)
    assert destination(head) == Destination(path, authority)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"*", id="* is for OPTIONS only"),
        pytest.param(b"a:443", id="authority-form is for CONNECT only"),
        pytest.param(b"a/b", id="no leading slash"),
        pytest.param(b"?a", id="query only"),
        pytest.param(b"\\a", id="backslash"),
        pytest.param(b"ftp://a/", id="another scheme"),
        pytest.param(b"ws://a/", id="WebSocket scheme: an upgrade is an http URL"),
        pytest.param(b"://a/", id="no scheme"),
        pytest.param(b"http", id="nothing but a scheme"),
        pytest.param(b"http:/a", id="one slash"),
        pytest.param(b"http:///a", id="no authority"),
        pytest.param(b"http://", id="nothing behind the scheme"),
        pytest.param(b"http://?a", id="a query for an authority"),
        pytest.param(b"http://u@a/", id="user information, RFC 9110 4.2.4"),
        pytest.param(b"http://u:p@a/", id="password"),
        pytest.param(b"http://a:b/", id="port that is no number"),
        pytest.param(b"http://a\\b/", id="backslash in the authority"),
        pytest.param(b"http://[::1/", id="open bracket"),
        pytest.param(b"http://\xff/", id="no ASCII"),
    ],
)
def test_an_odd_target_is_refused(target: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"^invalid (request target|authority)"):
        destination(request(b"Host: a", start=b"GET %b HTTP/1.1" % target))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param([], "the Host header is missing", id="none, RFC 9112 3.2"),
        pytest.param([b"Host: a", b"Host: b"], "'a, b'", id="two, CVE-2026-34525"),
        pytest.param([b"Host: a", b"host: a"], "'a, a'", id="two equal ones"),
        pytest.param([b"Host:", b"Host:"], "', '", id="two empty ones"),
        pytest.param([b"Host:"], "''", id="empty, RFC 9110 4.2.1"),
        pytest.param([b"Host: :80"], "':80'", id="only a port"),
        pytest.param([b"Host: a, b"], "'a, b'", id="a list"),
        pytest.param([b"Host: u@a"], "'u@a'", id="user information"),
        pytest.param([b"Host: a/b"], "'a/b'", id="path"),
        pytest.param([b"Host: a b"], "'a b'", id="space"),
        pytest.param([b"Host: a:b"], "'a:b'", id="port that is no number"),
        pytest.param([b"Host: http://a"], "'http://a'", id="a URL"),
        pytest.param([b"Host: \xff"], r"'\\xff'", id="no ASCII"),
        pytest.param([b"Host: <script>"], "'<script>'", id="markup, CVE-2026-14631"),
    ],
)
@pytest.mark.parametrize("target", [b"/", b"http://good/"])
def test_exactly_one_valid_host_is_wanted(
    lines: list[bytes], words: str, target: bytes
) -> None:
    """Even where the target names the authority (RFC 9112 §3.2)."""
    with pytest.raises(MalformedRequest, match=re.escape(words)) as caught:
        destination(request(*lines, start=b"GET %b HTTP/1.1" % target))
    assert caught.value.status == 400


def test_http_1_0_needs_no_host_but_a_valid_one() -> None:
    assert destination(request(start=b"GET / HTTP/1.0")) == Destination(b"/", None)
    with pytest.raises(MalformedRequest, match="invalid or repeated Host"):
        destination(request(b"Host: a/b", start=b"GET / HTTP/1.0"))
