"""Counts system calls of proxies: for a piece, a request, a stream, a handshake.

    python -m bench.syscalls
    python -m bench.syscalls --only nginx,unbuffered

Linux, with strace. One client at a time waits for what it asked for before it asks
for more, so each piece is read, written and waited for by itself. That is the most that
a proxy takes: where many pieces come at once, it waits once for all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.certificate import certificate_of, tls_options
from bench.configs import Setting
from bench.loads import Load
from bench.peers import BASE, BOTH, PEERS, Peer
from bench.processes import cores, descriptors, family, free_port, started
from bench.running import Program, load_program

ATTACHED_SECONDS = 10.0
FEW = 0.05  # of a call for each piece: what comes by the clock, or once for many
SECONDS = 1.0
ABLE = (BASE, *BOTH, "haproxy")
# What is counted, and by which number of the load program it is divided.
LOADS: dict[str, tuple[Load, str]] = {
    "piece": (Load("lockstep", 1, 0, SECONDS), "received"),
    "request": (Load("requests", 1, 0, SECONDS), "received"),
    "stream": (Load("lives", 1, 0, SECONDS), "ended"),
    "connection": (Load("connects", 1, 0, SECONDS), "ended"),
    "TLS piece": (Load("lockstep", 1, 0, SECONDS, tls="tls"), "received"),
    "TLS request": (Load("requests", 1, 0, SECONDS, tls="tls"), "received"),
    "handshake": (Load("connects", 1, 0, SECONDS, tls="tls"), "ended"),
    "resumption": (Load("connects", 1, 0, SECONDS, tls="resumed"), "ended"),
}
Counts = Mapping[str, float]  # by the call's name


def counts(text: str) -> dict[str, int]:
    """How often each was called, from strace's table of names and numbers."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0].isdigit() and words[1] != "total":
            found[words[1]] = int(words[0])
    return found


def shares(found: Mapping[str, int], pieces: float) -> Counts:
    """For each piece, the dearest first; what comes by the clock is left out."""
    each = {name: count / pieces for name, count in found.items()}
    kept = {name: share for name, share in each.items() if share >= FEW}
    return dict(sorted(kept.items(), key=lambda item: -item[1]))


def tells(found: Counts) -> str:
    """`4.0: epoll_wait 2.0, read 1.0, write 1.0`."""
    each = ", ".join(f"{name} {share:.1f}" for name, share in found.items())
    return f"{sum(found.values()):6.1f}: {each}"


@contextlib.contextmanager
def traced(pid: int, table: Path) -> Iterator[None]:
    """Count the calls of a process and its descendants meanwhile."""
    pids = [word for each in family(pid) for word in ("-p", str(each))]
    command = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(table), *pids]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + ATTACHED_SECONDS
        while not all(tracer(each) for each in family(pid)):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                raise RuntimeError(f"strace: {process.communicate()[1].strip()}")
            time.sleep(0.01)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def tracer(pid: int) -> bool:
    """Does another process trace this one?"""
    status = Path(f"/proc/{pid}/status").read_text()
    return "\nTracerPid:\t0\n" not in status


def measure(program: Path, peer: Peer, load: Load, per: str) -> Counts:
    """What one of them takes."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        setting = Setting(
            *(free_port(), free_port(), Path(name), descriptors()),
            certificate=certificate_of(program) if load.secure else None,
        )
        pid = stack.enter_context(started(peer, setting, cores()[0]))
        ready = stack.enter_context(Program(program, load, setting))
        time.sleep(0.2)  # what connecting left behind
        table = Path(name) / "calls"
        with traced(pid, table):
            ready.tell("go")
            said = ready.hear("{")
        return shares(counts(table.read_text()), told(said, per))


def told(line: str, name: str) -> float:
    """A number of the load program; never none."""
    said: dict[str, float] = json.loads(line)
    if said["errors"] or not said[name]:
        raise RuntimeError(
            f"{said[name]:.0f} came through, {said['errors']:.0f} errors"
        )
    return said[name]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.syscalls")
    add = parser.add_argument
    add("--only", default=",".join(ABLE), help="comma-separated names of proxies")
    add("--loads", default=",".join(LOADS), help="comma-separated, of the names shown")
    return parser.parse_args()


def main() -> int:
    """Print a line for each load and proxy."""
    options = arguments()
    if shutil.which("strace") is None:
        print("no strace: apt-get install strace", file=sys.stderr)
        return 1
    names = options.only.split(",")
    peers = [peer for peer in PEERS if peer.name in names and peer.version()]
    wanted = [name.strip() for name in options.loads.split(",")]
    os.sched_setaffinity(0, cores()[1])
    with tempfile.TemporaryDirectory() as folder:
        program = load_program(Path(folder))
        for name, (load, per) in LOADS.items():
            if name not in wanted or (load.secure and tls_options() is None):
                continue
            for peer in peers:
                found = tells(measure(program, peer, load, per))
                print(f"{name:13}{peer.name:20}{found}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
