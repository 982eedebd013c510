"""Redirects of an upstream in terms of the public address."""

from __future__ import annotations

import pytest

from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.policy.response_rewrite import Mapped, Public, ResponseRewrite, reversible
from tests.unit.http1.heads import response

PUBLIC = Public(b"http", b"public:8080")
BY_TLS = Public(b"https", b"shop.example")
STRIPPED = {"^/api": ""}
MOVED = {"^/api": "/v2"}


def route(
    *targets: str,
    prefix: str = "/api",
    path_rewrite: dict[str, str] | None = None,
    change_origin: bool = True,
    redirect_rewrite: bool | None = None,
    cookie_secure: str = "keep",
) -> Route:
    return Route(
        prefix=prefix,
        targets=tuple(map(parse_target, targets or ("http://up:9000",))),
        path_rewrite=path_rewrite or {},
        change_origin=change_origin,
        redirect_rewrite=redirect_rewrite,
        cookie_secure="strip" if cookie_secure == "strip" else "keep",
    )


def published(value: bytes, of: Route, public: Public = PUBLIC) -> bytes:
    """A Location of the route's first target, as the client sees it."""
    head = response(b"Location: " + value)
    seen = ResponseRewrite(of).publish(head, public, of.targets[0]).get(b"location")
    assert seen is not None
    return seen


# -- origin and prefix


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"http://up:9000/login", b"http://public:8080/api/login"),
        (b"http://up:9000/login?a=b#c", b"http://public:8080/api/login?a=b#c"),
        (b"http://up:9000/", b"http://public:8080/api/"),
        (b"http://up:9000", b"http://public:8080/api/"),
        (b"http://up:9000?a", b"http://public:8080/api/?a"),
        (b"http://up:9000#a", b"http://public:8080/api/#a"),
        (b"HTTP://UP:9000/Login", b"http://public:8080/api/Login"),
        (b"https://up:9000/login", b"http://public:8080/api/login"),
        (b"//up:9000/login", b"http://public:8080/api/login"),
        (b"/login", b"/api/login"),
        (b"/", b"/api/"),
        (b"/api/login", b"/api/api/login"),  # /api/login is /api/api/login outside
        (b"/a%2Fb//..\\c", b"/api/a%2Fb//..\\c"),
        (b"/\xe4?\xff", b"/api/\xe4?\xff"),
        (b"login", b"login"),
        (b"../login", b"../login"),
        (b"?page=2", b"?page=2"),
        (b"#top", b"#top"),
        (b"", b""),
        (b"http://other/login", b"http://other/login"),
        (b"http://up/login", b"http://up/login"),
        (b"http://up:9001/login", b"http://up:9001/login"),
        (b"http://up:9000.evil/", b"http://up:9000.evil/"),
        (b"http://up:9000@evil/", b"http://up:9000@evil/"),
        (b"http://me@up:9000/", b"http://me@up:9000/"),
        (b"http://evil\\@up:9000/", b"http://evil\\@up:9000/"),
        (b"//evil/login", b"//evil/login"),
        (b"///login", b"///login"),
        (b"http:/login", b"http:/login"),
        (b"mailto:a@up:9000", b"mailto:a@up:9000"),
        (b"ftp://up:9000/", b"ftp://up:9000/"),
        (b"http://public:8080/x", b"http://public:8080/x"),
    ],
)
def test_an_address_of_the_target_becomes_public(value: bytes, seen: bytes) -> None:
    assert published(value, route(path_rewrite=STRIPPED)) == seen


