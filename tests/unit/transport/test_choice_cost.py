"""What is switched off costs nothing: none of its code runs for a request."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from proxy.config.model import Config
from proxy.config.route import Route
from proxy.config.target import parse_target
from proxy.process.process import form
from tests.support.memory import MemoryProxy

TARGETS = tuple(parse_target(f"http://127.0.0.1:{port}") for port in (1, 2, 3))
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nX-User: b\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nX-User: c\r\nContent-Length: 2\r\n\r\nok"
OPTIONAL = ("session_table", "request_value", "health_rule", "health_verdict")

pytestmark = pytest.mark.skipif(bool(form()), reason="compiled code is not traced")


@contextmanager
def called() -> Iterator[set[str]]:
    """Module and name of all functions of the proxy that are called."""
    found: set[str] = set()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and "/proxy/" in code.co_filename:
            found.add(f"{Path(code.co_filename).stem}.{code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)


def one_request(**options: Any) -> set[str]:
    """What is called for a request and its response."""
    route = Route(prefix="/", targets=TARGETS, **options)
    proxy = MemoryProxy(Config(routes={"/": route}))
    with called() as found:
        proxy.client.receive(REQUEST)
        (upstream,) = [each for each in proxy.upstreams if each.written]
        upstream.receive(RESPONSE)
    assert proxy.client.written.startswith(b"HTTP/1.1 200 OK")
    proxy.stop()
    return found


async def test_by_open_exchanges_nothing_looks_at_values_sessions_or_health() -> None:
    found = one_request()
    assert {each for each in found if each.startswith("target_choice.")} == {
        "target_choice.LeastOpen.pick"
    }
    assert not {each for each in found if each.startswith(OPTIONAL)}


async def test_what_is_switched_on_is_seen() -> None:
    """Else the test above would show nothing."""
    found = one_request(balance="header:X-User", health_path="/health")
    assert "target_choice.OnlyHealthy.pick" in found
    assert "target_choice.SessionListener.response" in found
    assert "session_table.SessionTable.learn" in found
