"""Peers as processes: started on their cores, ended, and what they used.

Processor time is read from the scheduler's own account (nanoseconds, all
threads and children), never taken from a clock on the wall.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.configs import Command, Setting
from bench.peers import Peer

HERE = Path(__file__).parent
LISTENS_SECONDS = 30.0
OWN_PORTS = range(20000, 32000)  # below what Linux gives out by default
SPARE_DESCRIPTORS = 500  # what a proxy opens beside its connections
Cores = set[int]


@functools.cache
def cores() -> tuple[Cores, Cores]:
    """The proxy's core and the load's: the first two that we may use."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise SystemExit(
            "one core is not enough: the proxy needs one, the load another"
        )
    return {found[0]}, {found[1]}


def descriptors() -> int:
    """How many files a process may open; raised as far as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 100_000 if most == resource.RLIM_INFINITY else min(most, 100_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    return limit


def most_streams(limit: int) -> int:
    """Each takes two descriptors in the proxy, and two in the load program."""
    return (limit - SPARE_DESCRIPTORS) // 2


def free_port() -> int:
    """A port that nothing listens on now, and that the system gives to nobody.

    One of those that it gives out could be another's by the time the proxy,
    which takes its time to start, wants to listen.
    """
    for port in random.sample(OWN_PORTS, 100):
        with (
            contextlib.suppress(OSError),
            socket.create_server(("127.0.0.1", port)),
        ):
            return port
    raise RuntimeError(f"no free port between {OWN_PORTS.start} and {OWN_PORTS.stop}")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def processor_seconds(pid: int) -> float:
    """Time on a processor of a process with its threads and descendants."""
    total = 0
    for process in family(pid):
        for account in Path(f"/proc/{process}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(account.read_text().split()[0])
    return total / 1e9


def resident_bytes(pid: int) -> int:
    """Memory held by a process and its descendants, shared pages counted once.

    Proportional set size, since nginx's worker shares pages with its master.
    """
    total = 0
    for process in family(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


@contextlib.contextmanager
def redis(setting: Setting, where: Cores) -> Iterator[None]:
    """A store with nothing in it, which writes nothing to the disk."""
    if shutil.which("redis-server") is None:
        raise RuntimeError("no redis-server: apt-get install redis-server")
    words = ["--port", str(setting.store), "--save", "", "--appendonly", "no"]
    log = setting.folder / "redis.log"
    process = begun(["redis-server", "--bind", "127.0.0.1", *words], log, where)
    try:
        wait_for(setting.store, process, log)
        yield
    finally:
        end(process)


def begun(command: Command, log: Path, where: Cores) -> subprocess.Popen[bytes]:
    """A process group on its cores."""
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=HERE.parent,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, where),
        )


@contextlib.contextmanager
def started(peer: Peer, setting: Setting, where: Cores) -> Iterator[int]:
    """A peer as a process of its own, ended by its process group."""
    log = setting.folder / "peer.log"
    process = begun(peer.command(setting), log, where)
    try:
        wait_for(setting.port, process, log)
        if peer.publisher:  # Pushpin's parts start one after the other
            wait_for(setting.control, process, log)
        with its_end_told(process, log):
            yield process.pid
    finally:
        end(process)


@contextlib.contextmanager
def its_end_told(process: subprocess.Popen[bytes], log: Path) -> Iterator[None]:
    """A fault that is seen elsewhere says so if the proxy has ended."""
    try:
        yield
    except RuntimeError as fault:
        if process.poll() is None:
            raise
        said = last_line(log.read_text(errors="replace"))
        raise RuntimeError(f"{fault}; the proxy has ended: {said}") from fault


def end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a port is listened on."""
    until = time.monotonic() + LISTENS_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            said = log.read_text(errors="replace").replace(f"{log.parent}/", "")
            raise RuntimeError(f"ended at once: {last_line(said)}")
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port)),
        ):
            return
        time.sleep(0.05)
    raise RuntimeError(f"does not listen after {LISTENS_SECONDS:.0f} s")


def last_line(text: str) -> str:
    """What a program said last, short enough for a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:100] if lines else "it said nothing"
