"""Destination of COPY and MOVE, in terms of the upstream."""

from __future__ import annotations

import pytest

from proxy.config.load import build
from proxy.config.reader import Reader
from proxy.errors import MalformedRequest
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.http1.framing import request_body
from proxy.http1.head import RequestHead, parse_request_head
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.webdav_destination import check_destination
from proxy.timeline import monotonic
from proxy.tools.explain.dry_run import Stopped
from tests.unit.http1.heads import request
from tests.unit.policy.compiled import ADDRESS

Routes = dict[str, dict[str, object]]
STRIPPED: Routes = {"/dav": {"target": "http://up:9000", "path_rewrite": {"^/dav": ""}}}
BASE: Routes = {
    "/dav": {"target": "http://up:9000/files", "path_rewrite": {"^/dav": "/v1"}}
}
AS_IT_IS: Routes = {"/dav": {"target": "http://up:9000"}}
SEVERAL: Routes = {
    **STRIPPED,
    "/dav/same": {"target": "http://up:9000/base"},
    "/dav/other": {"target": "http://other:9000"},
}
PUBLIC = b"http://public:8080"


def routed(routes: Routes, **options: object) -> CompiledRoute:
    """The route `/dav`, among others; `options` are those of each."""
    tables = {prefix: {**each, **options} for prefix, each in routes.items()}
    document: dict[str, object] = {"server": {"port": 1}, "routes": tables}
    config = build(Reader("", {}), document, {})
    compiled = CompiledRoutes(config, Stopped(monotonic))
    return compiled.router.match(b"/dav")


def sent(
    route: CompiledRoute,
    *lines: bytes,
    method: bytes = b"MOVE",
    host: bytes = b"public:8080",
    trusted: bool = False,
) -> RequestHead:
    """The request as the route's first target gets it."""
    head = request(b"Host: " + host, *lines, start=method + b" /dav/a HTTP/1.1")
    written = (
        RequestPlanner(ADDRESS, b"http")
        .plan(
            head,
            request_body(head),
            route,
            route.route.targets[0],
            b"/dav/a",
            host,
            trusted=trusted or route.route.trust_forwarded,
            upgrade=False,
        )
        .text
    )
    return parse_request_head(written)


def destination(route: CompiledRoute, value: bytes, **given: bytes) -> bytes | None:
    return sent(route, b"Destination: " + value, **given).get(b"destination")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (PUBLIC + b"/dav/b", b"http://up:9000/b"),
        (PUBLIC + b"/dav/a%2Fb//c?d=e", b"http://up:9000/a%2Fb//c?d=e"),
        (PUBLIC + b"/dav/\xc3\xa4%20,b", b"http://up:9000/\xc3\xa4%20,b"),
        (PUBLIC + b"/dav", b"http://up:9000/"),
        (b"HTTP://PUBLIC:8080/dav/b", b"http://up:9000/b"),
        (b"https://public:8080/dav/b", b"http://up:9000/b"),
        (b"/dav/b", b"/b"),
        # foreign, or none of this proxy's routes: as it came
        (PUBLIC, PUBLIC),
        (PUBLIC + b"/elsewhere/b", PUBLIC + b"/elsewhere/b"),
        (PUBLIC + b"/davb", PUBLIC + b"/davb"),
        (b"http://public/dav/b", b"http://public/dav/b"),
        (b"http://other:8080/dav/b", b"http://other:8080/dav/b"),
        (b"http://me@public:8080/dav/b", b"http://me@public:8080/dav/b"),
        (b"http://public:8080.evil/dav/b", b"http://public:8080.evil/dav/b"),
        (b"//public:8080/dav/b", b"//public:8080/dav/b"),
        (b"ftp://public:8080/dav/b", b"ftp://public:8080/dav/b"),
        (PUBLIC + b"/dav/b#c", PUBLIC + b"/dav/b#c"),
        (b"dav/b", b"dav/b"),
        (b"", b""),
    ],
)
def test_what_names_the_proxy_names_the_target(value: bytes, seen: bytes) -> None:
    assert destination(routed(STRIPPED, change_origin=True), value) == seen


@pytest.mark.parametrize(
    ("routes", "change_origin", "value", "seen"),
    [
        (STRIPPED, False, PUBLIC + b"/dav/b", PUBLIC + b"/b"),
        (AS_IT_IS, False, PUBLIC + b"/dav/b", PUBLIC + b"/dav/b"),
        (AS_IT_IS, True, PUBLIC + b"/dav/b", b"http://up:9000/dav/b"),
        (BASE, True, PUBLIC + b"/dav/b", b"http://up:9000/files/v1/b"),
        (BASE, False, PUBLIC + b"/dav/b", PUBLIC + b"/files/v1/b"),
        (BASE, True, b"/dav/b", b"/files/v1/b"),
        (SEVERAL, True, PUBLIC + b"/dav/same/b", b"http://up:9000/base/dav/same/b"),
        (SEVERAL, True, PUBLIC + b"/dav/other/b", PUBLIC + b"/dav/other/b"),
    ],
)
def test_origin_and_path_follow_the_keys_of_the_route(
    routes: Routes,
    change_origin: bool,
    value: bytes,
    seen: bytes,
) -> None:
    assert destination(routed(routes, change_origin=change_origin), value) == seen


