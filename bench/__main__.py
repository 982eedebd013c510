"""Measure Unbuffered beside its peers: `python -m bench`.

Rounds are interleaved, so that a noisy moment hits all alike; each cell is
the median over the rounds, and the ratios are to nginx in the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.peers import PEERS, Peer
from bench.running import Outcome, load_program, measure


@dataclass(frozen=True)
class Measure:
    """One row of the table: how it is run and what number it gives."""

    name: str
    unit: str
    mode: str
    count: int
    rate: float
    seconds: float
    value: Callable[[Outcome], float]


def per_piece(outcome: Outcome) -> float:
    return outcome.cpu / (outcome.load["received"] or float("nan")) * 1e6


def per_stream(count: int) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.memory / count / 1024


def measures(quick: bool) -> list[Measure]:
    """All rows; `quick` for a first look."""
    seconds = 3.0 if quick else 8.0
    rows = [
        Measure(
            "processor time per piece, 100 x 50/s",
            "µs",
            "streams",
            100,
            50,
            seconds,
            per_piece,
        ),
        Measure(
            "latency p50, 100 x 50/s",
            "µs",
            "streams",
            100,
            50,
            seconds,
            lambda outcome: outcome.load["p50_us"],
        ),
        Measure(
            "latency p99, 100 x 50/s",
            "µs",
            "streams",
            100,
            50,
            seconds,
            lambda outcome: outcome.load["p99_us"],
        ),
        Measure(
            "processor time per piece, 1,000 x 20/s",
            "µs",
            "streams",
            1000,
            20,
            seconds,
            per_piece,
        ),
        Measure(
            "memory per open stream, 2,000", "KiB", "idle", 2000, 0, 0, per_stream(2000)
        ),
        Measure(
            "processor time per small request",
            "µs",
            "requests",
            8,
            0,
            seconds,
            per_piece,
        ),
        Measure(
            "processor time per 100 MB of body",
            "ms",
            "bulk",
            4,
            256,
            0,
            lambda outcome: outcome.cpu * 1e3 / (outcome.load["bytes"] / 1e8),
        ),
    ]
    if not quick:
        rows += [
            Measure(
                "memory per open stream, 9,000",
                "KiB",
                "idle",
                9000,
                0,
                0,
                per_stream(9000),
            ),
            Measure(
                "processor time per piece, 5,000 x 2/s",
                "µs",
                "streams",
                5000,
                2,
                seconds,
                per_piece,
            ),
            Measure(
                "processor time per piece, 9,000 x 1/s",
                "µs",
                "streams",
                9000,
                1,
                seconds,
                per_piece,
            ),
        ]
    return rows


Runs = dict[str, dict[str, list[float | None]]]


def run(rows: list[Measure], peers: list[Peer], rounds: int) -> tuple[Runs, list[str]]:
    """All rows for all peers, round by round. Rows of one load share its run."""
    runs: Runs = {row.name: {peer.name: [] for peer in peers} for row in rows}
    faults: list[str] = []
    loads: dict[tuple[str, int, float, float], list[Measure]] = {}
    for row in rows:
        loads.setdefault((row.mode, row.count, row.rate, row.seconds), []).append(row)
    with tempfile.TemporaryDirectory() as folder:
        program = load_program(Path(folder))
        for number in range(rounds):
            for load, sharing in loads.items():
                for peer in peers:
                    label = (
                        f"round {number + 1}/{rounds} {load[0]} {load[1]} {peer.name}"
                    )
                    print(label, file=sys.stderr, flush=True)
                    try:
                        outcome = measure(program, peer, *load)
                    except (RuntimeError, OSError, ValueError) as fault:
                        faults.append(f"{label}: {fault}")
                        outcome = None
                    else:
                        errors = int(outcome.load["errors"])
                        lost = int(outcome.load["sent"] - outcome.load["received"])
                        lost = lost if load[0] == "streams" else 0
                        if errors or lost:
                            faults.append(f"{label}: {errors} errors, {lost} lost")
                    for row in sharing:
                        cell = row.value(outcome) if outcome else None
                        runs[row.name][peer.name].append(cell)
    return runs, faults


def median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(runs: dict[str, list[float | None]], name: str, base: str) -> float | None:
    """The median over the rounds of this peer's ratio to the base."""
    pairs = zip(runs[name], runs[base], strict=True)
    return median([a / b if a is not None and b else None for a, b in pairs])


def table(rows: list[Measure], peers: list[Peer], runs: Runs, base: str) -> str:
    """The result, one line per measure and peer."""
    lines = []
    for row in rows:
        lines.append(f"\n{row.name} [{row.unit}]")
        for peer in peers:
            value = median(runs[row.name][peer.name])
            if value is None:
                lines.append(f"  {peer.name:20} {'failed':>10}")
                continue
            to_base = ratio(runs[row.name], peer.name, base)
            shown = f"{to_base:8.2f} x {base}" if to_base is not None else ""
            lines.append(f"  {peer.name:20} {value:10.1f} {shown}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Unbuffered and its peers.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="shorter, fewer rows")
    parser.add_argument("--only", help="peers, comma-separated (nginx is the base)")
    parser.add_argument("--json", type=Path, help="write all numbers to a file")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else None
    chosen = [peer for peer in PEERS if names is None or peer.name in names]
    peers = [peer for peer in chosen if peer.present()]
    for peer in chosen:
        if peer not in peers:
            print(f"{peer.name} is not here: {peer.how_to_get}", file=sys.stderr)
    rows = measures(options.quick)
    runs, faults = run(rows, peers, options.rounds)
    versions = {peer.name: peer.version() for peer in peers}
    base = "nginx" if "nginx" in versions else peers[0].name
    print(table(rows, peers, runs, base))
    print("\n" + "\n".join(f"{name}: {text}" for name, text in versions.items()))
    print("\n".join(["", "faults:", *faults]) if faults else "\nno errors, none lost")
    if options.json:
        machine = {"cores": os.cpu_count(), "system": platform.platform()}
        result = {"runs": runs, "versions": versions, "faults": faults} | machine
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
