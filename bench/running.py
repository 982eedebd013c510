"""Running one measurement: a peer on one core, the load on another.

Processor time is read from the scheduler's own account (nanoseconds, all
threads and children), never taken from a clock on the wall.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.peers import Peer

HERE = Path(__file__).parent
PROXY_CORE, LOAD_CORE = 0, 1
GUARD = 60.0  # seconds for one measurement
PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def load_program(folder: Path) -> Path:
    """The load generator, compiled from bench/load."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("no C compiler: apt-get install gcc")
    program = folder / "load"
    subprocess.run(
        [compiler, "-O2", "-o", str(program), str(HERE / "load" / "load.c")], check=True
    )
    return program


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
def started(peer: Peer, port: int, origin: int, folder: Path) -> Iterator[int]:
    """A peer as a process of its own, ended by its process group."""
    log = (folder / f"{peer.name.replace('/', '-')}.log").open("wb")
    process = subprocess.Popen(
        peer.command(port, origin, folder),
        stdout=log,
        stderr=log,
        cwd=HERE.parent,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {PROXY_CORE}),
    )
    try:
        wait_for(port, process)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a port is listened on."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"ended at once with status {process.returncode}")
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port)),
        ):
            return
        time.sleep(0.05)
    raise RuntimeError("does not listen after 30 s")


@dataclass(frozen=True)
class Outcome:
    """What one run gave. `cpu` in seconds, `memory` in bytes grown since start."""

    cpu: float
    memory: int
    load: dict[str, float]


def measure(
    program: Path, peer: Peer | None, mode: str, count: int, rate: float, seconds: float
) -> Outcome:
    """One run against a fresh process; `peer` None: straight to the origin."""
    origin = free_port()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        port, pid = origin, None
        if peer is not None:
            port = free_port()
            pid = stack.enter_context(started(peer, port, origin, folder))
        before = resident_bytes(pid) if pid else 0
        words = (mode, origin, port, count, rate, seconds)
        load = subprocess.Popen(
            [str(program), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        )
        assert load.stdin is not None
        assert load.stdout is not None
        stack.callback(load.kill)
        guard = threading.Timer(GUARD, load.kill)
        guard.start()
        stack.callback(guard.cancel)
        if load.stdout.readline() != "READY\n":
            raise RuntimeError("the load could not connect")
        time.sleep(0.5)  # what connecting left behind is not the stream's cost
        memory = resident_bytes(pid) - before if pid else 0
        began = processor_seconds(pid) if pid else 0.0
        load.stdin.write("go\n")
        load.stdin.flush()
        told = json.loads(load.stdout.readline())
        cpu = (processor_seconds(pid) if pid else 0.0) - began
        load.stdin.write("end\n")
        load.stdin.close()
        load.wait(10)
        return Outcome(cpu, memory, told)
