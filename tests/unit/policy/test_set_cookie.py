"""Set-Cookie for another address than the one the upstream knows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from proxy.config.cookie_options import COOKIE_TABLES
from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.policy.set_cookie import CookieRules


def rewritten(
    value: bytes,
    domains: dict[str, str] | None = None,
    paths: dict[str, str] | None = None,
    strip: bool = False,
) -> bytes:
    route = Route(
        prefix="/",
        targets=(parse_target("http://up"),),
        cookie_domain_rewrite=domains or {},
        cookie_path_rewrite=paths or {},
        cookie_secure="strip" if strip else "keep",
    )
    return CookieRules(route).rewrite(value)


@pytest.mark.parametrize(
    ("table", "value", "seen"),
    [
        ({"*": "me"}, b"a=b; Domain=up", b"a=b; Domain=me"),
        ({"*": "me"}, b"a=b; Domain=up; Path=/", b"a=b; Domain=me; Path=/"),
        ({"*": "me"}, b"a=b;DOMAIN = up ;Path=/", b"a=b; DOMAIN=me;Path=/"),
        ({"*": "me"}, b"a=b; domain=", b"a=b; domain=me"),
        ({"*": "me"}, b"a=b; domain", b"a=b; domain=me"),
        ({"*": "me"}, b"a=b", b"a=b"),
        ({"*": "me"}, b"a=b; Path=/", b"a=b; Path=/"),
        ({"*": "me"}, b"domain=up; Path=/", b"domain=up; Path=/"),
        ({"*": "me"}, b"a=domain=up", b"a=domain=up"),
        ({"*": "me"}, b"a=b; Domains=up", b"a=b; Domains=up"),
        ({"*": "me"}, b"a=b; Subdomain=up", b"a=b; Subdomain=up"),
        ({"*": ""}, b"a=b; Domain=up; Path=/", b"a=b; Path=/"),
        ({"*": ""}, b"a=b; Domain=up", b"a=b"),
        ({"up": "me"}, b"a=b; Domain=UP", b"a=b; Domain=me"),
        ({"up": "me"}, b"a=b; Domain=.up", b"a=b; Domain=me"),
        ({".UP": "me"}, b"a=b; Domain=up", b"a=b; Domain=me"),
        ({"up": "me"}, b"a=b; Domain=sub.up", b"a=b; Domain=sub.up"),
        ({"up": "me", "*": ""}, b"a=b; Domain=other", b"a=b"),
        ({"up": "up", "*": ""}, b"a=b; Domain=up", b"a=b; Domain=up"),
        ({"up": ""}, b"a=b; Domain=up; Domain=up; x", b"a=b; x"),
    ],
)
def test_a_domain_is_rewritten(
    table: dict[str, str], value: bytes, seen: bytes
) -> None:
    """RFC 6265 §5.2.3: case and a leading dot do not count."""
    assert rewritten(value, domains=table) == seen


@pytest.mark.parametrize(
    ("table", "value", "seen"),
    [
        ({"*": "/api"}, b"a=b; Path=/", b"a=b; Path=/api"),
        ({"/": "/api"}, b"a=b; path=/; Secure", b"a=b; path=/api; Secure"),
        ({"/": "/api/"}, b"a=b; Path=/x", b"a=b; Path=/x"),
        ({"/x": "/y"}, b"a=b; Path=/X", b"a=b; Path=/X"),
        ({"/x": ""}, b"a=b; Path=/x; HttpOnly", b"a=b; HttpOnly"),
        ({"/x": "/y", "*": "/z"}, b"a=b; Path=/x", b"a=b; Path=/y"),
        ({"/x": "/y", "*": "/z"}, b"a=b; Path=/w", b"a=b; Path=/z"),
        ({"*": "/y"}, b"a=b; Pathology=1", b"a=b; Pathology=1"),
        ({"*": "/y"}, b"a=\xff\xe4; Path=/\xe4", b"a=\xff\xe4; Path=/y"),
    ],
)
def test_a_path_is_rewritten(table: dict[str, str], value: bytes, seen: bytes) -> None:
    assert rewritten(value, paths=table) == seen


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"a=b; Secure", b"a=b"),
        (b"a=b;secure;HttpOnly", b"a=b;HttpOnly"),
        (b"a=b; Secure=yes; Path=/", b"a=b; Path=/"),
        (b"a=b; SecureX; Path=/", b"a=b; SecureX; Path=/"),
        (b"Secure; Path=/", b"Secure; Path=/"),
        (b"a=b; SameSite=None; Secure", b"a=b"),
        (b"a=b; SameSite=Lax; Secure", b"a=b; SameSite=Lax"),
        (b"a=b; SameSite=Strict", b"a=b; SameSite=Strict"),
        (b"a=b; Secure; Partitioned; Max-Age=9", b"a=b; Max-Age=9"),
    ],
)
def test_secure_goes_with_what_needs_it(value: bytes, seen: bytes) -> None:
    """RFC 6265bis §5.7: without Secure a browser refuses SameSite=None."""
    assert rewritten(value, strip=True) == seen


def test_what_nothing_is_said_of_stays_byte_for_byte() -> None:
    value = b'a="b c" ;  Domain = up;Path=/ ; SECURE;; Expires=Thu, 01 Jan 1970'
    assert rewritten(value) == value
    assert rewritten(value, domains={"x": "y"}, paths={"/x": "/y"}) == value


def test_the_table_of_the_documentation_is_true() -> None:
    page = Path(__file__).parents[3] / "docs" / "headers.md"
    _, _, section = page.read_text("utf-8").partition("### Cookies")
    rows = re.findall(r"^\| `(.*)` \| `(.*)` \| `(.*)` \|$", section, re.MULTILINE)
    assert len(rows) == 4
    for line, value, seen in rows:
        options = tomllib.loads(line)
        for key in COOKIE_TABLES:
            if isinstance(options.get(key), str):
                options[key] = {"*": options[key]}
        route = Route(prefix="/", targets=(parse_target("http://up"),), **options)
        assert CookieRules(route).rewrite(value.encode()) == seen.encode()


def test_all_three_at_once() -> None:
    value = b"sid=1; Domain=up; Path=/app; Secure; HttpOnly"
    seen = rewritten(value, {"*": ""}, {"/app": "/api/app"}, strip=True)
    assert seen == b"sid=1; Path=/api/app; HttpOnly"
