"""Routes by host: the most exact host first, then the longest prefix."""

from __future__ import annotations

import pytest

from proxy.errors import MalformedRequest, NoRoute
from proxy.policy.routing import (
    Destination,
    HostRouter,
    Router,
    bare_host,
    names_above,
    router_of,
)
from proxy.policy.stream_identity import KeyPath, KeyPaths, of_host
from tests.unit.http1.heads import request

NAMES = [
    "/",
    "/v1",
    "a.example/",
    "a.example/v1",
    "b.example/only",
    "*.example/",
    "*.example/deep/x",
    "*.a.example/v1",
    "[::1]/",
    "127.0.0.1/v1",
]
ROUTER = router_of({name: name for name in NAMES})


@pytest.mark.parametrize(
    ("host", "path", "name"),
    [
        pytest.param(b"a.example", b"/", "a.example/", id="a host"),
        pytest.param(b"a.example:8080", b"/", "a.example/", id="its port is ignored"),
        pytest.param(b"a.example:", b"/", "a.example/", id="an empty port"),
        pytest.param(b"A.EXAMPLE", b"/", "a.example/", id="and its case"),
        pytest.param(b"a.example.", b"/", "a.example/", id="and the dot at its end"),
        pytest.param(b"a.example.:80", b"/", "a.example/", id="and both"),
        pytest.param(b"a.example", b"/v1/x", "a.example/v1", id="the longest prefix"),
        pytest.param(b"a.example", b"/v10", "a.example/", id="by segments"),
        pytest.param(b"a.example", b"*", "a.example/", id="OPTIONS *"),
        pytest.param(b"c.example", b"/v1", "*.example/", id="a name below"),
        pytest.param(b"d.c.example", b"/", "*.example/", id="two labels below"),
        pytest.param(b"x.a.example", b"/v1", "*.a.example/v1", id="the nearest name"),
        pytest.param(b"x.a.example", b"/", "*.example/", id="then the next"),
        pytest.param(b"b.example", b"/only/x", "b.example/only", id="a path of it"),
        pytest.param(b"b.example", b"/v1", "*.example/", id="else the names below"),
        pytest.param(b"a.example", b"/deep/x", "a.example/", id="host before length"),
        pytest.param(b"example", b"/v1", "/v1", id="the name itself is not below it"),
        pytest.param(b"xexample", b"/v1", "/v1", id="nor what only ends so"),
        pytest.param(b".example", b"/v1", "/v1", id="nor an empty label"),
        pytest.param(b"a..example", b"/v1", "/v1", id="nor one in the middle"),
        pytest.param(b"other", b"/v1", "/v1", id="all hosts"),
        pytest.param(None, b"/v1", "/v1", id="no host"),
        pytest.param(b"", b"/", "/", id="an empty host"),
        pytest.param(b"[::1]:8080", b"/v1", "[::1]/", id="IPv6"),
        pytest.param(b"[0:0:0:0:0:0:0:1]", b"/", "[::1]/", id="IPv6 at length"),
        pytest.param(b"127.0.0.1:1", b"/v1", "127.0.0.1/v1", id="IPv4"),
        pytest.param(b"127.0.0.1", b"/", "/", id="a host hides no other route"),
        pytest.param(b"a%2Eexample", b"/", "/", id="bytes are compared as they came"),
        pytest.param(b"*.example", b"/", "*.example/", id="the wildcard as a name"),
    ],
)
def test_the_most_exact_host_then_the_longest_prefix(
    host: bytes | None, path: bytes, name: str
) -> None:
    assert ROUTER.at(Destination(path, host)) == name


def test_routes_stand_in_the_order_in_which_they_are_asked() -> None:
    hosts = [name.partition("/")[0] for name in ROUTER.routes]
    kinds = [2 if not h else 1 if h.startswith("*.") else 0 for h in hosts]
    assert kinds == sorted(kinds)
    below = [host for host in hosts if host.startswith("*.")]
    assert below == ["*.a.example", "*.example", "*.example"]
    assert ROUTER.prefixes == sorted(NAMES)


def test_a_path_of_no_route_names_host_and_routes() -> None:
    router = router_of({"a.example/v1": 1, "/x": 2})
    with pytest.raises(NoRoute) as caught:
        router.at(Destination(b"/v1?key=secret", b"b.example:1"))
    words = "no route for 'b.example/v1'; configured: /x, a.example/v1"
    assert str(caught.value) == words


def test_dot_segments_leave_no_prefix_of_a_host() -> None:
    with pytest.raises(MalformedRequest, match="dot"):
        ROUTER.at(Destination(b"/v1/../x", b"a.example"))


def test_without_hosts_the_router_looks_at_none() -> None:
    plain = router_of({"/": 1, "/a": 2})
    assert type(plain) is Router
    assert plain.at(Destination(b"/a", b"not looked at\xff")) == 2
    assert type(ROUTER) is HostRouter


@pytest.mark.parametrize("labels", [127, 128, 30_000])
def test_a_name_of_many_labels_takes_no_long_time(labels: int) -> None:
    """Names above it are made of a name that can exist, and of no other."""
    host = b".".join([b"a"] * labels)
    assert len(names_above(host)) == (labels - 1 if labels == 127 else 0)
    assert ROUTER.at(Destination(b"/v1", host)) == "/v1"


def test_brackets_that_hold_no_address_stay_as_they_are() -> None:
    assert bare_host(b"[v1.X]:80") == b"[v1.x]:80"


def test_a_path_with_a_key_is_that_of_its_host() -> None:
    kinds = [(name, b"path", "/chat/{key}") for name in ("/", "*.b/", "a.b/", "c/")]
    paths = KeyPaths(kinds)
    found = {
        host: paths.match(b"/chat/7", host)
        for host in (b"a.b", b"x.b:1", b"C", b"other", None)
    }
    assert found == {
        b"a.b": KeyPath("a.b/", b"path", b"7"),
        b"x.b:1": KeyPath("*.b/", b"path", b"7"),
        b"C": KeyPath("c/", b"path", b"7"),
        b"other": KeyPath("/", b"path", b"7"),
        None: KeyPath("/", b"path", b"7"),
    }


def test_a_key_of_one_host_is_found_by_no_other() -> None:
    alone = KeyPaths([("a.b/", b"path", "/chat/{key}")])
    assert alone.match(b"/chat/7", b"x.b") is None
    assert alone.match(b"/chat/7") is None


def test_names_of_streams_have_the_host_where_a_route_has_many() -> None:
    head = request(b"Host: One.example:80")
    assert of_host("*.example/", head, b"v") == b"one.example/v"
    assert of_host("one.example/", head, b"v") == b"v"
    assert of_host("/", head, b"v") == b"v"