@pytest.mark.parametrize(
    ("target", "public", "value", "ours"),
    [
        pytest.param("http://up", PUBLIC, b"http://up/", True, id="port left out"),
        pytest.param("http://up", PUBLIC, b"http://up:80/", True, id="port written"),
        pytest.param("http://up", PUBLIC, b"http://up:/", True, id="port empty"),
        pytest.param("http://up:80", PUBLIC, b"http://up/", True, id="as configured"),
        pytest.param("https://up", PUBLIC, b"https://up:443/", True, id="443"),
        pytest.param("https://up", PUBLIC, b"//up/", True, id="the target's scheme"),
        pytest.param("http://[::1]:9", PUBLIC, b"http://[::1]:9/", True, id="IPv6"),
        pytest.param("http://[::1]", PUBLIC, b"http://[::1]/", True, id="IPv6 alone"),
        pytest.param("unix:/a", PUBLIC, b"http://localhost/", True, id="Unix socket"),
        pytest.param("wss://up", PUBLIC, b"https://up/", True, id="wss is https"),
        pytest.param("https://up", PUBLIC, b"https://up:80/", False, id="another port"),
        pytest.param(
            "http://up", PUBLIC, b"https://up/", False, id="to TLS at the target itself"
        ),
        pytest.param(
            "http://up", BY_TLS, b"https://up/", True, id="told of TLS, it says https"
        ),
        pytest.param(
            "https://up", PUBLIC, b"http://up/", True, id="told of plain HTTP"
        ),
    ],
)
def test_scheme_and_port_tell_whether_it_is_the_target(
    target: str, public: Public, value: bytes, ours: bool
) -> None:
    seen = published(value, route(target), public)
    assert seen == (public.origin + b"/" if ours else value)


def test_any_target_of_a_route_is_its_own_place() -> None:
    several = route("http://one:1/a", "http://two:2/b", path_rewrite=STRIPPED)
    assert published(b"http://one:1/a/x", several) == b"http://public:8080/api/x"
    assert published(b"http://two:2/b/x", several) == b"http://public:8080/api/x"
    assert published(b"/a/x", several) == b"/api/x"
    assert published(b"/b/x", several) == b"/b/x"  # one:1 has no /b that is public


def test_without_change_origin_the_public_name_is_the_targets() -> None:
    kept = route(path_rewrite=STRIPPED, change_origin=False, redirect_rewrite=True)
    for value in (b"http://public:8080/x", b"//PUBLIC:8080/x", b"http://up:9000/x"):
        assert published(value, kept) == b"http://public:8080/api/x"
    assert published(b"https://public:8080/x", kept) == b"https://public:8080/x"
    assert published(b"http://public/x", kept) == b"http://public/x"


def test_a_client_that_named_no_host_gets_a_path() -> None:
    """HTTP/1.0: there is no public origin to write."""
    nameless = Public(b"http", None)
    stripped = route(path_rewrite=STRIPPED)
    assert published(b"http://up:9000/x", stripped, nameless) == b"/api/x"


# -- which rules can be read backwards


@pytest.mark.parametrize(
    ("prefix", "target", "rules", "mapped"),
    [
        pytest.param("/api", "http://up", {}, (b"", b""), id="no rules"),
        pytest.param("/api", "http://up/v1", {}, (b"", b"/v1"), id="target's path"),
        pytest.param("/api", "http://up", STRIPPED, (b"/api", b""), id="taken off"),
        pytest.param("/api", "http://up", MOVED, (b"/api", b"/v2"), id="replaced"),
        pytest.param("/api", "http://up/v1", MOVED, (b"/api", b"/v1/v2"), id="both"),
        pytest.param(
            "/api", "http://up", {"^/api/": "/"}, (b"/api", b""), id="slash for slash"
        ),
        pytest.param("/api", "http://up", {"^/api/": ""}, (b"/api", b""), id="and off"),
        pytest.param(
            "/api", "http://up", {"^/api": "/"}, (b"/api", b""), id="slash too many"
        ),
        pytest.param(
            "/a.b", "http://up", {r"^/a\.b": ""}, (b"/a.b", b""), id="escaped dot"
        ),
        pytest.param(
            "/a/b", "http://up", {"^/a": ""}, (b"/a", b""), id="half of the prefix"
        ),
        pytest.param("/a.b", "http://up", {"^/a.b": ""}, None, id="dot for any letter"),
        pytest.param("/api", "http://up", {r"^/\w+": ""}, None, id="class"),
        pytest.param("/w", "http://up", {r"^/\w": ""}, None, id="class of one letter"),
        pytest.param("/api", "http://up", {"/api": ""}, None, id="no anchor"),
        pytest.param("/api", "http://up", {"^/api$": ""}, None, id="end"),
        pytest.param("/api", "http://up", {"^/api": "/$&"}, None, id="reference"),
        pytest.param("/api", "http://up", {"^/api": "v"}, None, id="no leading slash"),
        pytest.param("/api", "http://up", {"^/api": "/v?a="}, None, id="query"),
        pytest.param("/api", "http://up", {"^/api/": "/v"}, None, id="slash lost"),
        pytest.param("/", "http://up", {"^/api": ""}, None, id="part of the route"),
        pytest.param("/ap", "http://up", {"^/api": ""}, None, id="no segment"),
        pytest.param(
            "/api", "http://up", {"^/api/a": "/b", "^/api": ""}, None, id="two rules"
        ),
    ],
)
def test_a_plain_prefix_is_put_back_and_nothing_cleverer(
    prefix: str, target: str, rules: dict[str, str], mapped: tuple[bytes, bytes] | None
) -> None:
    of = route(target, prefix=prefix, path_rewrite=rules)
    expected = None if mapped is None else Mapped(*mapped)
    assert reversible(of, of.targets[0]) == expected


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"/v1/v2", b"/api"),
        (b"/v1/v2/x", b"/api/x"),
        (b"/v1/v2?x", b"/api?x"),
        (b"/v1/v2#x", b"/api#x"),
        (b"/v1/v20", b"/v1/v20"),
        (b"/v1/x", b"/v1/x"),
        (b"/x", b"/x"),
        (b"http://up/v1/v2/x", b"http://public:8080/api/x"),
        (b"http://up/x", b"http://public:8080/x"),
    ],
)
def test_only_what_is_below_the_targets_path_gets_the_prefix(
    value: bytes, seen: bytes
) -> None:
    assert published(value, route("http://up/v1", path_rewrite=MOVED)) == seen


