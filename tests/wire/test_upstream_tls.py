"""TLS towards the upstream: verified, and told in words when it does not hold."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
import trustme

from proxy.config.target import parse_target
from proxy.errors import UpstreamTLSFailed, UpstreamTruncated, UpstreamUntrusted
from proxy.timeline import Ending
from proxy.transport.connector import Connector
from proxy.transport.resolver import Resolver
from proxy.transport.upstream_connection import INTERIM_A_TURN
from proxy.transport.upstream_tls import trust
from tests.conftest import StartProxy
from tests.support.blunt import Blunt
from tests.support.messages import OK
from tests.support.raw import GUARD, Peer, Upstream, became, idle, turns

GET = b"GET / HTTP/1.1\r\nHost: public.example\r\n\r\n"
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass
class Hello:
    """What the proxy said in its TLS handshakes."""

    names: list[str | None] = field(default_factory=list)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def hello() -> Hello:
    return Hello()


Serve = Callable[[trustme.LeafCert], Upstream]


@pytest.fixture
def serve(hello: Hello) -> Serve:
    """An upstream that shows a certificate and would rather speak HTTP/2."""

    def with_certificate(certificate: trustme.LeafCert) -> Upstream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.sni_callback = lambda sock, name, _: hello.names.append(name)
        return Upstream(tls=context)

    return with_certificate


async def refusal(client: Peer) -> dict[str, str]:
    """The error in the body of a 502."""
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 502 ")
    _, _, rest = head.partition(b"Content-Length: ")
    body = await client.read(int(rest.partition(b"\r\n")[0]))
    error: dict[str, str] = json.loads(body)["error"]
    return error


@pytest.mark.parametrize("scheme", ["https", "wss"])
@pytest.mark.parametrize("change_origin", [True, False])
async def test_a_certificate_of_an_authority_in_ca_file_is_good(
    proxy: StartProxy,
    authority: trustme.CA,
    ca_file: str,
    serve: Serve,
    hello: Hello,
    scheme: str,
    change_origin: bool,
) -> None:
    """SNI is the target's host, whatever Host says (RFC 6066 §3)."""
    async with serve(authority.issue_cert("localhost")) as upstream:
        running = await proxy(
            {
                "/": {
                    "target": f"{scheme}://localhost:{upstream.port}",
                    "ws": scheme == "wss",
                    "ca_file": ca_file,
                    "change_origin": change_origin,
                }
            }
        )
        client, server = await running.begin(upstream, GET)
        asked = b"localhost:%d" % upstream.port if change_origin else b"public.example"
        assert b"Host: " + asked in server.head_lines
        tls = server.writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert hello.names == ["localhost"]
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await client.read(2) == b"ok"
        assert (await running.ended()).ending is Ending.COMPLETE
        assert running.idle_connections == 1


async def test_an_address_has_to_be_in_the_certificate_too(
    proxy: StartProxy, authority: trustme.CA, ca_file: str, serve: Serve, hello: Hello
) -> None:
    async with serve(authority.issue_cert("127.0.0.1")) as upstream:
        running = await proxy({"/": {"target": upstream.url, "ca_file": ca_file}})
        client, server = await running.begin(upstream, GET)
        assert hello.names == [None]  # RFC 6066 §3: an address is no name
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_a_path_of_ca_file_begins_where_the_configuration_is(
    proxy: StartProxy, authority: trustme.CA, tmp_path: Path, serve: Serve
) -> None:
    (tmp_path / "0").mkdir()
    authority.cert_pem.write_to_path(str(tmp_path / "0" / "own.pem"))
    (tmp_path / "0").rename(tmp_path / "kept")
    async with serve(authority.issue_cert("127.0.0.1")) as upstream:
        running = await proxy(
            {"/": {"target": upstream.url, "ca_file": "../kept/own.pem"}}
        )
        _, server = await running.begin(upstream, GET)
        await server.send(OK)
        assert (await running.ended()).ending is Ending.COMPLETE


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert(
        "localhost", not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2002)
    )


