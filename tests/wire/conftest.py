"""Wire tests run on both event loops that the proxy can run on.

A file whose subject is what a message says, and not how its bytes come and go, has the
mark `any_loop`. Its tests run on one loop, and on both where all is tried.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.support.certificates import Authority
from tests.support.http2 import Http2Listener
from tests.support.thorough import thorough


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop where it is installed, and asyncio's own where the loop matters."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    try:
        import uvloop
    except ImportError:  # Windows
        return factories
    if item.get_closest_marker("any_loop") and not thorough():
        return {"uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop, **factories}


@pytest.fixture(scope="session", autouse=True)
def hangups_reach_programs() -> Iterator[None]:
    """What nohup ignores, a program that a test starts would ignore too.

    A handler, unlike the deafness that it replaces, ends where a program begins.
    """
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    if number is None or signal.getsignal(number) is not signal.SIG_IGN:
        yield
        return
    signal.signal(number, lambda *_: None)
    yield
    signal.signal(number, signal.SIG_IGN)


# -- HTTP/2: see `tests.support.http2`


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who has signed the certificates of listeners."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain", "tls"])
def over(request: pytest.FixtureRequest, authority: Authority) -> Http2Listener:
    """A listener that speaks HTTP/2, with TLS and without."""
    return Http2Listener(authority if request.param == "tls" else None)
