"""The fixtures of the pytest plugin, in tests of every kind that strangers write."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.plugin.conftest import INSTALLED, Run

ASYNCIO = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function")
AUTO = (*ASYNCIO, "-o", "asyncio_mode=auto")
STRICT = (*ASYNCIO, "-o", "asyncio_mode=strict")
ANYIO = ("-p", "anyio")

PLAIN = """
import urllib.request


def test_each_event_comes_before_the_next_is_sent(stream_origin, unbuffered_proxy):
    proxy = unbuffered_proxy(stream_origin.url)
    # A request blocks this thread until the head is here, which comes by itself.
    coming = stream_origin.stream("/events")
    response = urllib.request.urlopen(proxy.url + "/events")
    request = coming.result()
    for number in (1, 2, 3):
        request.send_event(f"event {number}", id=number)
        assert response.readline() == b"id: %d\\n" % number
        assert response.readline() == b"data: event %d\\n" % number
        assert response.readline() == b"\\n"
    request.finish()
    assert response.read() == b""
    [exchange] = proxy.wait_ended().result()
    assert exchange.ending == "complete"
    response.close()


def test_a_cut_is_seen(stream_origin, unbuffered_proxy):
    stream_origin.answer("/x", ["data: 1\\n\\n", "data: 2"], end="fin")
    proxy = unbuffered_proxy({"/": stream_origin.url})
    try:
        with urllib.request.urlopen(proxy.url + "/x") as response:
            response.read()
    except Exception as error:
        assert type(error).__name__ == "IncompleteRead"
    else:
        raise AssertionError("the client has seen no cut")
    [exchange] = proxy.wait_ended().result()
    assert exchange.ending == "upstream broke"
    assert [request.path for request in stream_origin.requests] == ["/x"]


def test_what_is_split_is_so_from_the_first_event_on(broken):
    upstream = broken("split")
    with urllib.request.urlopen(upstream.url) as response:
        assert response.read().decode().startswith("id: 1\\ndata: event 1…\\n\\n")


def test_a_client_that_breaks_off_resumes(broken, unbuffered_proxy):
    upstream = broken(after=3, inside=True, events=4)
    proxy = unbuffered_proxy({"/": upstream.url})
    received = b""
    last = ""
    while True:
        headers = {"Last-Event-ID": last} if last else {}
        asked = urllib.request.Request(proxy.url, headers=headers)
        with urllib.request.urlopen(asked) as response:
            if response.status == 204:
                break
            try:
                text = response.read()
            except Exception as error:
                text = error.partial
        whole = text[: text.rfind(b"\\n\\n") + 2]
        received += whole
        last = str(received.count(b"id: "))
    assert received.count(b"data: event") == 4
    last_ids = [each.field("Last-Event-ID") for each in upstream.requests]
    assert last_ids == [None, "2", "4"]
"""

ASYNC = """
import asyncio
import httpx
MARK


async def test_lock_step(stream_origin, unbuffered_proxy):
    proxy = unbuffered_proxy({"/": stream_origin.url})
    async with httpx.AsyncClient() as client:
        asked = client.build_request("GET", proxy.url + "/events")
        coming = asyncio.ensure_future(client.send(asked, stream=True))
        request = await stream_origin.request("/events")
        await request.respond()
        response = await coming
        lines = response.aiter_lines()
        for number in (1, 2, 3):
            await request.send_event({"n": number})
            assert await anext(lines) == 'data: {"n": %d}' % number
            assert await anext(lines) == ""
        await response.aclose()
        await request.left()
        [exchange] = await proxy.wait_ended()
        assert exchange.ending == "client left"


async def test_a_cut_inside_an_event(broken, unbuffered_proxy):
    upstream = broken(after=3, inside=True)
    proxy = unbuffered_proxy({"/": upstream.url})
    async with httpx.AsyncClient() as client:
        received = ""
        try:
            async with client.stream("GET", proxy.url) as response:
                async for text in response.aiter_text():
                    received += text
        except httpx.RemoteProtocolError:
            pass
        else:
            raise AssertionError("no cut")
        assert received.count("\\n\\n") == 2
        assert "id: 3" in received
        rest = await client.get(proxy.url, headers={"Last-Event-ID": "2"})
        assert rest.text.count("\\n\\n") == 3


async def test_several_at_once(stream_origin, broken, unbuffered_proxy):
    proxies = [unbuffered_proxy(each.url) for each in (stream_origin, broken())]
    assert len({proxy.port for proxy in proxies}) == 2
    with_limit = asyncio.wait_for(stream_origin.request(), 0.01)
    try:
        await with_limit
    except TimeoutError:
        pass
    else:
        raise AssertionError("nobody has asked")
