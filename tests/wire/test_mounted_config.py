"""A configuration that Kubernetes has mounted: an update replaces a link."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.process import ROOT, WATCHFUL, Process, ending
from tests.support.raw import Upstream
from tests.support.running import Table, document
from tests.support.volume import Volume

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(os.name == "nt", reason="links, as Kubernetes makes them"),
]


def config(
    routes: dict[str, Table], workers: int = 1, **server: object
) -> dict[str, bytes]:
    """The content of the volume with the configuration."""
    tables: dict[str, Table] = {
        "server": {"port": 0, "workers": workers, **server},
        "log": {"access": False},
    }
    return {"config.toml": document(routes, tables).encode()}


@contextlib.asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Process]:
    """`unbuffered serve --watch`, as a container runs it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", WATCHFUL, "serve", "--watch", "--config", str(path)),
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    process = Process(path, child)
    async with ending(child):
        banner = await process.line("Unbuffered")
        process.port = int(banner.partition("127.0.0.1:")[2].partition("/")[0])
        await process.line("Ctrl-C stops")
        yield process


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_update_of_the_volume_reloads(
    tmp_path: Path, upstream: Upstream, workers: int
) -> None:
    route: Table = {"target": upstream.url}
    volume = Volume(tmp_path / "etc", config({"/a": route}, workers))
    async with serving(volume / "config.toml") as process:
        for before, after in (("/a", "/b"), ("/b", "/c")):
            volume.update(config({after: route}, workers))
            line = await process.line("configuration reloaded")
            assert line.endswith(
                f"reloaded: route {before} removed; route {after} added\n"
            )


async def test_a_renewed_secret_is_shown_to_the_next_client(
    tmp_path: Path, upstream: Upstream
) -> None:
    """cert-manager writes certificate and key anew; the configuration stays."""
    (tmp_path / "made").mkdir()
    authority = Authority(tmp_path / "made")

    def pair() -> dict[str, bytes]:
        return {
            "tls.crt": (authority.folder / "cert.pem").read_bytes(),
            "tls.key": (authority.folder / "key.pem").read_bytes(),
        }

    secret = Volume(tmp_path / "tls", pair())
    volume = Volume(
        tmp_path / "etc",
        config(
            {"/a": {"target": upstream.url}},
            tls_certificate=str(secret / "tls.crt"),
            tls_key=str(secret / "tls.key"),
        ),
    )

    async def shown(port: int) -> bytes | None:
        context = authority.context()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        return tls.getpeercert(binary_form=True)

    async with serving(volume / "config.toml") as process:
        first = await shown(process.port)
        authority.issue()
        secret.update(pair())
        assert "content of tls_certificate" in await process.line("reloaded")
        assert await shown(process.port) != first