def test_a_route_to_the_same_target_has_its_own_rules() -> None:
    routes: Routes = {**STRIPPED, "/dav/raw": {"target": "http://up:9000"}}
    route = routed(routes, change_origin=True)
    assert destination(route, PUBLIC + b"/dav/raw/b") == b"http://up:9000/dav/raw/b"


@pytest.mark.parametrize(
    ("value", "host", "seen"),
    [
        (b"https://shop.example/dav/b", b"shop.example", b"http://up:9000/b"),
        (b"https://shop.example:443/dav/b", b"shop.example", b"http://up:9000/b"),
        (b"http://shop.example/dav/b", b"shop.example:80", b"http://up:9000/b"),
        (b"http://[::1]:81/dav/b", b"[::1]:81", b"http://up:9000/b"),
    ],
)
def test_the_default_port_goes_without_saying(
    value: bytes, host: bytes, seen: bytes
) -> None:
    assert destination(routed(STRIPPED, change_origin=True), value, host=host) == seen


@pytest.mark.parametrize("trusted", [True, False])
def test_the_public_host_is_that_of_a_trusted_proxy(trusted: bool) -> None:
    route = routed(STRIPPED, change_origin=True)
    value = b"https://shop.example/dav/b"
    lines = (b"X-Forwarded-Host: shop.example", b"Destination: " + value)
    seen = sent(route, *lines, trusted=trusted).get(b"destination")
    assert seen == (b"http://up:9000/b" if trusted else value)


def test_other_methods_and_repeated_fields_stay_as_they_came() -> None:
    route = routed(STRIPPED, change_origin=True)
    value = PUBLIC + b"/dav/b"
    assert destination(route, value, method=b"PUT") == value
    assert destination(route, value, method=b"COPY") == b"http://up:9000/b"
    twice = sent(route, b"Destination: " + value, b"destination: " + value)
    assert [v for name, v in twice.fields if name.lower() == b"destination"] == [
        value,
        value,
    ]


def test_heads_that_share_their_fields_do_not_share_the_destination() -> None:
    route = routed(STRIPPED, change_origin=True)
    head = request(
        b"Host: public:8080",
        b"Destination: " + PUBLIC + b"/dav/b",
        start=b"PUT /dav/a HTTP/1.1",
    )
    planner = RequestPlanner(ADDRESS, b"http")
    for method, there in ((b"PUT", False), (b"MOVE", True), (b"PUT", False)):
        written = planner.plan(
            head.again(method, b"/dav/a"),
            request_body(head),
            route,
            route.route.targets[0],
            b"/dav/a",
            b"public:8080",
            trusted=False,
            upgrade=False,
        ).text
        assert (b"Destination: http://up:9000/b\r\n" in written) is there


def test_the_rules_of_the_route_come_last() -> None:
    rules = {"request": {"set": {"Destination": "/mine"}}}
    route = routed(STRIPPED, change_origin=True, headers=rules)
    assert destination(route, PUBLIC + b"/dav/b") == b"/mine"


@pytest.mark.parametrize(
    "value",
    [
        b"/dav/../b",
        PUBLIC + b"/dav/%2e%2e/b",
        PUBLIC + b"/dav/..%5cb",
        b"/dav/x/..;/../b",
    ],
)
def test_dot_segments_do_not_lead_out_of_the_route(value: bytes) -> None:
    route = routed(STRIPPED)
    head = request(
        b"Host: public:8080", b"Destination: " + value, start=b"MOVE /dav/a HTTP/1.1"
    )
    with pytest.raises(MalformedRequest, match="dot segments"):
        check_destination(head, b"public:8080", route.find)


def test_a_foreign_destination_is_not_judged() -> None:
    value = b"Destination: http://other/dav/../b"
    head = request(b"Host: a", value, start=b"COPY /dav/a HTTP/1.1")
    check_destination(head, b"a", routed(STRIPPED).find)


def test_what_rules_lay_bare_is_refused_too() -> None:
    route = routed({"/dav": {"target": "http://up:1", "path_rewrite": {"^/dav/a": ""}}})
    head = request(b"Host: a", b"Destination: /dav/a/..", start=b"COPY /dav/a HTTP/1.1")
    with pytest.raises(MalformedRequest, match="dot segments"):
        check_destination(head, b"a", route.find)