"""


def with_mark(text: str, mark: str) -> str:
    return text.replace("MARK", mark)


def test_plain_tests(run: Run) -> None:
    assert run(PLAIN).outcomes == {"passed": 4}


def test_pytest_asyncio_in_auto_mode(run: Run) -> None:
    assert run(with_mark(ASYNC, ""), *AUTO).outcomes == {"passed": 3}


@pytest.mark.parametrize("scope", ["function", "session"])
def test_pytest_asyncio_in_strict_mode(run: Run, scope: str) -> None:
    mark = f"import pytest; pytestmark = pytest.mark.asyncio(loop_scope={scope!r})"
    assert run(with_mark(ASYNC, mark), *STRICT).outcomes == {"passed": 3}


def test_anyio_on_asyncio(run: Run) -> None:
    mark = (
        "import pytest; pytestmark = pytest.mark.anyio\n"
        "@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
    )
    assert run(with_mark(ASYNC, mark), *ANYIO).outcomes == {"passed": 3}


def test_beside_pytest_asyncio_and_anyio(run: Run) -> None:
    assert run(PLAIN, *AUTO, *ANYIO).outcomes == {"passed": 4}


def test_in_workers_of_xdist(run: Run) -> None:
    pytest.importorskip("xdist")
    assert run(PLAIN, "-p", "xdist", "-n", "2").outcomes == {"passed": 4}


def test_replay_finds_the_file_beside_the_test(run: Run, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "events.jsonl").write_text(RECORD, "utf-8")
    assert run(REPLAY).outcomes == {"passed": 2}


RECORD = (
    '{"unbuffered":1,"began":"2026-11-29T12:00:00.000000Z","by":"x","route":"/",'
    '"target":"http://localhost:8002","request":{"method":"GET","target":"/events",'
    '"version":"1.1","scheme":"http","fields":[]}}\n'
    '{"at":950,"from":"upstream","head":{"status":200,"reason":"OK","version":"1.1",'
    '"fields":[["Content-Type","text/event-stream"]],"framing":"chunked"}}\n'
    '{"at":1003,"from":"upstream","text":"data: 1\\n\\n"}\n'
    '{"at":9000000000,"from":"upstream","text":"data: 2\\n\\n"}\n'
    '{"at":9000000001,"from":"upstream","end":"complete","trailers":[],'
    '"ending":"complete","error":""}\n'
)
REPLAY = """
import urllib.request
import pytest


def test_a_record(replay, unbuffered_proxy):
    upstream = replay("records/events.jsonl", speed=None)
    proxy = unbuffered_proxy(upstream.url)
    with urllib.request.urlopen(proxy.url + "/events") as response:
        assert response.read() == b"data: 1\\n\\ndata: 2\\n\\n"
    [asked] = upstream.requests
    assert asked.target == "/events"


def test_a_record_that_is_not_there(replay):
    with pytest.raises(FileNotFoundError, match="no such file .*nowhere.jsonl"):
        replay("nowhere.jsonl")
"""


# -- what goes wrong


def test_a_script_that_fails_unnoticed_fails_the_test(run: Run) -> None:
    result = run(
        """
        import urllib.request
        from concurrent.futures import ThreadPoolExecutor

        def test_it(stream_origin):
            with ThreadPoolExecutor(1) as pool:
                asking = pool.submit(urllib.request.urlopen, stream_origin.url)
                request = stream_origin.request().result()
                request.send_event("before the head")
                request.respond()
                request.finish()
                asking.result().close()
        """,
    )
    assert result.outcomes == {"passed": 1, "errors": 1}
    assert "send() before respond(), for GET /" in result.text


def test_a_request_that_never_comes_fails_and_says_what_came(run: Run) -> None:
    result = run(
        """
        import urllib.request
        from concurrent.futures import ThreadPoolExecutor
        import pytest

        def test_it(stream_origin):
            stream_origin.guard_seconds = 0.05
            with pytest.raises(TimeoutError, match="no request came for /events"):
                stream_origin.request("/events").result()
        """,
    )
    assert result.outcomes == {"passed": 1}


def test_a_wrong_fault_and_a_wrong_route_say_so(run: Run) -> None:
    result = run(
        """
        import pytest
        import unbuffered

        def test_it(broken, unbuffered_proxy):
            with pytest.raises(ValueError, match="inside: needs after"):
                broken(after=0, inside=True)
            with pytest.raises(ValueError, match="kind: expected"):
                broken("fine")
            with pytest.raises(unbuffered.ConfigError, match="not a valid upstream"):
                unbuffered_proxy("localhost")
        """,
    )
    assert result.outcomes == {"passed": 1}


def test_what_would_test_nothing_says_so(run: Run) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.parametrize("inside", [False, True])
        def test_a_place_beyond_the_stream(broken, inside):
            with pytest.raises(ValueError, match="the stream has 5 events"):
                broken(after=6, inside=inside)
            broken(after=6, inside=inside, events=6)

        @pytest.mark.parametrize("events", [0, -1, [], "one"])
        def test_a_stream_without_events(broken, events):
            with pytest.raises(ValueError, match="events: expected a number from 1"):
                broken("stall", after=0, events=events)

        def test_no_record(replay):
            with pytest.raises(ValueError, match="expected a record"):
                replay()
        """,
    )
    assert result.outcomes == {"passed": 7}


# -- whoever does not use it


@pytest.mark.skipif(
    not INSTALLED, reason="the project is not installed: pip install -e"
)
def test_it_needs_no_option_where_it_is_installed() -> None:
    (found,) = entry_points(group="pytest11", name="unbuffered")
    assert found.value == "unbuffered.pytest_plugin"


def test_without_a_fixture_nothing_of_the_proxy_is_imported(run: Run) -> None:
    result = run(
        """
        import sys

        def test_it():
            assert not [name for name in sys.modules if name.startswith("proxy")]
            ours = {name for name in sys.modules if name.startswith("unbuffered.")}
            assert ours == {"unbuffered.own_package", "unbuffered.pytest_plugin"}
            assert "msgspec" not in sys.modules
        """,
    )
    assert result.outcomes == {"passed": 1}


def test_fixtures_of_a_project_win_over_those_of_the_plugin(run: Run) -> None:
    result = run(
        """
        import pytest

        @pytest.fixture
        def replay():
            return "mine"

        def test_it(replay):
            assert replay == "mine"
        """,
    )
    assert result.outcomes == {"passed": 1}


def test_the_fixtures_are_listed_with_what_they_are(run: Run) -> None:
    result = run("", "--fixtures")
    listed = result.text.splitlines()
    for name in ("unbuffered_proxy", "stream_origin", "replay", "broken"):
        assert any(line.startswith(f"{name} -- ") for line in listed), name
    assert "Start a streaming proxy" in result.text
    assert "_unbuffered_thread" not in result.text
