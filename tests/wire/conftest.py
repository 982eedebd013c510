"""Wire tests run on both event loops that the proxy can run on.

A file whose subject is what a message says, and not how its bytes come and go, has the
mark `any_loop`. Its tests run on one loop, and on both where all is tried.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.timeline import Clock
from tests.conftest import Complaints, ManualClock
from tests.support.certificates import Authority
from tests.support.http2 import Http2Listener
from tests.support.http2_translated import translated
from tests.support.nodes import MakeStore, Nodes, nodes
from tests.support.raw import Peer
from tests.support.running import RunningProxy, Table, document
from tests.support.shared_memory import Hub
from tests.support.shared_streams import StartNodes
from tests.support.thorough import thorough

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

NEEDS_REDIS = pytest.mark.skipif(
    shutil.which("redis-server") is None and shutil.which("valkey-server") is None,
    reason="neither redis-server nor valkey-server is on the PATH",
)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop where it is installed, and asyncio's own where the loop matters."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    try:
        from tests.support.connecting_loop import ConnectingLoop
    except ImportError:  # Windows
        return factories
    if item.get_closest_marker("any_loop") and not thorough():
        return {"uvloop": ConnectingLoop}
    return {"uvloop": ConnectingLoop, **factories}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with the mark `both_protocols` run by a client of HTTP/2, too."""
    item = metafunc.definition
    if item.get_closest_marker("both_protocols"):
        only = item.get_closest_marker("http1") is not None
        protocols = ["http1"] if only else ["http1", "http2"]
        metafunc.parametrize("spoken", protocols, indirect=True)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """By HTTP/2 on one loop, with a store in memory: on all where all is tried."""
    if not thorough():
        other = r"\b(asyncio|redis)\b"
        beside = re.compile(rf"\[.*{other}.*\bhttp2\b|\[.*\bhttp2\b.*{other}")
        out = [
            item
            for item in items
            if item.get_closest_marker("both_protocols") and beside.search(item.name)
        ]
        config.hook.pytest_deselected(items=out)
        gone = set(out)
        items[:] = [item for item in items if item not in gone]


@pytest.fixture(autouse=True)
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the clients of a test speak: see `tests.support.http2_translated`."""
    protocol = str(getattr(request, "param", "http1"))
    if protocol == "http2":

        async def client(running: RunningProxy, receive_bytes: int = 0) -> Peer:
            running.clients.append(await translated(running.port, receive_bytes))
            return running.clients[-1]

        def by_http2(routes: Mapping[str, Table], tables: Mapping[str, Table]) -> str:
            server = {"http2_cleartext": True, **tables.get("server", {})}
            return document(routes, {**tables, "server": server})

        monkeypatch.setattr(RunningProxy, "client", client)
        for module in ("running", "siblings", "nodes"):
            monkeypatch.setattr(f"tests.support.{module}.document", by_http2)
    return protocol


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


# -- nodes that share a store: see `tests.support.nodes`


@pytest.fixture
def hub() -> Hub:
    """A store in the memory of this process."""
    return Hub()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A Redis server of these tests."""
    from tests.support.redis_server import redis_server

    with redis_server() as server:
        yield server


REDIS = pytest.param("redis", marks=[pytest.mark.redis, NEEDS_REDIS])


@pytest.fixture(params=["memory", REDIS])
def make_store(request: pytest.FixtureRequest, hub: Hub) -> MakeStore:
    """How a node gets the store: one in memory, or a real one."""
    return store_of(request, hub)


def store_of(request: pytest.FixtureRequest, hub: Hub) -> MakeStore:
    """See `make_store`."""
    if request.param == "memory":
        return hub.node
    from tests.support.redis_nodes import redis_nodes

    return redis_nodes(request.getfixturevalue("redis").url)


@pytest.fixture
def start(tmp_path: Path, make_store: MakeStore, complaints: Complaints) -> StartNodes:
    """Start nodes: `async with start({"/": …}, count=3) as each`."""

    def begin(
        routes: Mapping[str, Table], count: int = 2, clock: Clock | None = None
    ) -> AbstractAsyncContextManager[Nodes]:
        return nodes(
            tmp_path, routes, make_store, count=count, clock=clock or ManualClock()
        )

    return begin
