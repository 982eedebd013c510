"""Fixtures: upstream, proxy, client. Everything on 127.0.0.1 and free ports."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import proxy as package
from proxy.internal_errors import INTERNAL_ERRORS
from proxy.origin.stream_origin import StreamOrigin
from proxy.process.process import form
from proxy.timeline import Clock, monotonic
from tests.support.logging_state import unchanged_logging
from tests.support.raw import Upstream, turns
from tests.support.running import RunningProxy, Table, start_proxy
from tests.support.thorough import thorough
from unbuffered import pytest_plugin

PROXY = Path(package.__file__).parent
TESTS = Path(__file__).parent
StartProxy = Callable[..., Awaitable[RunningProxy]]

# Without a deadline: a busy machine is no fault of the code. Here, before any test is
# imported, since a test takes the settings of that moment.
EXAMPLES = 100 if thorough() else 25  # 100 is the default of Hypothesis
settings.register_profile("tests", deadline=None, max_examples=EXAMPLES)
settings.load_profile("tests")


# What mypyc makes of `await` throws by the signature with three arguments, of which
# Python 3.12 and later warn. The code is its own, and does what it should.
THROWN_BY_MYPYC = (
    r"ignore:the \(type, exc, tb\) signature of throw\(\) is deprecated:"
    "DeprecationWarning"
)


def pytest_configure(config: pytest.Config) -> None:
    """Keep bytecode with pytest's cache where none is wanted beside the sources.

    Tests start some hundred processes; each would compile the proxy again. Without a
    cache (`-p no:cacheprovider`) it is kept for this run.
    """
    if not config.pluginmanager.has_plugin("unbuffered"):  # as where it is installed
        config.pluginmanager.register(pytest_plugin, "unbuffered")
    if form():
        config.addinivalue_line("filterwarnings", THROWN_BY_MYPYC)
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if sys.dont_write_bytecode:
        if cache is not None:
            folder = str(cache.mkdir("bytecode"))
        else:
            kept = tempfile.TemporaryDirectory(prefix="unbuffered-bytecode-")
            config.add_cleanup(kept.cleanup)
            folder = kept.name
        sys.pycache_prefix = folder
        sys.dont_write_bytecode = False
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# Tests of these folders drive browsers and other programs, which want one core of the
# machine for themselves: one of them at a time, whoever runs what else.
ONE_AT_A_TIME = {"browser", "deploy", "e2e", "products"}
MACHINE = "machine"  # their group
MOST_PROCESSES = 4


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All tests run in several processes; a part of them in this one.

    One more than there are cores: that which drives programs mostly waits for them.
    """
    option = config.option
    whole = config.args_source is config.ArgsSource.TESTPATHS
    if not whole or option.markexpr or option.keyword:
        return 0
    return min((os.cpu_count() or 1) + 1, MOST_PROCESSES)


def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> LoadScopeScheduling:
    """Have the tests of a file run in one process, in their order."""
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Files are shared by the processes, and what drives programs has one process."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.partition("::")[0])
        return MACHINE if ONE_AT_A_TIME & {*path.parts} else str(path)


@pytest.fixture(scope="module", autouse=True)
def only_new_garbage() -> None:
    """Have the collector look at what the tests of a file make, and at nothing older.

    All tests and reports are millions of objects: a test that collects took 0.3 s.
    """
    gc.collect()
    gc.freeze()


class ManualClock:
    """A clock that stands still until it is told otherwise. Seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A raw upstream that the test scripts."""
    async with Upstream() as server:
        yield server


@pytest.fixture
async def origin() -> AsyncIterator[StreamOrigin]:
    """An upstream that the test scripts event by event, where bytes are no subject."""
    async with StreamOrigin() as server:
        yield server


@pytest.fixture(autouse=True)
def logging_is_left_alone() -> Iterator[None]:
    """No test hears what another one has switched on."""
    with unchanged_logging():
        yield


class Complaints(logging.Handler):
    """What nobody may ever see: a traceback, a warning of the event loop."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "asyncio" or record.levelno >= logging.ERROR:
            self.heard.append(self.format(record))


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Fails the test if an exception ended in the event loop or in an error."""
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    assert handler.heard == []


class InternalErrorLog(logging.Handler):
    """The internal errors that were logged, each kind once."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("internal error"):
            self.told.append(self.format(record))


@pytest.fixture
def internal_errors() -> Iterator[InternalErrorLog]:
    """Hears of internal errors, none of which were logged before."""
    handler = InternalErrorLog()
    INTERNAL_ERRORS.forget()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    INTERNAL_ERRORS.forget()


@pytest.fixture
async def proxy(tmp_path: Path, complaints: Complaints) -> AsyncIterator[StartProxy]:
    """Start proxies: `await proxy({"/sse": {"target": …}}, server={…})`.

    After the test each must have let go of everything: no client, no upstream
    connection, no task is left, and nothing complained.
    """
    before = asyncio.all_tasks()
    running: list[RunningProxy] = []

    async def start(
        routes: Mapping[str, Table], *, clock: Clock = monotonic, **tables: Table
    ) -> RunningProxy:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(await start_proxy(folder, routes, tables, clock))
        return running[-1]

    yield start
    for each in running:
        await each.stop()
        assert not each.server.clients
        assert not each.server.ticker.waiting
        # Each exchange told its observers of its end, and only once.
        assert each.server.under_way == 0
    await turns(3)
    assert not [task for task in asyncio.all_tasks() - before if is_ours(task)]


def is_ours(task: asyncio.Task[object]) -> bool:
    """Does the task run code of the proxy?"""
    code: CodeType | None = getattr(task.get_coro(), "cr_code", None)
    return code is not None and Path(code.co_filename).is_relative_to(PROXY)
