"""TLS and clients that connect, never begin, and leave: they do not count."""

from __future__ import annotations

import gc
import ssl
from pathlib import Path

import trustme

from proxy.server.admission import SURPLUS
from tests.conftest import StartProxy
from tests.support.raw import Peer, Upstream, became


async def test_clients_that_left_before_tls_do_not_count(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    """At once, not when the collector of garbage comes."""
    authority = trustme.CA()
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    leaf = authority.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(files[0])
    leaf.private_key_pem.write_to_path(files[1])
    running = await proxy(
        {"/": {"target": upstream.url}},
        server={"max_connections": 1, "tls_certificate": files[0], "tls_key": files[1]},
    )
    door = running.server.admission
    gc.disable()
    try:
        silent: list[Peer] = [await running.client() for _ in range(1 + SURPLUS)]
        await became(lambda: len(door.handshakes) == 1 + SURPLUS)
        for number, each in enumerate(silent):
            if number % 3 == 0:
                each.reset()
                continue
            if number % 3 == 1:  # in the middle of its first record
                await each.send(b"\x16\x03\x01\x02\x00")
            each.close()
        await became(lambda: not door.handshakes)
    finally:
        gc.enable()
    plain = await running.client()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    await plain.writer.start_tls(context, server_hostname="127.0.0.1")
    await plain.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await (await upstream.request()).send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await plain.read_head()).startswith(b"HTTP/1.1 204 ")
