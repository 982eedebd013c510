"""What `explain` says of hosts, and of a listener that redirects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.unit.explain.conftest import Explain, Run

ROUTES = """
[routes."/"]
target = "http://up:1"

[routes."a.example/v1"]
target = "http://up:2"
"""


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("http://a.example/v1/x", "a.example/v1", id="the host of a URL"),
        pytest.param("http://a.example:81/v1", "a.example/v1", id="whatever its port"),
        pytest.param("https://b.example/v1", "/", id="another"),
        pytest.param("/v1", "/", id="a path alone"),
    ],
)
def test_the_host_of_a_url_takes_its_route(
    account: Explain, url: str, name: str
) -> None:
    told = account(ROUTES, "GET", url)
    assert [each.prefix for each in told.routes if each.taken] == [name]
    assert [each.prefix for each in told.routes] == ["a.example/v1", "/"]


def test_the_order_of_hosts_is_told(run: Run) -> None:
    _, out, _ = run(ROUTES, "GET", "http://a.example/v1")
    assert "routes, most exact host first, then longest prefix\n" in out
    assert "a.example/v1  matches: the most exact host that matches" in out
    assert "/             no: also matches, but is for all hosts" in out


@pytest.fixture
def redirecting(tmp_path: Path) -> str:
    authority = Authority(tmp_path)
    keys = "".join(f'{key} = "{value}"\n' for key, value in authority.server.items())
    listen = "[[listen]]\nport = 80\nhttps_redirect = true\n"
    return f"[server]\nport = 8443\n{keys}\n{listen}{ROUTES}"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        pytest.param(
            "http://a.example/v1?x=1", "https://a.example:8443/v1?x=1", id="port 80"
        ),
        pytest.param("http://[::1]:80/", "https://[::1]:8443/", id="as it is written"),
        pytest.param("http://a.example:8443/", None, id="another port"),
        pytest.param("https://a.example/", None, id="https"),
        pytest.param("/v1", None, id="a path alone"),
        pytest.param("http://a/.well-known/acme-challenge/x", None, id="ACME"),
    ],
)
def test_a_listener_that_redirects_says_where(
    account: Explain, redirecting: str, url: str, place: str | None
) -> None:
    told = account(redirecting, "GET", url)
    if place is None:
        assert told.own is None
        assert told.routes
        return
    assert told.own is not None
    assert told.own.what == f"308 to {place} (https_redirect in [[listen]])"
    assert not told.routes


def test_without_a_host_there_is_no_place(run: Run, redirecting: str) -> None:
    status, out, _ = run(redirecting, "GET", "http://a/", "-H", "Host: a b")
    assert status == 1
    assert "refused with 400" in out
