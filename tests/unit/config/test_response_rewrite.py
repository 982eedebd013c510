"""trusted_proxies, redirect_rewrite and the cookie tables, as they are read."""

from __future__ import annotations

import pytest

from proxy.config.effective import report
from tests.unit.config.conftest import Load, Refuse

ME = {"ME": "me"}
ROUTE = '\n[routes."/sse"]\ntarget = "http://up"\n'


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ('cookie_domain_rewrite = ""', "cookie_domain_rewrite", {"*": ""}),
        ('cookie_domain_rewrite = "${ME}"', "cookie_domain_rewrite", {"*": "me"}),
        (
            'cookie_domain_rewrite = { ".up.example" = "${ME}", "*" = "" }',
            "cookie_domain_rewrite",
            {".up.example": "me", "*": ""},
        ),
        ('cookie_path_rewrite = "/"', "cookie_path_rewrite", {"*": "/"}),
        (
            'cookie_path_rewrite = { "/" = "/a b" }',
            "cookie_path_rewrite",
            {"/": "/a b"},
        ),
        ("cookie_path_rewrite = {}", "cookie_path_rewrite", {}),
        ('cookie_secure = "strip"', "cookie_secure", "strip"),
        ("rewrite_origin = true", "rewrite_origin", True),
        ('redirect_rewrite = "${YES}"', "redirect_rewrite", True),
    ],
)
def test_keys_of_a_route(read: Load, line: str, key: str, value: object) -> None:
    route = read(ROUTE + line, {"ME": "me", "YES": "true"}).routes["/sse"]
    assert getattr(route, key) == value


@pytest.mark.parametrize(
    ("lines", "rewrites"),
    [
        ("", False),
        ("change_origin = true", True),
        ("change_origin = true\nredirect_rewrite = false", False),
        ("redirect_rewrite = true", True),
    ],
)
def test_redirect_rewrite_follows_change_origin(
    read: Load, lines: str, rewrites: bool
) -> None:
    assert read(ROUTE + lines).routes["/sse"].rewrites_redirects == rewrites


def test_a_cookie_table_of_a_route_replaces_that_of_the_defaults(read: Load) -> None:
    text = '[defaults]\ncookie_domain_rewrite = { a = "b", "*" = "" }' + ROUTE
    assert read(text).routes["/sse"].cookie_domain_rewrite == {"a": "b", "*": ""}
    own = text + 'cookie_domain_rewrite = { c = "d" }'
    assert read(own).routes["/sse"].cookie_domain_rewrite == {"c": "d"}


def test_each_entry_is_reported_with_its_source(read: Load) -> None:
    text = '[defaults]\ncookie_domain_rewrite = "${ME}"' + ROUTE
    lines = [" ".join(line.split()) for line in report(read(text, ME)).splitlines()]
    assert 'cookie_domain_rewrite."*" "me" config.toml [defaults], ${ME}' in lines
    assert "redirect_rewrite same as change_origin default" in lines


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("cookie_domain_rewrite = 5", "cookie_domain_rewrite: expected a string or a "
         "table of strings, got the integer 5"),
        ("cookie_domain_rewrite = { a = 5 }", "cookie_domain_rewrite.a: expected a "
         "string, got the integer 5"),
        ('cookie_domain_rewrite = "http://a"', 'cookie_domain_rewrite."*": expected '
                                               "a domain without a scheme or port, "
                                               'got "http://a"'),
        ('cookie_domain_rewrite = { "a:80" = "b" }', 'cookie_domain_rewrite."a:80": '
                                                     "expected a domain without a "
                                                     'scheme or port, got "a:80"'),
        ('cookie_domain_rewrite = { a = "b;c" }', "cookie_domain_rewrite.a: "
                                                  "expected a domain without a "
                                                  'scheme or port, got "b;c"'),
        ('cookie_path_rewrite = "a"', 'cookie_path_rewrite."*": expected a path that '
         'begins with "/", got "a"'),
        ('cookie_path_rewrite = { "/" = "/;Secure" }', 'cookie_path_rewrite."/": '
         'expected a path that begins with "/", got "/;Secure"'),
        ('cookie_path_rewrite = { "/" = "/\\r\\n" }', 'cookie_path_rewrite."/": '
         'expected a path that begins with "/", got "/\\r\\n"'),
        ('cookie_secure = "maybe"', 'cookie_secure: expected "keep" or "strip", '
         'got the string "maybe"'),
        ('redirect_rewrite = "/"', "redirect_rewrite: expected true or false, "
         'got the string "/"'),
        ("autoRewrite = true", "autoRewrite: unknown key: write redirect_rewrite = "
         "true"),
        ("cookieDomainRewrite = ''", "cookieDomainRewrite: unknown key: write "
         "cookie_domain_rewrite"),
        ("cookiePathRewrite = ''", "cookiePathRewrite: unknown key: write "
         "cookie_path_rewrite"),
        ("hostRewrite = 'a'", "hostRewrite: unknown key: write redirect_rewrite = "
                              "true: redirects get the scheme and host of the "
                              "client's request"),
        ("protocolRewrite = 'https'", "protocolRewrite: unknown key: write "
                                      "redirect_rewrite = true: redirects get the "
                                      "scheme and host of the client's request"),
        ("rewriteWsOrigin = true", "rewriteWsOrigin: unknown key: write "
         "rewrite_origin = true"),
        ("trusted_proxies = []", "trusted_proxies: unknown key here: "
                                 "trusted_proxies belongs in [server]"),
    ],
)  # fmt: skip
def test_faults_of_a_route(refuse: Refuse, line: str, fault: str) -> None:
    assert refuse(ROUTE + line) == [f'config.toml: [routes."/sse"] {fault}']


# -- trusted_proxies


def test_addresses_and_networks_are_read(read: Load) -> None:
    text = '[server]\ntrusted_proxies = ["10.0.0.0/8", "::1", "${LB}"]' + ROUTE
    config = read(text, {"LB": "192.0.2.1"})
    assert config.server.trusted_proxies == ["10.0.0.0/8", "::1", "192.0.2.1"]
    assert config.sources["server.trusted_proxies"] == (
        "config.toml; config.toml, ${LB}"
    )
    empty = read("[server]\ntrusted_proxies = []" + ROUTE)
    assert empty.server.trusted_proxies == []
    assert empty.sources["server.trusted_proxies"] == "config.toml"


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ('"10.0.0.1"', ['trusted_proxies: expected a list of strings, got the string '
                        '"10.0.0.1": write ["10.0.0.1"]']),
        ("[5]", ["trusted_proxies, item 1: expected a string, got the integer 5"]),
        ('["::1", "lb.example"]', ["trusted_proxies, item 2: expected an IP address "
                                   'or a network such as "10.0.0.0/8", got '
                                   '"lb.example"']),
        ('["10.1.0.0/8"]', ['trusted_proxies, item 1: "10.1.0.0/8" has host bits '
                            'set: write "10.0.0.0/8" for the whole network']),
        ('["", "10.0.0.0/33"]', ["trusted_proxies, item 1: expected an IP address "
                                 'or a network such as "10.0.0.0/8", got ""',
                                 "trusted_proxies, item 2: expected an IP address "
                                 'or a network such as "10.0.0.0/8", got '
                                 '"10.0.0.0/33"']),
    ],
)  # fmt: skip
def test_what_is_no_network_is_a_fault(
    refuse: Refuse, value: str, faults: list[str]
) -> None:
    told = refuse(f"[server]\ntrusted_proxies = {value}{ROUTE}")
    assert told == [f"config.toml: [server] {fault}" for fault in faults]
