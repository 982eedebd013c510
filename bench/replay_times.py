"""How exactly `unbuffered replay` keeps recorded times: `python -m bench.replay_times`.

A record of pieces with gaps from 0.3 ms to 40 ms is replayed at speed 1 by a process of
its own, several times. A client reads, in another one. Printed is by how much pieces
came later than recorded, counted from the request, and how many reads there were. Each
run has the calls of a bare event loop at the same times for comparison: its tick, on
this machine, at that moment.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RecordedRequest,
    encode_record,
)

RUNS = 5
PIECES = 400
GAPS = (0.0003, 0.001, 0.003, 0.007, 0.020, 0.040)  # seconds
FIELDS = [("Content-Type", "text/event-stream")]
QUANTILES = {"least": 0.0, "median": 0.5, "90 %": 0.9, "99 %": 0.99, "most": 1.0}
REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


def sample(seed: int = 1) -> ExchangeRecord:
    """A stream whose body ends with its connection: what is read is the pieces."""
    chosen = random.Random(seed)
    at = 2000
    pieces = []
    for number in range(PIECES):
        pieces.append(RecordedPiece(at, "upstream", b"data: %d\n\n" % number))
        at += round(chosen.choice(GAPS) * 1_000_000)
    request = RecordedRequest("GET", "/events", "1.1", "http", [])
    head = RecordedHead(1000, 200, "OK", "1.1", FIELDS, "close")
    end = RecordedEnd(at, "complete")
    return ExchangeRecord(
        "2026-01-01T00:00:00Z", "bench", "/", "", request, [head, *pieces], end
    )


def replayed(url: str) -> tuple[list[float], int]:
    """When each event came, in seconds since the request; and the number of reads."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as client:
        began = time.monotonic()
        client.sendall(REQUEST)
        times: list[float] = []
        reads = 0
        while data := client.recv(65536):
            now = time.monotonic() - began
            events = data.count(b"data: ")
            times += [now] * events
            reads += bool(events)
    return times, reads


async def called(due: list[float]) -> list[float]:
    """When a bare event loop makes calls that are due at these times."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    done = asyncio.Event()
    began = loop.time()

    def call() -> None:
        times.append(loop.time() - began)
        if len(times) == len(due):
            done.set()

    for each in due:
        loop.call_at(began + each, call)
    await done.wait()
    return times


def row(name: str, times: list[float], due: list[float], reads: int) -> str:
    late = sorted(came - recorded for came, recorded in zip(times, due, strict=True))
    values = [late[round(each * (len(late) - 1))] * 1000 for each in QUANTILES.values()]
    return f"{name:<8}" + "".join(f"{each:>9.2f}" for each in values) + f"{reads:>8}"


def main() -> None:
    record = sample()
    due = [piece.at / 1_000_000 for piece in record.response_pieces]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_bytes(encode_record(record))
        command = [sys.executable, "-m", "proxy", "replay", str(path)]
        with subprocess.Popen(
            [*command, "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            names = "".join(f"{name:>9}" for name in QUANTILES)
            sys.stdout.write(f"{PIECES} pieces; ms later than recorded\n")
            sys.stdout.write(f"{'run':<8}{names}{'reads':>8}\n")
            for run in range(1, RUNS + 1):
                times, reads = replayed(url)
                sys.stdout.write(row(str(run), times, due, reads) + "\n")
                bare = asyncio.run(called(due))
                sys.stdout.write(row("  bare", bare, due, len(bare)) + "\n")
            process.terminate()


if __name__ == "__main__":
    main()
