"""Tables `[[listen]]` for the tests, and clients of what listens."""

from __future__ import annotations

import asyncio

from tests.support.certificates import Authority
from tests.support.raw import GUARD, Peer, connect
from tests.support.running import RunningProxy, Table


def listen(*tables: Table) -> dict[str, Table]:
    """As tables of a document, which have different names: blanks do not count."""
    return {
        f"[{' ' * number}listen]": {"host": "127.0.0.1", "port": 0, **table}
        for number, table in enumerate(tables)
    }


async def client_of(
    running: RunningProxy, number: int, authority: Authority | None = None
) -> Peer:
    """A client of a listener by its number, from 1; 0 is that of [server]."""
    listeners = running.server.listeners.all
    port = listeners[number].port
    if authority is None:
        peer = await connect(port)
    else:
        async with asyncio.timeout(GUARD):
            peer = Peer(
                *await asyncio.open_connection(
                    "127.0.0.1", port, ssl=authority.context()
                )
            )
    running.clients.append(peer)
    return peer
