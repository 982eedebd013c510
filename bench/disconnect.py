"""How long until the upstream of an idle stream hears that its client has left?

Starts the proxy as a process of its own, opens idle event streams through it
and closes their clients. Fails when the slowest misses the target.

    python -m bench.disconnect            200 streams
    python -m bench.disconnect --count 50
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from bench.configs import Setting
from bench.leaving import leave
from bench.peers import OURS, PEERS
from bench.processes import cores, descriptors, free_port, started

TARGET_MS = 100.0


def measure(count: int) -> dict[str, float]:
    """Microseconds, of the proxy as users run it."""
    [peer] = [peer for peer in PEERS if peer.name == OURS]
    with tempfile.TemporaryDirectory() as folder:
        ports = free_port(), free_port()
        setting = Setting(*ports, Path(folder), descriptors())
        with started(peer, setting, cores()[0]):
            return leave(*ports, count)


def main() -> int:
    """Measure, print, and fail when the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="streams (1 to 2000)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    told = measure(max(1, min(options.count, 2000)))
    result = {
        "measure": "client gone to upstream closed, idle stream",
        "streams": int(told["received"]),
        "median_ms": round(told["p50_us"] / 1000, 3),
        "p99_ms": round(told["p99_us"] / 1000, 3),
        "max_ms": round(told["max_us"] / 1000, 3),
        "target_ms": TARGET_MS,
        "python": platform.python_version(),
    }
    if options.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:12} {value}")
    return 0 if told["max_us"] < TARGET_MS * 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
