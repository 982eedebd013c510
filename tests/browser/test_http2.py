"""What HTTP/2 gives a page: many streams at once, and all else beside them.

In Chromium, Firefox and WebKit, with the certificate of `serve --tls dev`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from proxy.transport.http2_sending import Carrier
from proxy.transport.http2_stream import Http2Stream
from tests.browser.controlled import serve
from tests.browser.drivers.browser import GUARD_SECONDS, Browser, Tab, element
from tests.browser.many import ManyStreams
from tests.conftest import StartProxy
from tests.support.running import RunningProxy, Table

pytestmark = pytest.mark.browser

NAMES = [f"stream-{number}" for number in range(30)]
CONNECTIONS = 6  # of a browser to one host, by HTTP/1.1
UPLOAD = 64 << 20  # bytes; more than all buffers and windows on its way
PROTOCOLS = """
const kinds = ["navigation", "resource"];
const entries = kinds.flatMap((kind) => performance.getEntriesByType(kind));
return [...new Set(entries.map((each) => each.nextHopProtocol))];
"""
TALK = "await talk(given[0])"
SAY = "stops[given[0]].send(given[1])"


@dataclass
class Site:
    """The upstream, the proxy and a browser in front of it."""

    upstream: ManyStreams
    running: RunningProxy
    browser: Browser
    url: str

    async def tab(self) -> Tab:
        tab = await self.browser.tab()
        await tab.open(self.url)
        return tab

    def carriers(self) -> set[Carrier]:
        """The connections that the open streams are on."""
        clients = [each.client for each in self.running.server.exchanges]
        return {each.connection for each in clients if isinstance(each, Http2Stream)}

    async def are_live(self, tab: Tab, names: list[str]) -> None:
        """Open streams, and see each event before the next one is sent."""
        await tab.run("given[0].forEach(listen)", names)
        streams = [await self.upstream.requested(f"/events/{name}") for name in names]
        for text in ("first", "second"):
            for name, stream in zip(names, streams, strict=True):
                stream.send_event(f"{text} of {name}")
                await tab.shows(name, f"{text} of {name}")


@pytest.fixture
async def upstream() -> AsyncIterator[ManyStreams]:
    upstream = ManyStreams(GUARD_SECONDS)
    async with serve(upstream.application()) as upstream.port:
        yield upstream


@pytest.fixture
async def site(
    proxy: StartProxy, upstream: ManyStreams, dev_tls: Table, any_browser: Browser
) -> Site:
    route = {"target": upstream.url, "ws": True}
    running = await proxy({"/": route}, server=dev_tls)
    url = f"https://127.0.0.1:{running.port}/"
    return Site(upstream, running, any_browser, url)


async def test_thirty_streams_are_live_beside_the_requests_of_the_page(
    site: Site,
) -> None:
    tab = await site.tab()
    await tab.run("given[0].forEach(listen)", NAMES)
    streams = [await site.upstream.requested(f"/events/{name}") for name in NAMES]
    for count in range(1, 4):
        for name, stream in zip(NAMES, streams, strict=True):
            stream.send_event(f"{name}: {count}")
            await tab.shows(name, f"{name}: {count}")
        assert await tab.run("return await ask('/tell')") == str(count)
    assert await tab.run(PROTOCOLS) == ["h2"]
    assert {each.timeline.version for each in site.running.server.exchanges} == {"2.0"}
    # All of them are streams of one connection.
    assert len(site.carriers()) == 1


async def test_over_http1_the_seventh_stream_waits_for_a_connection(
    proxy: StartProxy, upstream: ManyStreams, any_browser: Browser
) -> None:
    """The control: what HTTP/2 cures is there without it."""
    running = await proxy({"/": {"target": upstream.url}})
    tab = await any_browser.tab()
    await tab.open(f"http://localhost:{running.port}/")
    *first, seventh = NAMES[: CONNECTIONS + 1]
    await tab.run("given[0].forEach(listen)", first)
    streams = [await upstream.requested(f"/events/{name}") for name in first]
    for name, stream in zip(first, streams, strict=True):
        stream.send_event("open")
        await tab.shows(name, "open")
    await tab.run("listen(given[0])", seventh)
    # Many requests to another host later it has not come.
    other = f"http://127.0.0.1:{running.port}/tell"
    for count in range(1, 21):
        assert await tab.run("return await ask(given[0])", other) == str(count)
    assert not upstream.asked(f"/events/{seventh}")
    # It only waited: a connection that becomes free is its own.
    streams[0].finish()
    await upstream.requested(f"/events/{seventh}")


async def test_a_websocket_of_the_application_is_on_the_same_connection(
    site: Site,
) -> None:
    """By extended CONNECT (RFC 8441), which WebKit of GTK does not have."""
    tab = await site.tab()
    await site.are_live(tab, NAMES[:8])
    await tab.run(TALK, "echo")
    for text in ("你好", "吃饭了吗", "x" * 100_000):
        await tab.run(SAY, "echo", text)
        await tab.shows("echo", text)
    assert await tab.run("return await ask('/tell')") == "1"
    exchanges = site.running.server.exchanges
    [tunnel] = [each for each in exchanges if each.timeline.target == b"/socket"]
    if site.browser.extended_connect:
        assert tunnel.timeline.version == "2.0"
        assert len(site.carriers()) == 1
    await tab.run("stops.echo.close(1000)")
    await tab.until(f'{element("echo")}.dataset.end === "1000"')
    while (await site.running.ended()).target != b"/socket":
        pass  # the requests of the page


async def test_closing_one_tab_ends_its_streams_and_no_others(site: Site) -> None:
    one, other = await site.tab(), await site.tab()
    names, closing = NAMES[:10], NAMES[10:20]
    await one.run("given[0].forEach(listen)", names)
    await other.run("given[0].forEach(listen)", closing)
    kept = [await site.upstream.requested(f"/events/{name}") for name in names]
    ended = [await site.upstream.requested(f"/events/{name}") for name in closing]
    # WebKit (libsoup 3.2) resets no stream of which it has only the head.
    for name, stream in zip(names + closing, kept + ended, strict=True):
        stream.send_event("before")
        await (one if name in names else other).shows(name, "before")
    await other.close()
    for stream in ended:
        await stream.client_left()
    for name, stream in zip(names, kept, strict=True):
        stream.send_event("after")
        await one.shows(name, "after")
    assert not [stream for stream in kept if stream.left.is_set()]


async def test_fetch_reads_each_piece_and_its_abort_ends_the_stream_alone(
    site: Site,
) -> None:
    tab = await site.tab()
    await tab.run("listen('beside')")
    beside = await site.upstream.requested("/events/beside")
    for name in ("aborted", "complete", "broken"):
        await tab.run("read(given[0])", name)
        stream = await site.upstream.requested(f"/events/{name}")
        told = ""
        for piece in ("one ", "two ", "three"):
            stream.send(piece.encode())
            told += piece
            await tab.shows(name, told)
        if name == "aborted":
            await tab.run("stops.aborted.abort()")
            await stream.client_left()
        elif name == "complete":
            stream.finish()
        else:
            stream.break_off()
        if name != "broken" or site.browser.tells_resets:
            end = {"aborted": "AbortError", "broken": "TypeError"}.get(name, name)
            await tab.until(f'{element(name)}.dataset.end === "{end}"')
        beside.send_event(name)
        await tab.shows("beside", name)
    assert await tab.run(PROTOCOLS) == ["h2"]


async def test_an_upload_tells_its_progress_and_holds_nothing_else(
    site: Site,
) -> None:
    """It is as fast as it is read, and what is read meanwhile comes at once."""
    tab = await site.tab()
    await tab.run("listen('beside')")
    beside = await site.upstream.requested("/events/beside")
    await tab.run("upload('file', given[0])", UPLOAD)
    upload = await site.upstream.uploading("file")
    sent = f"Number({element('file')}.dataset.sent)"
    await tab.until(f"{sent} > 0")
    for count in range(5):
        beside.send_event(f"{count}")
        await tab.shows("beside", f"{count}")
    assert await tab.run("return await ask('/tell')") == "1"
    assert await tab.run(f"return {sent}") < UPLOAD
    upload.reads.set()
    await tab.shows("file", str(UPLOAD))
    await tab.until(f"{sent} === {UPLOAD}")


async def test_an_upload_that_is_cancelled_is_not_completed(site: Site) -> None:
    tab = await site.tab()
    await tab.run("listen('beside')")
    beside = await site.upstream.requested("/events/beside")
    await tab.run("upload('file', given[0])", UPLOAD)
    upload = await site.upstream.uploading("file")
    await tab.until(f"Number({element('file')}.dataset.sent) > 0")
    await tab.run("stops.file.abort()")
    upload.reads.set()  # nobody hears of the end of a body that they do not read
    await upload.client_left()
    beside.send_event("goes on")
    await tab.shows("beside", "goes on")