@pytest.mark.parametrize(
    ("make", "trusted", "words"),
    [
        pytest.param(expired, True, "has expired: renew it", id="expired"),
        pytest.param(
            lambda authority: authority.issue_cert("other.example"),
            True,
            "does not cover the host localhost: use a host name in target",
            id="other host",
        ),
        pytest.param(
            lambda authority: authority.issue_cert("localhost"),
            False,
            "is signed by an unknown certificate authority: set ca_file to that CA",
            id="unknown authority",
        ),
    ],
)
async def test_a_certificate_that_is_not_good_is_told_in_words(
    proxy: StartProxy,
    authority: trustme.CA,
    ca_file: str,
    serve: Serve,
    make: Callable[[trustme.CA], trustme.LeafCert],
    trusted: bool,
    words: str,
) -> None:
    async with serve(make(authority)) as upstream:
        target = f"https://localhost:{upstream.port}"
        route = {"target": target, "ca_file": ca_file if trusted else ""}
        running = await proxy({"/": route})
        client = await running.client()
        await client.send(GET)
        error = await refusal(client)
        assert error["type"] == "tls_certificate_error"
        assert error["message"].startswith(f"the certificate of {target} {words}")
        timeline = await running.ended()
        assert timeline.ending is Ending.UPSTREAM_BROKE
        assert isinstance(timeline.error, UpstreamUntrusted)
        assert running.idle_connections == 0


async def test_a_self_signed_certificate_is_good_once_ca_file_names_it(
    proxy: StartProxy, tmp_path: Path
) -> None:
    own = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    own.private_key_pem.write_to_path(str(key))
    own.cert_pem.write_to_path(str(certificate))
    context.load_cert_chain(certificate, key)
    async with Upstream(tls=context) as upstream:
        target = f"https://localhost:{upstream.port}"
        running = await proxy(
            {
                "/": {"target": target},
                "/named": {"target": target, "ca_file": str(certificate)},
            }
        )
        client = await running.client()
        await client.send(GET)
        error = await refusal(client)
        assert error["message"] == (
            f"the certificate of {target} is self-signed: set ca_file to that "
            "certificate"
        )
        # It is trusted now, and found to be of another host (of none).
        await client.send(GET.replace(b"GET /", b"GET /named"))
        assert "does not cover the host" in (await refusal(client))["message"]


async def test_verify_false_takes_any_certificate(
    proxy: StartProxy, authority: trustme.CA, serve: Serve, hello: Hello
) -> None:
    async with serve(expired(authority)) as upstream:
        running = await proxy({"/": {"target": upstream.url, "verify": False}})
        client, server = await running.begin(upstream, GET)
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_an_upstream_without_tls_is_told_as_that(
    proxy: StartProxy, upstream: Upstream
) -> None:
    target = f"https://127.0.0.1:{upstream.port}"
    running = await proxy({"/": {"target": target}})
    client = await running.client()
    await client.send(GET)
    server = await upstream.connection()
    await server.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    error = await refusal(client)
    assert error["type"] == "tls_protocol_error"
    assert error["message"] == (
        f"{target} does not speak TLS; if it speaks plain HTTP, write http:// in the "
        "target"
    )
    timeline = await running.ended()
    assert isinstance(timeline.error, UpstreamTLSFailed)
    await server.read_rest()


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_upstream_that_goes_within_the_handshake_is_told_as_that(
    proxy: StartProxy, upstream: Upstream, how: str
) -> None:
    target = f"https://127.0.0.1:{upstream.port}"
    running = await proxy({"/": {"target": target}})
    client = await running.client()
    await client.send(GET)
    server = await upstream.connection()
    await server.read(5)
    getattr(server, how)()
    error = await refusal(client)
    assert error["type"] == "tls_protocol_error"
    assert error["message"].startswith(f"{target} aborted the TLS handshake")
    await running.ended()


async def test_a_client_that_leaves_within_the_handshake_ends_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": f"https://127.0.0.1:{upstream.port}"}})
    client = await running.client()
    await client.send(GET)
    server = await upstream.connection()
    await server.read(5)
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    await server.read_rest()


async def test_the_next_target_is_asked_where_a_certificate_is_bad(
    proxy: StartProxy, authority: trustme.CA, ca_file: str, serve: Serve
) -> None:
    async with (
        serve(expired(authority)) as bad,
        serve(authority.issue_cert("127.0.0.1")) as good,
    ):
        running = await proxy(
            {"/": {"target": [good.url, bad.url], "ca_file": ca_file}}
        )
        client, server = await running.begin(good, GET)
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("told", "parsing", "whole"),
    [
        pytest.param(True, "strict", True, id="close_notify"),
        pytest.param(False, "strict", False, id="FIN alone"),
        pytest.param(False, "lenient", True, id="FIN alone, of an old server"),
    ],
)
async def test_events_pass_at_once_through_tls_and_a_cut_is_no_end(
    proxy: StartProxy,
    authority: trustme.CA,
    ca_file: str,
    serve: Serve,
    told: bool,
    parsing: str,
    whole: bool,
) -> None:
    """RFC 9112 §9.8: a close without close_notify may be an attacker's."""
    async with serve(authority.issue_cert("127.0.0.1")) as upstream:
        table = {"target": upstream.url, "ca_file": ca_file}
        running = await proxy({"/": {**table, "upstream_parsing": parsing}})
        client, server = await running.begin(upstream, GET)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await client.read_head()
        for number in range(3):
            event = b"data: %d\n\n" % number
            await server.send(event)
            assert await client.read_chunk() == event
        if told:
            server.close()
        else:
            server.writer.transport.abort()
        if whole:
            assert await client.read_chunk() == b""
        else:
            assert await client.read_rest() == b""
        timeline = await running.ended()
        assert (timeline.ending is Ending.COMPLETE) is whole
        assert isinstance(timeline.error, UpstreamTruncated) is not whole
        if not whole:
            assert 'upstream_parsing = "lenient" accepts it' in str(timeline.error)


