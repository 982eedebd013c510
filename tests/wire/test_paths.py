"""A path that would leave its route never gets to the upstream."""

from __future__ import annotations

import json

import pytest

from proxy.errors import MalformedRequest
from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.raw import Peer, Upstream, chunk, idle

pytestmark = pytest.mark.any_loop

UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


def get(target: bytes, fields: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (target, fields)


async def refusal(client: Peer) -> str:
    """Read a 400 and return its message."""
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Proxy-Status: unbuffered; error=http_request_error\r\n" in head
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    message: str = json.loads(await client.read(length))["error"]["message"]
    return message


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"/sse/../admin", id="plain"),
        pytest.param(b"/sse/%2e%2E/admin", id="encoded"),
        pytest.param(b"/sse/%252e%252e/admin", id="encoded twice"),
        pytest.param(b"/sse/..\\admin", id="backslash"),
        pytest.param(b"/sse/..;x/admin", id="parameter"),
        pytest.param(b"/sse/..%2fadmin", id="encoded slash"),
        pytest.param(b"http://a/sse/../admin", id="absolute-form"),
        pytest.param(b"/..", id="above the root"),
        pytest.param(b"/x/%2e%2e/%2e%2e/etc/passwd?q", id="above the root, encoded"),
    ],
)
@pytest.mark.parametrize("fields", [b"", UPGRADE], ids=["plain", "upgrade"])
async def test_a_path_that_leaves_its_prefix_never_reaches_the_upstream(
    proxy: StartProxy, upstream: Upstream, target: bytes, fields: bytes
) -> None:
    options = {"target": upstream.url, "ws": True}
    stripped = {**options, "path_rewrite": {"^/sse": ""}}
    running = await proxy({"/": options, "/sse": stripped})
    client = await running.client()
    await client.send(get(target, fields) + get(b"/sse/next"))
    assert "leave the prefix of the route" in await refusal(client)
    assert b"Connection: close\r\n" in client.head
    await client.closed()
    timeline = await running.ended()
    assert (timeline.ending, type(timeline.error)) == (
        Ending.REFUSED,
        MalformedRequest,
    )
    # The first that the upstream hears of is the request of another client.
    _, server = await running.begin(upstream, get(b"/sse/ok"))
    assert server.head_lines[0] == b"GET /ok HTTP/1.1"
    assert upstream.unexpected == 0


async def test_a_rule_that_lays_dot_segments_bare_is_refused_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {
            "/api": {
                "target": upstream.url + "/base",
                "path_rewrite": {"^/api/v1": ""},
            }
        }
    )
    client = await running.client()
    await client.send(get(b"/api/v1/../admin"))
    assert "after path_rewrite" in await refusal(client)
    timeline = await running.ended()
    assert (timeline.route, timeline.status) == ("/api", 400)
    assert upstream.unexpected == 0


async def test_a_refused_upload_closes_its_connection(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Its body has not been read, so where the next request begins is unknown."""
    running = await proxy({"/sse": {"target": upstream.url}})
    client = await running.client()
    await client.send(
        b"POST /sse/../x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    )
    assert "leave the prefix of the route" in await refusal(client)
    assert b"Connection: close\r\n" in client.head
    await client.closed()
    assert (await running.ended()).ending is Ending.REFUSED
    await idle()
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"/a/../b", id="dot segments that stay below"),
        pytest.param(b"/a%2f..%2Fb/%2e", id="encoded, as encoded as they came"),
        pytest.param(b"//a///b//", id="slashes are not merged"),
        pytest.param(b"/a\\b%5Cc", id="backslashes"),
        pytest.param(b"/a;x=1/b;y", id="parameters"),
        pytest.param(b"/%41%7e%C3%a9\xc3\xa9", id="letters, encoded or not"),
        pytest.param(b"/%00/%0d%0a", id="encoded control bytes"),
        pytest.param(b"/%zz/%", id="no code at all"),
        pytest.param(b"/x?a=/../..&b=%2e%2e/&&=?", id="anything in the query"),
        pytest.param(b"?/..", id="a query at once"),
        pytest.param(b"/...", id="three dots"),
    ],
)
async def test_every_other_path_goes_on_byte_for_byte(
    proxy: StartProxy, upstream: Upstream, rest: bytes
) -> None:
    running = await proxy({"/sse": {"target": upstream.url}})
    _, server = await running.begin(upstream, get(b"/sse" + rest))
    assert server.head_lines[0] == b"GET /sse%b HTTP/1.1" % rest
