"""How a handler in a host ends, who may wait for that, and who looks from a thread."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from proxy.inspector.exchange_history import ExchangeHistory
from proxy.library.asgi_host import AsgiApp, asgi_app
from proxy.library.asgi_transport import IncompleteResponse
from tests.hosts.test_asgi_host import Call, proxy, scope_of
from tests.support.host_rows import EVENTS, SHORT
from tests.support.raw import GUARD, Upstream, became

pytestmark = pytest.mark.usefixtures("complaints")


async def with_stream(upstream: Upstream) -> tuple[AsgiApp, Call]:
    """An application that drains for long, and a stream on which nothing comes."""
    app = asgi_app({"/sse": upstream.url}, server={"drain_seconds": 3000.0})
    call = Call(app, scope_of())
    server = await upstream.request()
    await server.send(EVENTS)
    await call.fields()
    return app, call


async def is_cut(call: Call) -> None:
    with pytest.raises(IncompleteResponse):
        await call.over()


async def serves(app: AsgiApp, upstream: Upstream) -> None:
    """It does, once it is started again."""
    await asyncio.wait_for(app.start(), GUARD)
    call = Call(app, scope_of())
    await (await upstream.request()).send(SHORT)
    assert (await call.heard())["status"] == 200
    await call.over()
    await app.stop(0)


@pytest.mark.parametrize("drains", [True, False], ids=["drains", "has yet to drain"])
async def test_a_stop_that_is_cancelled_cuts_and_can_be_started_again(
    upstream: Upstream, drains: bool
) -> None:
    app, call = await with_stream(upstream)
    stopping = asyncio.ensure_future(app.stop())
    await asyncio.sleep(0)
    if drains:
        await became(lambda: proxy(app).draining)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await is_cut(call)
    assert await asyncio.wait_for(app.stop(), GUARD) == 1
    await serves(app, upstream)


async def test_who_is_cancelled_takes_nobody_with_it(upstream: Upstream) -> None:
    app, call = await with_stream(upstream)
    first, second = (asyncio.ensure_future(app.stop()) for _ in range(2))
    again = asyncio.ensure_future(app.start())
    await became(lambda: proxy(app).draining)
    again.cancel()
    await asyncio.wait([again])
    assert not first.done()
    second.cancel()
    assert await asyncio.wait_for(first, GUARD) == 1
    await is_cut(call)
    await serves(app, upstream)


async def test_of_two_stops_the_shorter_one_counts(upstream: Upstream) -> None:
    app, call = await with_stream(upstream)
    long = asyncio.ensure_future(app.stop())
    await became(lambda: proxy(app).draining)
    assert await asyncio.wait_for(app.stop(0), GUARD) == 1
    assert await asyncio.wait_for(long, GUARD) == 1
    await is_cut(call)
    await serves(app, upstream)


async def test_two_starts_behind_an_end_make_one_server(upstream: Upstream) -> None:
    app = asgi_app({"/sse": upstream.url})
    await app.start()
    await app.stop()
    await asyncio.gather(app.start(), app.start())
    assert len(list(app.servers)) == 1
    await serves(app, upstream)


# -- from another thread, as endpoints of FastAPI that are no coroutines


async def test_what_runs_may_change_while_somebody_looks(upstream: Upstream) -> None:
    app, call = await with_stream(upstream)
    server, loop = proxy(app), asyncio.get_running_loop()
    (real,) = server.exchanges

    class Changing:
        """An exchange; when it is looked at, another one begins."""

        timeline = real.timeline

        @property
        def source(self) -> None:
            server.exchanges[cast("Any", Changing())] = None

    class Elsewhere:
        """What hosts on another loop, and begins meanwhile."""

        def exchanges(self) -> list[object]:
            app.hosted[cast("Any", object())] = app.hosted[loop]
            return []

    server.exchanges[cast("Any", Changing())] = None
    app.hosted[cast("Any", "elsewhere")] = cast("Any", Elsewhere())
    seen = await asyncio.to_thread(app.exchanges)
    assert [each.id for each in seen] == [1]
    for each in [each for each in server.exchanges if each is not real]:
        del server.exchanges[each]
    for key in [key for key in app.hosted if key is not loop]:
        del app.hosted[key]
    await app.stop(0)
    await is_cut(call)


def test_an_exchange_has_one_number_whoever_asks_first() -> None:
    both = threading.Barrier(2)

    class Account:
        """One that two threads ask for its number at the same moment."""

        looks = 0
        given = 0

        @property
        def number(self) -> int:
            self.looks += 1
            if self.looks <= 2:
                both.wait(GUARD)
                return 0
            return self.given

        @number.setter
        def number(self, number: int) -> None:
            self.given = number

    history = ExchangeHistory((), cast("Any", None))
    account = cast("Any", Account())
    asking = threading.Thread(target=history.number, args=(account,))
    asking.start()
    assert history.number(account) == 1
    asking.join(GUARD)
    assert history.count == 1
