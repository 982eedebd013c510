"""Thousands of streams that end in every way at once: is anything lost or kept?

Starts the proxy as a process of its own and keeps so many streams open through
it for so long. Clients leave (FIN, reset), upstreams die (FIN, reset, before and
after the head) and stall, and the proxy reloads its configuration. Every byte is
compared. At the end nothing may be missing, no broken stream may have ended as
if it were whole, and the process holds no more than at the beginning.

    python -m bench.soak                            1,000 streams, 180 s
    python -m bench.soak --streams 3000 --seconds 3600
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import platform
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from bench.soak_peers import Client, Plan, Upstream

FAULTS = ("wrong_bytes", "lost_bytes", "false_clean_end", "hung", "broken", "unheard")
RELOAD_SECONDS = 10.0
SETTLE_SECONDS = 8.0  # idle upstream connections are kept for 4 s
MAX_GROWTH = 16 * 1024  # KiB, from a third of the time to its end
MAX_DESCRIPTORS = 3  # more than at the beginning
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@contextlib.asynccontextmanager
async def proxy(target: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The proxy as users run it, on a free port; it has to exit with 0."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(f'server.port = {port}\n[routes."/"]\ntarget = "{target}"\n')
        log = Path(folder) / "log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "proxy", "--config", str(config)),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
            )
            while "Ctrl-C" not in log.read_text():  # noqa: ASYNC110 - it is a file
                await asyncio.sleep(0.05)
        try:
            yield process, port
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            code = await process.wait()
            lines = log.read_text().splitlines()
            print("\n".join(line for line in lines if "Traceback" in line))
            print(f"exit_code    {code}, {len(lines)} lines in its log")


def resident(pid: int) -> int:
    """KiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KIB


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


async def soak(streams: int, seconds: float, pace: float) -> dict[str, object]:
    """Run it; what was counted."""
    upstream = Upstream(pace)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, backlog=4096)
    target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    counts: Counter[str] = Counter(dict.fromkeys(FAULTS, 0))
    async with proxy(target) as (process, port):
        client = Client(port, upstream, counts)
        await client.run(Plan.of(next(numbers)))
        before = descriptors(process.pid)
        memory: list[int] = []
        until = time.monotonic() + seconds

        async def worker() -> None:
            while time.monotonic() < until and process.returncode is None:
                await client.run(Plan.of(next(numbers)))

        async def watch() -> None:
            for second in itertools.count():
                memory.append(resident(process.pid))
                if second % RELOAD_SECONDS == RELOAD_SECONDS - 1:
                    process.send_signal(signal.SIGHUP)
                    counts["reloads"] += 1
                await asyncio.sleep(1)

        watcher = asyncio.ensure_future(watch())
        await asyncio.gather(*(worker() for _ in range(streams)))
        watcher.cancel()
        await asyncio.sleep(SETTLE_SECONDS)
        after = descriptors(process.pid)
        settled = resident(process.pid)
    server.close()
    early = max(memory[: len(memory) // 3 + 1])
    late = max(memory[-len(memory) // 3 :])
    for fault in client.faults:
        print(fault, file=sys.stderr)
    return {
        "open_at_once": streams,
        "seconds": round(seconds),
        **counts,
        "rss_first_third_kib": early,
        "rss_last_third_kib": late,
        "rss_after_kib": settled,
        "descriptors_before": before,
        "descriptors_after": after,
        "upstream_left_open": upstream.open,
        "python": platform.python_version(),
        "passed": not any(counts[name] for name in FAULTS)
        and late - early <= MAX_GROWTH
        and after - before <= MAX_DESCRIPTORS
        and not upstream.open,
    }


numbers = itertools.count(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=1000, help="open at once")
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--pace", type=float, default=0.25, help="s between pieces")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = asyncio.run(soak(options.streams, options.seconds, options.pace))
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:20} {value}")
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
