"""upstream_parsing: what old servers send is refused, or taken and framed anew."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.messages import GET
from tests.support.raw import Upstream
from tests.support.running import document

pytestmark = pytest.mark.any_loop

KEY = 'upstream_parsing = "lenient"'

heads = pytest.mark.parametrize(
    ("sent", "shown"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\nok", b"X-A: b", id="bare LF"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length \t: 2\r\n\r\nok",
            b"X-A: b",
            id="space before a colon",
        ),
    ],
)


@heads
async def test_a_head_of_an_old_server_is_taken_where_the_route_says_so(
    proxy: StartProxy, upstream: Upstream, sent: bytes, shown: bytes
) -> None:
    table = {"target": upstream.url, "upstream_parsing": "lenient"}
    running = await proxy({"/": table})
    client, server = await running.begin(upstream, GET)
    for position in range(len(sent)):  # byte by byte
        await server.send(sent[position : position + 1])
    head = await client.read_head()
    assert b"\r\n" + shown + b"\r\n" in head
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert await client.read(2) == b"ok"
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1  # and serves again
    await client.send(GET)
    await server.read_head()
    await server.send(sent)
    await client.read_head()
    assert await client.read(2) == b"ok"


@heads
async def test_elsewhere_it_is_a_502_that_names_the_key(
    proxy: StartProxy, upstream: Upstream, sent: bytes, shown: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET)
    await server.send(sent)
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    told = json.loads(await client.read_until(b"\n}\n"))["error"]
    assert told["message"].endswith(f"; {KEY} accepts it")


@pytest.mark.parametrize("lenient", [True, False])
async def test_a_radio_stream(
    proxy: StartProxy, upstream: Upstream, lenient: bool
) -> None:
    parsing = "lenient" if lenient else "strict"
    running = await proxy({"/": {"target": upstream.url, "upstream_parsing": parsing}})
    client, server = await running.begin(upstream, GET)
    await server.send(b"ICY 200 OK\r\nicy-name: a\r\n\r\n")
    head = await client.read_head()
    if not lenient:
        assert head.startswith(b"HTTP/1.1 502 ")
        told = json.loads(await client.read_until(b"\n}\n"))["error"]
        assert told["message"].endswith(f"; {KEY} accepts it")
        return
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    for number in range(3):
        await server.send(b"sound %d" % number)
        assert await client.read_chunk() == b"sound %d" % number
    server.finish()
    assert await client.read_chunk() == b""


@pytest.mark.parametrize("lenient", [True, False])
async def test_padded_chunk_sizes(
    proxy: StartProxy, upstream: Upstream, lenient: bool
) -> None:
    parsing = "lenient" if lenient else "strict"
    running = await proxy({"/": {"target": upstream.url, "upstream_parsing": parsing}})
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.read_head()
    for number in range(3):
        await server.send(b"7   \r\nevent %d\r\n" % number)
        if not lenient:
            break
        assert await client.read_chunk() == b"event %d" % number
    if not lenient:
        assert await client.read_to_close() == (b"", "fin")  # without a last chunk
        assert f"; {KEY} may accept it" in str((await running.ended()).error)
        return
    await server.send(b"2\r\nok\r\n")  # strict, and passed on at once
    assert await client.read_chunk() == b"ok"
    await server.send(b"0 \n\n")
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1


async def test_many_tiny_chunks_leave_the_loop_to_others(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "upstream_parsing": "lenient"}}
    )
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.read_head()
    count = 200_000
    server.writer.write(b"1 \na\n" * count + b"0\n\n")
    received = b""
    while piece := await client.read_chunk():
        received += piece
    assert received == b"a" * count


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\nContent-Length: 2\nTransfer-Encoding: chunked\n\n",
            id="two lengths",
        ),
        pytest.param(b"HTTP/1.1 200 OK\n X : a\n\n", id="a folded line"),
        pytest.param(b"SSH-2.0-a\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\nX: " + b"x" * 3000, id="too long"),
    ],
)
async def test_what_no_reader_should_take_is_refused_there_too(
    proxy: StartProxy, upstream: Upstream, answer: bytes
) -> None:
    table = {
        "target": upstream.url,
        "upstream_parsing": "lenient",
        "max_response_head_bytes": 2000,
    }
    running = await proxy({"/": table})
    client, server = await running.begin(upstream, GET)
    await server.send(answer)
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    assert "lenient" not in str((await running.ended()).error)
    await server.closed()


LOADED = """
from pathlib import Path
import sys
from proxy.config.load import load
from proxy.server.server import Server
Server(load(Path(sys.argv[1]), {}, {}))
print("proxy.http1.lenient" in sys.modules)
"""


@pytest.mark.parametrize("parsing", ["strict", "lenient"])
def test_only_such_routes_load_it(tmp_path: Path, parsing: str) -> None:
    path = tmp_path / "config.toml"
    table = {"target": "http://a", "upstream_parsing": parsing}
    path.write_text(document({"/": table}, {}), "utf-8")
    told = subprocess.run(
        [sys.executable, "-c", LOADED, str(path)], capture_output=True, check=True
    )
    assert told.stdout.strip().decode() == str(parsing == "lenient")
