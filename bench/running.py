"""One measurement: a fresh process on one core, the load on another."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.certificate import certificate_of, make_certificate, tls_options
from bench.coded import write_blocks
from bench.configs import Setting
from bench.leaving import leave, leave_session
from bench.loads import Load, Outcome
from bench.peers import Peer
from bench.processes import (
    HERE,
    cores,
    descriptors,
    free_port,
    last_line,
    processor_seconds,
    redis,
    resident_bytes,
    started,
)

FEED = (
    b"GET /_unbuffered/feed HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: keep-alive\r\n\r\n"
)


def load_program(folder: Path) -> Path:
    """The load program, compiled from bench/load; with TLS where it can be."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("no C compiler: apt-get install gcc libc6-dev")
    program = folder / "load"
    sources = sorted(str(source) for source in (HERE / "load").glob("*.c"))
    found = tls_options()
    command = [compiler, "-O2", "-o", str(program), *sources, *(found or [])]
    subprocess.run(command, check=True)
    if found is not None:
        make_certificate(folder)
    return program


class Program:
    """The load program, running one load. It is ready once it is entered."""

    def __init__(
        self,
        path: Path,
        load: Load,
        setting: Setting,
        publisher: str = "",
        other: int = 0,
    ) -> None:
        words = [load.mode, setting.origin, setting.port]
        words += [load.count, load.rate, load.seconds]
        if load.coding:
            file = setting.folder / "blocks"
            write_blocks(file, load.coding, int(load.rate * load.seconds * 2) + 10)
            words += [load.coding, file]
        if load.sessions:
            words += ["h2", load.sessions]
        if load.tls:
            words.append(load.tls)
        if load.mode == "fanout":
            words += [publisher or "upstream", setting.control]
            words += [other] if other else []
        self.command = [str(path), *map(str, words)]
        self.guard_seconds = load.guard
        self.where = set.union(*cores()) if load.workers > 1 else cores()[1]
        self.complaints = setting.folder / "load.log"

    def __enter__(self) -> Program:
        with self.complaints.open("wb") as file:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, self.where),
            )
        self.guard = threading.Timer(self.guard_seconds, self.process.kill)
        self.guard.start()
        try:
            self.hear("READY")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.guard.cancel()
        with contextlib.suppress(OSError):
            self.tell("end")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self.process.kill()
        self.process.communicate()

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def hear(self, begin: str) -> str:
        """The next line, which has to begin like that."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(begin):
            raise RuntimeError(last_line(self.complaints.read_text()))
        return line


@contextlib.contextmanager
def watching(port: int) -> Iterator[None]:
    """Somebody looks at the inspector: its feed is open and read."""
    with socket.create_connection(("127.0.0.1", port), 5) as feed:
        feed.sendall(FEED)
        try:
            status = feed.recv(65536).partition(b"\r\n")[0].decode("latin-1")
        except TimeoutError:
            status = "no answer"
        if " 200 " not in f"{status} ":
            raise RuntimeError(f"no inspector here: {status}")
        feed.settimeout(None)
        reader = threading.Thread(target=read_all, args=(feed,))
        reader.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                feed.shutdown(socket.SHUT_RDWR)
            reader.join()


def read_all(feed: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while feed.recv(1 << 20):
            pass


def measure(program: Path, peer: Peer | None, load: Load) -> Outcome:
    """One run against a fresh process; `peer` None: straight to the origin."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        origin = free_port()
        port = free_port() if peer else origin
        setting = Setting(
            *(port, origin, Path(name), descriptors(), load.workers),
            coded=bool(load.coding),
            route=load.route,
            record=load.record,
            control=free_port(),
            store=free_port() if load.stored else 0,
            certificate=certificate_of(program) if load.secure else None,
            http2=bool(load.sessions),
        )
        pid = other = 0
        if setting.store:
            stack.enter_context(redis(setting, cores()[0]))
        if peer and load.follows:
            other = free_port()
            owner = dataclasses.replace(
                setting, port=other, folder=setting.folder / "other"
            )
            owner.folder.mkdir()
            stack.enter_context(started(peer, owner, cores()[1]))
        if peer:
            where = set.union(*cores()) if load.workers > 1 else cores()[0]
            pid = stack.enter_context(started(peer, setting, where))
        if load.mode == "leaving":
            leaves = leave_session if load.sessions else leave
            cpu, memory, told = 0.0, 0, leaves(port, origin, load.count)
        else:
            publisher = peer.publisher if peer else ""
            ready = Program(program, load, setting, publisher, other)
            cpu, memory, told = loaded(ready, setting, load, pid)
    return Outcome(cpu, memory, told, time.monotonic() - began)


def loaded(
    ready: Program, setting: Setting, load: Load, pid: int
) -> tuple[float, int, dict[str, float]]:
    """Processor time, memory, and what the load program told."""
    before = resident_bytes(pid) if pid else 0
    with contextlib.ExitStack() as stack:
        program = stack.enter_context(ready)
        if load.watched:
            stack.enter_context(watching(setting.port))
        time.sleep(0.5)  # what connecting left behind is not the stream's cost
        memory = resident_bytes(pid) - before if pid else 0
        began = processor_seconds(pid) if pid else 0.0
        program.tell("go")
        told: dict[str, float] = json.loads(program.hear("{"))
        cpu = (processor_seconds(pid) if pid else 0.0) - began
    return cpu, memory, told