def test_the_root_of_a_targets_path_is_the_root() -> None:
    assert published(b"/v1", route("http://up/v1", prefix="/")) == b"/"


def test_where_no_prefix_is_put_back_the_origin_still_is() -> None:
    clever = route(path_rewrite={r"^/(\w+)": "/x/$1"})
    assert published(b"http://up:9000/x", clever) == b"http://public:8080/x"
    assert published(b"/x", clever) == b"/x"


# -- which responses


@pytest.mark.parametrize(
    ("change_origin", "redirect_rewrite", "idle"),
    [
        (False, None, True),
        (True, None, False),
        (True, False, True),
        (False, True, False),
    ],
)
def test_redirects_are_rewritten_as_change_origin_unless_said(
    change_origin: bool, redirect_rewrite: bool | None, idle: bool
) -> None:
    of = route(change_origin=change_origin, redirect_rewrite=redirect_rewrite)
    assert ResponseRewrite(of).idle == idle


def test_fields_keep_their_order_and_case_and_all_others_their_bytes() -> None:
    of = route(path_rewrite=STRIPPED, cookie_secure="strip")
    head = response(
        b"x-A: http://up:9000/",
        b"LOCATION: /x",
        b"set-COOKIE: a=b; Secure",
        b"Refresh: 0;url=http://up:9000/",
        b"content-location: /y",
        b"Set-Cookie: c=d;Secure; Path=/",
        b"Link: <http://up:9000/>",
        start=b"HTTP/1.1 201 Very much Created",
    )
    seen = ResponseRewrite(of).publish(head, PUBLIC, of.targets[0])
    assert seen.fields == [
        (b"x-A", b"http://up:9000/"),
        (b"LOCATION", b"/api/x"),
        (b"set-COOKIE", b"a=b"),
        (b"Refresh", b"0;url=http://up:9000/"),
        (b"content-location", b"/api/y"),
        (b"Set-Cookie", b"c=d; Path=/"),
        (b"Link", b"<http://up:9000/>"),
    ]
    assert (seen.status, seen.reason, seen.minor) == (201, b"Very much Created", 1)
    assert seen.get(b"location") == b"/api/x"


@pytest.mark.parametrize(
    ("line", "redirects", "cookies"),
    [
        (b"Location: /", True, False),
        (b"Content-Location: /", True, False),
        (b"Set-Cookie: a=b", False, True),
        (b"Content-Type: text/html", False, False),
    ],
)
def test_a_response_without_such_a_field_is_not_looked_at(
    line: bytes, redirects: bool, cookies: bool
) -> None:
    head = response(line)
    assert ResponseRewrite(route()).concerns(head) == redirects
    only_cookies = route(redirect_rewrite=False, cookie_secure="strip")
    assert ResponseRewrite(only_cookies).concerns(head) == cookies
    untouched = ResponseRewrite(only_cookies).publish(
        head, PUBLIC, only_cookies.targets[0]
    )
    assert untouched.fields == head.fields
