"""Hosts in the names of routes: what is one, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proxy.config.load import build, from_routes
from proxy.config.model import Config
from proxy.config.paths import check_route
from proxy.config.reader import Reader
from proxy.config.route_hosts import RoutePlace, route_place
from proxy.errors import ConfigError

LONG = "x" * 64


@pytest.mark.parametrize(
    ("name", "place"),
    [
        pytest.param("/v1", RoutePlace("", "/v1"), id="all hosts"),
        pytest.param(
            "api.example.com/v1", RoutePlace("api.example.com", "/v1"), id="a host"
        ),
        pytest.param("a.example/", RoutePlace("a.example", "/"), id="all paths"),
        pytest.param("*.a.example/", RoutePlace("*.a.example", "/"), id="names below"),
        pytest.param("localhost/x", RoutePlace("localhost", "/x"), id="localhost"),
        pytest.param("127.0.0.1/", RoutePlace("127.0.0.1", "/"), id="IPv4"),
        pytest.param("[::1]/a", RoutePlace("[::1]", "/a"), id="IPv6"),
        pytest.param("my_app/", RoutePlace("my_app", "/"), id="a container"),
        pytest.param(
            "xn--bcher-kva.example/", RoutePlace("xn--bcher-kva.example", "/"), id="IDN"
        ),
    ],
)
def test_a_route_may_have_a_host(name: str, place: RoutePlace) -> None:
    check_route(name)
    assert route_place(name) == place


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(
            "https://API.example:8443/v1", '"api.example/v1"', id="a scheme and more"
        ),
        pytest.param("http://[::1]:80/x", 'write "[::1]/x"', id="a scheme, IPv6"),
        pytest.param("a.example:443/", 'write "a.example/"', id="a port"),
        pytest.param("localhost:80", 'write "localhost/"', id="a port, no path"),
        pytest.param("API.example/v1", 'write "api.example/v1"', id="upper case"),
        pytest.param(
            "*.API.example/v1", 'write "*.api.example/v1"', id="upper case below"
        ),
        pytest.param(
            "bücher.example/x", 'write "xn--bcher-kva.example/x"', id="Unicode"
        ),
        pytest.param(
            "*.日本語.jp/", 'write "*.xn--wgv71a119e.jp/"', id="Unicode below"
        ),
        pytest.param("a\u200b.example/", 'write "a.example/"', id="no such name"),
        pytest.param("a.*.example/", "at the beginning of a host", id="* inside"),
        pytest.param("*a.example/", '"*.a.example/"', id="* in a label"),
        pytest.param("*/v1", 'write "/v1"', id="any host"),
        pytest.param("*./v1", 'write "/v1"', id="any host, with a dot"),
        pytest.param(
            ".a.example/v1", 'write "*.a.example/v1"', id="a dot first, as in nginx"
        ),
        pytest.param("::1/x", 'write "[::1]/x"', id="IPv6 bare"),
        pytest.param("[::1]:8080/x", 'write "[::1]/x"', id="IPv6 with a port"),
        pytest.param("[0:0::1]/", 'write "[::1]/"', id="IPv6 at length"),
        pytest.param("[fe80::1%eth0]/", 'write "[fe80::1]/"', id="an interface"),
        pytest.param("[x]/", "not a valid IPv6 address", id="not IPv6"),
        pytest.param("a..example/", 'write "a.example/"', id="an empty label"),
        pytest.param("a.example./", 'write "a.example/"', id="a dot at the end"),
        pytest.param("a.example", 'write "a.example/"', id="no path"),
        pytest.param("localhost", 'write "localhost/"', id="no path, one label"),
        pytest.param("me@a.example/", 'write "a.example/"', id="a user"),
        pytest.param("a.example, b.example/", "one table for each", id="a list"),
        pytest.param("a.example b.example/", "one table for each", id="spaces"),
        pytest.param("a.example?x/", "cannot contain a query", id="a query"),
        pytest.param(f"{LONG}.example/", "at most 63 letters", id="a long label"),
        pytest.param("a%2e.example/", "not a valid host name", id="an encoded byte"),
        pytest.param("a.example/v1/", 'write "a.example/v1"', id="a slash at the end"),
        pytest.param("a.example/v*", "cannot contain wildcards", id="* in the path"),
        pytest.param("a.example/é", 'example/%C3%A9"', id="a path not as sent"),
        pytest.param("a.example/../x", "dot segments", id="dots in the path"),
        pytest.param("sse", 'write "/sse"', id="a path without a slash"),
        pytest.param("^/api", 'write "/api"', id="a pattern"),
        pytest.param("~^api/", 'write "/api"', id="a pattern of nginx"),
    ],
)
def test_a_faulty_host_is_refused_with_what_to_write(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_route(name)
    assert words in str(caught.value)


def test_a_long_name_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 253 characters, got 255"):
        check_route(f"{'.'.join(['a' * 63] * 4)}/")


def built(*names: str) -> Config:
    tables = {name: {"target": "http://up:1"} for name in names}
    return build(Reader("config.toml", {}), {"routes": tables}, {})


def faults(routes: object) -> Sequence[str]:
    with pytest.raises(ConfigError) as caught:
        build(Reader("config.toml", {}), {"routes": routes}, {})
    return caught.value.faults


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("a.example/v1", "A.Example/v1", id="case of the host"),
        pytest.param("a.example/~x", "a.example/%7Ex", id="encoding of the path"),
        pytest.param("*.a.example/", "*.A.example/", id="names below"),
    ],
)
def test_the_same_host_and_path_twice_names_both(one: str, other: str) -> None:
    table = {"target": "http://up:1"}
    assert faults({one: table, other: table}) == [
        f'config.toml: [routes."{other}"] prefix: the same host and path as '
        f'[routes."{one}"]'
    ]


def test_one_path_of_several_hosts_is_several_routes() -> None:
    names = ["/v1", "a.example/v1", "b.example/v1", "*.example/v1"]
    config = built(*names)
    assert [*config.routes] == names
    assert {each.path for each in config.routes.values()} == {"/v1"}
    hosts = [each.host for each in config.routes.values()]
    assert hosts == ["", "a.example", "b.example", "*.example"]
    assert config.warnings == ()


def test_a_host_that_is_not_in_quotes_is_many_tables() -> None:
    tables = {"api": {"example": {"com": {"target": "http://up:1"}}}}
    assert faults(tables)[0] == (
        'config.toml: [routes."api"]: a host stands in quotes: write '
        '[routes."api.example.com/"]'
    )


def test_a_path_without_its_slash_is_told_to_be_a_host() -> None:
    config = built("api/v1", "localhost/v1", "intranet/", "a.example/v1")
    assert config.warnings == (
        'config.toml: [routes."api/v1"] prefix: is for the host api; for a path write '
        '"/api/v1"',
    )


def test_a_route_of_the_command_line_strips_the_path_alone() -> None:
    routes = from_routes({"a.example/v1": "http://up:1", "b.example/": "http://up:2"})
    rules = [each.path_rewrite for each in routes.routes.values()]
    assert rules == [{"^/v1": ""}, {}]


def test_paths_with_a_key_differ_within_a_host() -> None:
    def route(path: str) -> dict[str, object]:
        resume = {"key": "body:id", "bind": ["Cookie"], "path": path}
        return {"target": "http://up:1", "resume": resume}

    same = "/chat/{key}"
    build(
        Reader("", {}),
        {"routes": {"a.example/": route(same), "b.example/": route(same)}},
        {},
    )
    assert (
        "the same path as"
        in faults({"a.example/": route(same), "a.example/x": route(same)})[0]
    )
