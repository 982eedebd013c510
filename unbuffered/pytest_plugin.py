"""The fixtures `unbuffered_proxy`, `stream_origin`, `replay` and `broken`.

A plugin is imported by everybody who runs pytest where it is installed. So this module
imports nothing called `proxy`, which may be a module of theirs; a fixture does when it
is used.

The servers run on event loops in threads of their own. So they work in tests without a
loop, with pytest-asyncio or anyio, whatever the scope of their loops, and with clients
that block the thread of the test, as Playwright's and Starlette's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from unbuffered.own_package import check_own_package

if TYPE_CHECKING:
    from proxy.library.fixture_factories import StartBroken, StartProxy, StartReplay
    from proxy.library.scripted_origin import ScriptedOrigin, ScriptThread


@pytest.fixture
def _unbuffered_thread() -> Iterator[ScriptThread]:
    """The event loop of a test's upstreams, in a thread."""
    check_own_package()
    from proxy.library.scripted_origin import ScriptThread

    thread = ScriptThread("unbuffered upstreams")
    yield thread
    thread.stop()


@pytest.fixture
def unbuffered_proxy() -> Iterator[StartProxy]:
    """Start a streaming proxy: `proxy = unbuffered_proxy({"/": url})`, `proxy.url`.

    What it gives is an `unbuffered.Proxy`; it is stopped after the test.
    """
    check_own_package()
    from proxy.library.fixture_factories import StartProxy

    with ExitStack() as stack:
        yield StartProxy(stack)


@pytest.fixture
def stream_origin(_unbuffered_thread: ScriptThread) -> Iterator[ScriptedOrigin]:
    """An upstream that the test scripts, event by event.

    `request = await stream_origin.request()`, `request.respond()`,
    `request.send_event("one")`, `request.cut()`. Where no event loop runs:
    `stream_origin.request().result()`.
    """
    check_own_package()
    from proxy.library.scripted_origin import ScriptedOrigin

    origin = ScriptedOrigin(_unbuffered_thread)
    origin.start()
    yield origin
    origin.stop()


@pytest.fixture
def replay(
    _unbuffered_thread: ScriptThread, request: pytest.FixtureRequest
) -> Iterator[StartReplay]:
    """Start an upstream that replays records: `replay("events.jsonl", speed=None)`."""
    check_own_package()
    from proxy.library.fixture_factories import StartReplay

    with ExitStack() as stack:
        folders = (request.path.parent, request.config.rootpath)
        yield StartReplay(_unbuffered_thread, stack, folders)


@pytest.fixture
def broken(_unbuffered_thread: ScriptThread) -> Iterator[StartBroken]:
    """Start an upstream whose event stream breaks: `broken(after=3, inside=True)`."""
    check_own_package()
    from proxy.library.fixture_factories import StartBroken

    with ExitStack() as stack:
        yield StartBroken(_unbuffered_thread, stack)
