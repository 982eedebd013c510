"""Who is told the details of an error: as it is, and why not."""

from __future__ import annotations

import pytest

from proxy.config.model import Config, ServerOptions
from proxy.policy.error_detail import ErrorDetail
from proxy.tools.explain.text import render_text
from proxy.tools.explain.told_details import error_details
from tests.unit.explain.conftest import Explain
from tests.unit.http1.heads import request

ROUTE = '[routes."api.test/"]\ntarget = "http://upstream"\n'
ANY = '[routes."/"]\ntarget = "http://upstream"\n'
TRUSTED = '[server]\ntrusted_proxies = ["127.0.0.1"]\n'
BY_NAME = ("GET", "http://api.test:8080/x")
BEHIND = ("-H", "X-Forwarded-For: {}")


@pytest.mark.parametrize(
    ("text", "arguments", "told", "reason"),
    [
        pytest.param(
            ANY,
            ("GET", "/x"),
            True,
            "told to this client: it may be a program on this machine "
            '(error_detail = "loopback", default)',
            id="this machine",
        ),
        pytest.param(
            ROUTE,
            BY_NAME,
            False,
            "not told to this client: Host api.test:8080 is not a name of this machine",
            id="a host of a route",
        ),
        pytest.param(
            ROUTE.replace("api.test", "api.localhost"),
            ("GET", "http://api.localhost:8080/x"),
            True,
            "told to this client",
            id="a host below localhost",
        ),
        pytest.param(
            f'[server]\nerror_detail = "all"\n{ROUTE}',
            BY_NAME,
            True,
            "told to everyone",
            id="all",
        ),
        pytest.param(
            f'[server]\nerror_detail = "none"\n{ANY}',
            ("GET", "/x"),
            False,
            "told to no one; the log has them",
            id="none",
        ),
        pytest.param(
            ANY,
            ("GET", "/x", "--client", "10.1.2.3"),
            False,
            "not told to this client: 10.1.2.3 is another machine",
            id="another machine",
        ),
        pytest.param(
            ANY,
            ("GET", "/x", "-H", "X-Forwarded-For: 127.0.0.1"),
            False,
            "x-forwarded-for is of a server in front",
            id="a server in front",
        ),
        pytest.param(
            TRUSTED + ANY,
            ("GET", "/x", "-H", "X-Forwarded-For: 10.1.2.3"),
            False,
            "10.1.2.3, of whom a trusted proxy speaks, is another machine",
            id="a trusted proxy",
        ),
        pytest.param(
            TRUSTED + ROUTE,
            (*BY_NAME, "-H", "X-Forwarded-For: 127.0.0.1"),
            True,
            "told to this client",
            id="a trusted proxy on this machine",
        ),
        pytest.param(
            TRUSTED + ANY,
            ("GET", "/x", "-H", "X-Forwarded-For: 10.1.2.3, 127.0.0.1"),
            False,
            "10.1.2.3, of whom a trusted proxy speaks, is another machine",
            id="two hops",
        ),
    ],
)
def test_who_is_told(
    account: Explain, text: str, arguments: tuple[str, ...], told: bool, reason: str
) -> None:
    found = account(text, *arguments)
    assert found.error_details is not None
    assert found.error_details.told is told
    assert reason in found.error_details.reason
    assert reason in render_text(found)


def test_who_is_not_told_is_told_the_way_out(account: Explain) -> None:
    text = render_text(account(ROUTE, *BY_NAME))
    assert "names below .localhost count" in text
    assert 'error_detail = "all"' in text
    behind = ("GET", "/x", "-H", "X-Forwarded-For: 127.0.0.1")
    assert "trusted_proxies with the address" in render_text(account(ANY, *behind))
    here = account(ANY, "GET", "/x").error_details
    assert here is not None
    assert here.advice == ""


def test_a_request_that_no_route_takes_has_them_too(account: Explain) -> None:
    found = account('[routes."/a"]\ntarget = "http://upstream"\n', "GET", "/b")
    assert found.refused is not None
    assert "\ndetails of errors\n  told to this client" in render_text(found)


@pytest.mark.parametrize("said", ["unknown", "unknown, 127.0.0.1", ""])
def test_who_cannot_be_read_is_a_stranger(said: str) -> None:
    config = Config(server=ServerOptions(trusted_proxies=["127.0.0.1"]))
    head = request(b"Host: localhost", f"X-Forwarded-For: {said}".encode())
    found = error_details(config, b"127.0.0.1", head)
    assert found.told is ErrorDetail(config).is_for(b"127.0.0.1", head) is False
    assert found.reason.startswith("not told to this client: ")
