"""NTLM and Negotiate: what they have authenticated is its client's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.load import load
from tests.conftest import StartProxy
from tests.support.raw import Peer, Upstream, became
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop

ASK = b"GET /%b HTTP/1.1\r\nHost: a\r\n%b\r\n"
OK = b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\n%bContent-Length: 2\r\n\r\nno"

signs = pytest.mark.parametrize(
    ("asked", "answer"),
    [
        pytest.param(b"Authorization: NTLM TlRM\r\n", OK % b"", id="NTLM is sent"),
        pytest.param(b"authorization: negotiate YII\r\n", OK % b"", id="in lower case"),
        pytest.param(b"", UNAUTHORIZED % b"WWW-Authenticate: NTLM\r\n", id="asked for"),
        pytest.param(
            b"",
            UNAUTHORIZED % b'WWW-Authenticate: Basic realm="a", Negotiate\r\n',
            id="one of several",
        ),
        pytest.param(
            b"",
            UNAUTHORIZED
            % b"WWW-Authenticate: Basic\r\nWWW-Authenticate: Negotiate\r\n",
            id="in a field of its own",
        ),
        pytest.param(
            b"", OK % b"WWW-Authenticate: Negotiate oYG\r\n", id="accepted: a token"
        ),
        pytest.param(b"", OK % b"Persistent-Auth: true\r\n", id="still authenticated"),
    ],
)


async def answered(client: Peer, server: Peer, answer: bytes) -> None:
    await server.send(answer)
    await client.read_head()
    await client.read(2)


async def again(client: Peer, server: Peer, path: bytes = b"") -> None:
    """A request without credentials goes by that very connection."""
    await client.send(ASK % (path, b""))
    await server.read_head()
    await answered(client, server, OK % b"")


@signs
@pytest.mark.parametrize("keep", [4, 0], ids=["kept", "none is kept"])
async def test_a_connection_that_met_either_serves_no_other_client(
    proxy: StartProxy, upstream: Upstream, asked: bytes, answer: bytes, keep: int
) -> None:
    table = {"target": upstream.url, "upstream_keepalive_seconds": keep}
    running = await proxy({"/": table})
    client, server = await running.begin(upstream, ASK % (b"", asked))
    await answered(client, server, answer)
    other, second = await running.begin(upstream, ASK % (b"", b""))
    assert second is not server
    await answered(other, second, OK % b"")
    await again(client, server)
    await again(client, server)
    assert running.idle_connections == bool(keep)  # the other's
    client.close()
    await server.closed()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        pytest.param(b"Authorization: Basic bnRsbQ==\r\n", OK % b"", id="Basic"),
        pytest.param(b"Authorization: Bearer ntlm\r\n", OK % b"", id="Bearer"),
        pytest.param(b"Proxy-Authorization: NTLM a\r\n", OK % b"", id="of another hop"),
        pytest.param(
            b"", UNAUTHORIZED % b'WWW-Authenticate: Digest realm="a"\r\n', id="Digest"
        ),
        pytest.param(b"", OK % b"Persistent-Auth: false\r\n", id="no longer"),
    ],
)
async def test_credentials_of_one_request_bind_no_connection(
    proxy: StartProxy, upstream: Upstream, asked: bytes, answer: bytes
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "upstream_keepalive_seconds": 60}}
    )
    client, server = await running.begin(upstream, ASK % (b"", asked))
    await answered(client, server, answer)
    other = await running.client()
    await again(other, server)


async def test_a_handshake_is_on_one_connection_whatever_else_goes_on(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Of several targets too, and however many exchanges that one has."""
    async with Upstream() as second:
        running = await proxy({"/": {"target": [upstream.url, second.url]}})
        client = await running.client()
        await client.send(ASK % (b"", b""))
        await became(lambda: upstream.unexpected + second.unexpected == 1)
        mine = upstream if upstream.unexpected else second
        server = await mine.request()
        await answered(client, server, UNAUTHORIZED % b"WWW-Authenticate: NTLM\r\n")
        for n in range(4):  # streams of others: two for each target
            other = await running.client()
            await other.send(ASK % (b"%d" % n, b""))
        await became(lambda: upstream.unexpected + second.unexpected == 4)
        for message in (b"type-1", b"type-3"):
            await client.send(ASK % (b"", b"Authorization: NTLM %b\r\n" % message))
            await server.read_head()
            assert b"Authorization: NTLM " + message in server.head_lines
            challenge = UNAUTHORIZED % b"WWW-Authenticate: NTLM type-2\r\n"
            await answered(client, server, challenge)
        await again(client, server)


async def test_each_target_has_its_own(proxy: StartProxy, upstream: Upstream) -> None:
    async with Upstream() as second:
        running = await proxy(
            {"/": {"target": upstream.url}, "/b": {"target": second.url}}
        )
        bind = b"Authorization: Negotiate a\r\n"
        client, one = await running.begin(upstream, ASK % (b"", bind))
        await answered(client, one, OK % b"")
        await client.send(ASK % (b"b", bind))
        two = await second.request()
        await answered(client, two, OK % b"")
        await again(client, one)
        await again(client, two, b"b")
        await again(client, one)
        client.reset()
        await one.closed()
        await two.closed()


async def bound(running: RunningProxy, upstream: Upstream) -> tuple[Peer, Peer]:
    """A client, and the connection that is its own."""
    client, server = await running.begin(
        upstream, ASK % (b"", b"Authorization: NTLM a\r\n")
    )
    await answered(client, server, OK % b"")
    return client, server


@pytest.mark.parametrize("how", ["close", "reset", "unasked"])
async def test_one_that_the_upstream_closes_is_replaced(
    proxy: StartProxy, upstream: Upstream, how: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await bound(running, upstream)
    connection = running.connection
    assert connection.private is not None
    if how == "unasked":
        await server.send(b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        getattr(server, how)()
    private = connection.private
    await became(lambda: not private.idle)  # and nothing is left of it
    await client.send(ASK % (b"", b""))
    await answered(client, await upstream.request(), OK % b"")


async def test_it_outlives_a_reload_and_ends_with_the_proxy(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await bound(running, upstream)
    path = tmp_path / "again.toml"
    path.write_text(f'[routes."/"]\ntarget = "{upstream.url}"\n', "utf-8")
    await running.server.reload(load(path, {}, {"server.port": 0}))
    await again(client, server)
    await running.server.stop()
    await server.closed()
