"""The image, really built and run: its user, its signals, and a stream through it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.deploy import images
from tests.deploy.images import Container, Podman, container
from tests.support.raw import Peer
from tests.support.running import document
from tests.support.thorough import thorough

pytestmark = pytest.mark.container

CONFIG = "/etc/unbuffered/config.toml"
EVENTS = 7  # of the demo, the end included
REWRITE = {"^/sse": ""}
GET = b"GET /sse/events?interval_ms=10 HTTP/1.1\r\nHost: a\r\n\r\n"
ENDLESS = (
    b"GET /sse/events?interval_ms=20&count=100000 HTTP/1.1\r\nHost: a\r\n"
    b"Accept: text/event-stream\r\n\r\n"
)


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    """podman, with the image built."""
    if reason := images.missing():
        pytest.skip(reason)
    podman = Podman(Path(tempfile.mkdtemp(prefix="unbuffered-image-")))
    try:
        try:
            images.base_image(podman, compiler=thorough())
            images.try_out(podman)
        except images.CommandFailed as error:
            pytest.skip(f"containers cannot be built or run here: {error}")
        images.build(podman, compiled=thorough())
        yield podman
    finally:
        podman.remove()


@pytest.fixture(scope="module")
def running(podman: Podman) -> Iterator[Container]:
    """One for all tests of this file that leave it as it is."""
    with started(podman, "one", workers=1) as proxy:
        yield proxy


@contextlib.contextmanager
def started(podman: Podman, name: str, *, workers: int) -> Iterator[Container]:
    """Unbuffered, and the demo's services in the same network."""
    config = podman.folder / f"etc-{name}"
    config.mkdir()
    routes = {"/sse": {"target": "http://127.0.0.1:8002", "path_rewrite": REWRITE}}
    server = {"drain_seconds": 60, "workers": workers}
    (config / "config.toml").write_text(document(routes, {"server": server}), "utf-8")
    mount = ("--volume", f"{config}:/etc/unbuffered:ro", "--network", "none")
    with container(podman, options=mount, name=name) as proxy:
        beside = ("--network", f"container:{name}", "--no-healthcheck")
        python = ("--entrypoint", '["python3", "-m", "upstream_demo"]')
        options = (*beside, *python)
        with container(podman, options=options, name=f"{name}-demo") as demo:
            demo.said("Ctrl-C stops")
            proxy.said("Ctrl-C stops")
            yield proxy


def test_it_has_no_rights(running: Container) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in running.exec("cat", "/proc/1/status").splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["65532"] * 4
    assert status["Gid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    # Not by a number that only this container has.
    assert (
        running.podman.run(
            "image", "inspect", "--format", "{{.Config.User}}", images.IMAGE
        ).strip()
        == "65532:65532"
    )


def test_process_1_is_the_proxy(running: Container) -> None:
    command = running.exec("cat", "/proc/1/cmdline").split("\0")
    assert command[1].endswith("/unbuffered")
    assert command[2] == "serve"


def test_its_core_is_compiled_where_that_is_asked_for(running: Container) -> None:
    [banner] = [line for line in running.log().splitlines() if "Unbuffered" in line]
    assert (", compiled" in banner) == thorough()


def test_nothing_of_it_can_be_written(running: Container) -> None:
    script = (
        "import os, sys\n"
        "for root, folders, _ in os.walk('/'):\n"
        "    if root in ('/proc', '/sys', '/dev'):\n"
        "        folders.clear()\n"
        "    elif os.access(root, os.W_OK): print(root)\n"
    )
    # podman adds these to a read-only root, for programs that need them.
    added = {"/run", "/run/lock", "/run/shm", "/tmp", "/var/tmp"}
    assert set(running.exec("python3", "-c", script).split()) <= added


def test_the_build_leaves_no_tools_and_no_settings_behind(running: Container) -> None:
    found = running.exec("find", "/opt/unbuffered/bin", "/src", "/tmp", check=False)
    assert "pip" not in found
    assert "/src" not in found
    assert running.exec("cat", "/etc/pip.conf", check=False) == ""


def test_it_says_that_it_is_healthy(running: Container) -> None:
    running.podman.run("healthcheck", "run", running.name)


async def test_a_stream_of_the_demo_comes_through(running: Container) -> None:
    async with connected(running) as peer:
        await peer.send(GET)
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/event-stream" in head
        body = await peer.read_body()
        assert body.count(b"\n\n") == EVENTS


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("way", ["SIGTERM", "unbuffered drain"])
async def test_it_drains(podman: Podman, way: str, workers: int) -> None:
    """As `docker stop` and preStop do it. Its exit status says that nobody was cut."""
    name = f"{way.split()[-1].lower()}-{workers}"
    with started(podman, name, workers=workers) as proxy:
        async with connected(proxy) as peer:
            await peer.send(ENDLESS)
            await peer.read_head()
            if way == "SIGTERM":
                podman.run("kill", "--signal", "TERM", name)
            else:
                podman.run("exec", "--detach", name, *way.split(), "--config", CONFIG)
            # Only the drain ends it, and between two events.
            assert (await peer.read_body()).endswith(b"\n\n")
        status = await asyncio.to_thread(podman.run, "wait", name)
        assert status.strip() == "0"


@contextlib.asynccontextmanager
async def connected(running: Container) -> AsyncIterator[Peer]:
    """A raw client beside the proxy, in the container's network."""
    sock = running.connect(8080)
    sock.setblocking(False)
    peer = Peer(*await asyncio.open_connection(sock=sock))
    yield peer
    peer.close()
    await peer.writer.wait_closed()
