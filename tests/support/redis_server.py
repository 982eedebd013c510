"""Redis and Valkey servers of a test's own: single ones, and a cluster of three.

Each is a process on a free port with a folder of its own, and keeps nothing on the disk
unless it is told to.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.support.ports import free_port

GUARD = 20.0  # seconds
PROGRAMS = tuple(
    program for program in ("redis-server", "valkey-server") if shutil.which(program)
)
SLOTS = 16384

needs_redis = [
    pytest.mark.redis,
    pytest.mark.skipif(
        not PROGRAMS,
        reason="neither redis-server nor valkey-server is on the PATH",
    ),
]


class RedisServer:
    """One server. It may be stopped and started again on its port."""

    def __init__(self, *options: str, program: str = "", port: int = 0) -> None:
        self.program = program or PROGRAMS[0]
        self.port = port or free_port()
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="unbuffered-redis-"))
        self.process: subprocess.Popen[bytes] | None = None
        self.password: str | None = None
        if "--requirepass" in options:
            self.password = options[options.index("--requirepass") + 1]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def arguments(self) -> list[str]:
        """Of its command line."""
        found = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        found += ["--dir", str(self.folder), "--loglevel", "warning"]
        return [*found, *self.options]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as output:
            self.process = subprocess.Popen(
                [self.program, *self.arguments], stdout=output, stderr=output
            )
        limit = time.monotonic() + GUARD
        while True:
            try:
                with contextlib.closing(self.client()) as client:
                    client.ping()
                return
            except RedisError:
                if time.monotonic() > limit or self.process.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, by SIGKILL."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(GUARD)

    def client(self) -> Redis:
        """To look at what is there."""
        return Redis(port=self.port, password=self.password, socket_timeout=GUARD)

    def do(self, *command: object) -> Any:
        """Run one command."""
        with contextlib.closing(self.client()) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def everything(self) -> bytes:
        """All that stands in it: keys and what they hold, as text."""
        found = []
        with contextlib.closing(self.client()) as client:
            any_client: Any = client
            for key in any_client.scan_iter():
                found += [key, *contents(any_client, key)]
        return b"\n".join(found)


def contents(client: Any, key: bytes) -> Iterator[bytes]:
    """What a key holds."""
    match client.type(key):
        case b"hash":
            for pair in client.hgetall(key).items():
                yield from pair
        case b"stream":
            for id, fields in client.xrange(key):
                yield id
                for pair in fields.items():
                    yield from pair
        case b"zset":
            yield from client.zrange(key, 0, -1)
        case _:
            yield client.get(key) or b""


class RedisCluster:
    """Three of them that share the slots; each may have a replica."""

    def __init__(self, *, replicas: bool = False, program: str = "") -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        self.primaries = [RedisServer(*options, program=program) for _ in range(3)]
        self.replicas = (
            [RedisServer(*options, program=program) for _ in range(3)]
            if replicas
            else []
        )

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for each in self.all:
                stack.enter_context(each)
            self.join()
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stack.close()

    @property
    def all(self) -> list[RedisServer]:
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        return self.primaries[0].url

    def join(self) -> None:
        """Make one cluster of them."""
        first, part = self.primaries[0], SLOTS // 3
        for number, each in enumerate(self.primaries):
            last = SLOTS if number == 2 else (number + 1) * part
            each.do("CLUSTER", "ADDSLOTSRANGE", number * part, last - 1)
        for each in self.all[1:]:
            each.do("CLUSTER", "MEET", "127.0.0.1", first.port)
        self.wait(lambda each: len(each.do("CLUSTER NODES")) == len(self.all))
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.do("CLUSTER", "REPLICATE", primary.do("CLUSTER MYID"))
        self.wait(is_whole)

    def wait(self, condition: Any) -> None:
        """Wait until something is true of every node."""
        limit = time.monotonic() + GUARD
        while not all(map(condition, self.all)):
            assert time.monotonic() < limit, "no cluster"
            time.sleep(0.02)


def is_whole(server: RedisServer) -> bool:
    """Does a node know all slots, and is its link to its primary up?"""
    text = server.do("INFO", "replication")
    link = text.get("master_link_status", "up") if isinstance(text, dict) else "up"
    state = server.do("CLUSTER INFO")
    return state["cluster_state"] == "ok" and link == "up"


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """One server for the time of a test."""
    with RedisServer(*options) as server:
        yield server
