"""A proxy with few file descriptors, in a process of its own.

    python -m tests.support.scarce uvloop 64 http://127.0.0.1:3001 [cert.pem key.pem]

Tells its port on standard output. Its clock stands; each line on standard
input is a number of seconds to go on by, and is answered with `ticked`.
"""

from __future__ import annotations

import asyncio
import resource
import sys

from proxy.config.load import from_routes
from proxy.process.console import set_up_logging
from proxy.server.server import Server


class StandingClock:
    """Goes on only when told. Seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def main(target: str, *files: str) -> None:
    clock = StandingClock()
    keys = ("server.tls_certificate", "server.tls_key")
    settings = {"server.port": 0, "server.error_detail": "all"}
    settings |= dict(zip(keys, files, strict=False))
    server = Server(
        from_routes({"/": target}, settings),
        clock=clock,
    )
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        line = sys.stdin.readline()
        if not line:
            over.set()
            return
        clock.now += float(line)
        server.ticker.tick()
        sys.stdout.write("ticked\n")
        sys.stdout.flush()

    async with server:
        loop.add_reader(sys.stdin.fileno(), told)
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        await over.wait()


if __name__ == "__main__":
    kind, count, *rest = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(count), int(count)))
    set_up_logging()
    factory = asyncio.new_event_loop
    if kind == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(*rest))
