"""For which client a stream would count, and from when on."""

from __future__ import annotations

import pytest

from proxy.tools.explain.counted import CountedStream
from proxy.tools.explain.text import render_text
from tests.unit.explain.conftest import Explain, Run

CONFIG = """
[server]
trusted_proxies = ["10.0.0.0/8"]
[routes."/"]
target = "http://one"
ws = true
max_streams_per_client = 4
client_by = "{by}"
[routes."/free"]
target = "http://two"
"""
EVENTS = ("-H", "Accept: text/event-stream")


def counted(
    account: Explain, *arguments: str, by: str = "address", method: str = "GET"
) -> CountedStream:
    told = account(CONFIG.replace("{by}", by), method, "/x", *arguments)
    assert told.client_streams is not None
    return told.client_streams


def test_a_route_without_a_limit_says_nothing(account: Explain) -> None:
    told = account(CONFIG.replace("{by}", "address"), "GET", "/free", *EVENTS)
    assert told.client_streams is None
    assert "streams of one client" not in render_text(told)


def test_all_of_it_is_told(run: Run) -> None:
    status, told, _ = run(CONFIG.replace("{by}", "address"), "GET", "/x", *EVENTS)
    assert status == 0
    assert (
        "streams of one client\n"
        "  at most 4 (max_streams_per_client = 4, config.toml)\n"
        '  counts for address 127.0.0.1 (client_by = "address", config.toml)\n'
        "  counts from its beginning: it accepts only a stream\n"
    ) in told


@pytest.mark.parametrize(
    ("by", "arguments", "client"),
    [
        ("address", (), "address 127.0.0.1"),
        ("address", ("-H", "X-Forwarded-For: 192.0.2.1"), "address 127.0.0.1"),
        (
            "address",
            ("--client", "10.1.1.1", "-H", "X-Forwarded-For: 192.0.2.1"),
            "address 192.0.2.1, behind 10.1.1.1",
        ),
        ("address", ("--client", "2001:db8::1"), "address 2001:db8::/64"),
        ("header:X-User", ("-H", "X-User: ada"), "header x-user = ada"),
        (
            "header:Authorization",
            ("-H", "Authorization: a"),
            "header authorization = ****",
        ),
        ("cookie:s", ("-H", "Cookie: s=1"), "cookie s = ****"),
        ("header:X-User", (), "no header x-user: address 127.0.0.1"),
    ],
)
def test_whose_it_is(
    account: Explain, by: str, arguments: tuple[str, ...], client: str
) -> None:
    told = counted(account, *arguments, by=by)
    assert told.client.startswith(f'{client} (client_by = "{by}", ')


@pytest.mark.parametrize(
    ("method", "arguments", "when"),
    [
        ("GET", EVENTS, "from its beginning: it accepts only a stream"),
        (
            "GET",
            ("-H", "Upgrade: websocket"),
            "from its beginning: it asks for a tunnel",
        ),
        ("GET", (), "once the response turns out to be a stream by its type"),
        ("HEAD", EVENTS, "never: the response to HEAD has no body"),
        (
            "POST",
            ("-H", "Content-Type: application/json", "-H", "Content-Length: 2"),
            'if its body has "stream": true, or once the response turns out to be a '
            "stream by its type",
        ),
    ],
)
def test_when_it_counts(
    account: Explain, method: str, arguments: tuple[str, ...], when: str
) -> None:
    assert counted(account, *arguments, method=method).when == when
