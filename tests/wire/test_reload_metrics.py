"""Metrics of the process: reloads, certificates, workers that were replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.timeline import wall_clock
from tests.support.certificates import Authority
from tests.support.looking import answer, request
from tests.support.process import Process, ending, serve

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]

Start = Callable[..., Awaitable[Process]]
RELOADED = "unbuffered_config_last_reload_successful"
RELOADED_AT = "unbuffered_config_last_reload_success_timestamp_seconds"
EXPIRY = "unbuffered_tls_certificate_expiry_timestamp_seconds"
RESTARTS = "unbuffered_worker_restarts_total"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    started: list[Process] = []

    async def begin(**server: object) -> Process:
        file = Process(tmp_path / "config.toml", None)  # type: ignore[arg-type]
        file.write({"/a": {"target": "http://127.0.0.1:9"}}, **server)
        started.append(await serve(file.path))
        await started[-1].line("Ctrl-C stops")
        return started[-1]

    yield begin
    for each in started:
        for client in each.clients:
            client.writer.transport.abort()
        async with ending(each.process):
            each.process.terminate()
            await each.process.wait()


async def scrape(process: Process, name: str) -> dict[str, float]:
    """The samples of a name, by the label that tells them apart."""
    client = await process.client()
    await client.send(request("metrics"))
    status, body = await answer(client)
    client.close()
    assert status == 200
    return {
        sample.labels.get("listener", sample.labels.get("worker", "")): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize("workers", [1, 2])
async def test_how_the_last_reload_went(start: Start, workers: int) -> None:
    numbers = [str(number) for number in range(workers)]
    begun = wall_clock()
    process = await start(workers=workers)
    assert await scrape(process, RELOADED) == dict.fromkeys(numbers, 1)
    loaded = await scrape(process, RELOADED_AT)
    assert all(begun <= each <= wall_clock() for each in loaded.values())
    whole = process.path.read_text("utf-8")
    process.path.write_text(whole + "[nonsense", "utf-8")
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration rejected")
    assert await until(process, RELOADED, 0) == dict.fromkeys(numbers, 0)
    assert await scrape(process, RELOADED_AT) == loaded
    process.path.write_text(whole, "utf-8")
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration reloaded")
    assert await until(process, RELOADED, 1) == dict.fromkeys(numbers, 1)
    again = await scrape(process, RELOADED_AT)
    assert all(again[each] > loaded[each] for each in numbers)


async def until(process: Process, name: str, value: float) -> dict[str, float]:
    """The samples, once all workers have heard of it."""
    async with asyncio.timeout(30):
        while set((found := await scrape(process, name)).values()) != {value}:
            pass
    return found


async def test_a_worker_that_was_replaced_is_counted_and_knows_of_reloads_before(
    start: Start,
) -> None:
    process = await start(workers=2)
    assert await scrape(process, RESTARTS) == {"0": 0, "1": 0}
    process.path.write_text("[nonsense", "utf-8")
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration rejected")
    (first, *_) = children(process.process.pid)
    os.kill(first, signal.SIGKILL)
    line = await process.line("is running as process")
    number = line.partition("worker ")[2].partition(" ")[0]
    async with asyncio.timeout(30):
        while len(found := await scrape(process, RESTARTS)) < 2:
            pass  # the other one asks it by its socket
    assert found == {"0": 0, "1": 0} | {number: 1}
    assert await until(process, RELOADED, 0) == {"0": 0, "1": 0}


def children(pid: int) -> list[int]:
    """The processes that a process has forked."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(each) for each in text.split()]


async def test_one_process_has_no_workers_to_replace(start: Start) -> None:
    process = await start()
    assert await scrape(process, RESTARTS) == {}
    assert await scrape(process, EXPIRY) == {}


async def test_the_certificate_that_is_served_has_its_date(
    start: Start, tmp_path: Path
) -> None:
    """Of each listener; another file is another date once it is reloaded."""
    first = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)
    second = datetime(2051, 1, 2, 3, 4, 5, tzinfo=UTC)
    local = Authority(tmp_path)
    local.issue(first)
    process = await start()
    whole = process.path.read_text("utf-8")
    keys = "".join(f"{key} = '{file}'\n" for key, file in local.server.items())
    process.path.write_text(f"{whole}\n[[listen]]\nport = 0\n{keys}", "utf-8")
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration reloaded")
    ((listener, date),) = (await scrape(process, EXPIRY)).items()
    assert listener.startswith("127.0.0.1:")
    assert not listener.endswith((":0", f":{process.port}"))
    assert date == first.timestamp()
    local.issue(second)
    assert await scrape(process, EXPIRY) == {listener: first.timestamp()}
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration reloaded")
    assert await scrape(process, EXPIRY) == {listener: second.timestamp()}


async def test_a_refused_reload_leaves_the_date_of_what_is_served(
    start: Start, tmp_path: Path
) -> None:
    served = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)
    local = Authority(tmp_path)
    local.issue(served)
    process = await start()
    whole = process.path.read_text("utf-8")
    keys = "".join(f"{key} = '{file}'\n" for key, file in local.server.items())
    process.path.write_text(f"{whole}\n[[listen]]\nport = 0\n{keys}", "utf-8")
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration reloaded")
    ((listener, _),) = (await scrape(process, EXPIRY)).items()
    local.issue(datetime(2051, 1, 1, tzinfo=UTC))
    busy = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    taken = busy.sockets[0].getsockname()[1]
    with process.path.open("a", encoding="utf-8") as file:
        file.write(f"\n[[listen]]\nport = {taken}\n")
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration rejected")
    busy.close()
    await busy.wait_closed()
    assert await scrape(process, EXPIRY) == {listener: served.timestamp()}
    assert await scrape(process, RELOADED) == {"0": 0}