@pytest.mark.parametrize(
    ("told", "coded"), [(True, False), (True, True), (False, False)]
)
async def test_an_end_that_comes_behind_a_flood_of_heads_is_what_it_was(
    proxy: StartProxy,
    authority: trustme.CA,
    ca_file: str,
    serve: Serve,
    told: bool,
    coded: bool,
) -> None:
    """It is met before the head of the body that it ends has had its turn."""
    text = b"whole " * 1000
    head = b"HTTP/1.1 200 OK\r\n"
    if coded:
        head += b"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
    body = gzip.compress(text) if coded else text
    early = b"HTTP/1.1 103 Early\r\n\r\n" * (3 * INTERIM_A_TURN)
    async with serve(authority.issue_cert("127.0.0.1")) as upstream:
        table = {"target": upstream.url, "ca_file": ca_file}
        running = await proxy({"/": {**table, "max_interim_per_second": 0}})
        client, server = await running.begin(upstream, GET)
        server.writer.write(early + head + b"\r\n" + body)
        if told:
            server.close()
        else:
            server.writer.transport.abort()
        while (await client.read_head()).startswith(b"HTTP/1.1 103 "):
            """All of them."""
        assert client.head.startswith(b"HTTP/1.1 200 ")
        assert await client.read_payload(len(text)) == text
        if told:
            assert await client.read_chunk() == b""
        timeline = await running.ended()
        assert (timeline.ending is Ending.COMPLETE) is told


# -- who leaves within it ---------------------------------------------------------


class Kept(asyncio.Protocol):
    """Knows its transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)


async def leave_in_turn(number: int, connector: Connector, port: int) -> bool:
    """Leave then; who has the descriptor's number next is not listened to."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    leaving = loop.create_task(connector.handshake(Kept, sock))
    await turns(number)
    leaving.cancel()
    await asyncio.wait({leaving})
    if not leaving.cancelled():  # it was connected by then
        leaving.result().transport.abort()
        await idle()
    ours, theirs = socket.socketpair()  # has the number, if it was given back
    with theirs:
        theirs.setblocking(False)
        other = Peer(*await asyncio.open_connection(sock=ours))
        await idle()
        theirs.sendall(b"for the other")
        assert await other.read(13) == b"for the other"
        await other.send(b"answer")
        async with asyncio.timeout(GUARD):
            assert await loop.sock_recv(theirs, 6) == b"answer"
        other.close()
    await became(lambda: not connector.abandoned)
    await became(lambda: sock.fileno() < 0)  # and the descriptor is free
    return leaving.cancelled()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.usefixtures("complaints")
async def test_a_client_that_leaves_costs_no_other_its_descriptor(scheme: str) -> None:
    """In whatever turn of the loop it leaves, before TLS and while it begins."""
    target = parse_target(f"{scheme}://127.0.0.1:1")
    tls = trust(verify=True, ca_file="") if scheme == "https" else None
    connector = Connector(target, tls, Resolver())
    loop = asyncio.get_running_loop()
    for number in range(1, 12):
        with Blunt() as upstream:
            port = upstream.listener.getsockname()[1]
            left = await leave_in_turn(number, connector, port)
            assert left or (number > 1 and scheme == "http")
            accepted = await upstream.connection()
            async with asyncio.timeout(GUARD):
                while await loop.sock_recv(accepted, 65536):
                    """The upstream hears of it at once."""


@pytest.mark.usefixtures("complaints")
async def test_nor_does_one_that_leaves_as_its_handshake_ends(
    authority: trustme.CA, ca_file: str, serve: Serve
) -> None:
    async with serve(authority.issue_cert("localhost")) as upstream:
        target = parse_target(f"https://localhost:{upstream.port}")
        tls = trust(verify=True, ca_file=ca_file)
        connector = Connector(target, tls, Resolver())
        number = 1
        while await leave_in_turn(number, connector, upstream.port):
            number += 1
        assert number > 3
