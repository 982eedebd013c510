"""Measure Unbuffered beside its peers: `python -m bench`.

Rounds are interleaved, so that a noisy moment hits all alike; each cell is
the median over the rounds, and the ratios are to nginx in the same round.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.certificate import HOW_TO_GET, tls_options
from bench.loads import Outcome
from bench.machine import describe
from bench.measures import Row
from bench.peers import BASE, DIRECT, PEERS, Peer
from bench.plot import plot
from bench.processes import descriptors, most_streams
from bench.results import Key, Result, collect, record
from bench.rounds import Step, minutes, run_all, steps
from bench.rows import GROUPS, all_rows, loads_of
from bench.table import terminal

MOST_STREAMS = 9000
QUICK_SECONDS = 1.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="3 by default")
    add("--seconds", type=float, default=8.0, help="of each timed run, 8 by default")
    add("--quick", action="store_true", help="one second each: does it work at all?")
    add("--only", metavar="PEERS", help="comma-separated; nginx is the base")
    add("--rows", metavar="GROUPS", help=f"of {', '.join(GROUPS)}")
    add("--every-round", action="store_true", help="slow rows too, not once only")
    add("--plan", action="store_true", help="say what would run and how long")
    add("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    add("--plot", type=Path, metavar="FILE.svg", help="draw the ratios")
    options = parser.parse_args()
    known = {peer.name for peer in PEERS}
    options.only = chosen(parser, "--only", options.only, known)
    options.rows = chosen(parser, "--rows", options.rows, set(GROUPS))
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds have to be more than 0")
    if options.quick:
        options.seconds = QUICK_SECONDS
    return options


def chosen(
    parser: argparse.ArgumentParser, name: str, text: str | None, known: set[str]
) -> set[str]:
    """The names in a list; none given: all that are known."""
    if text is None:
        return known
    names = {word.strip() for word in text.split(",")}
    if names - known:
        parser.error(
            f"{name}: no {', '.join(sorted(names - known))}; "
            f"there are {', '.join(sorted(known))}"
        )
    return names


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def wanted_rows(options: argparse.Namespace) -> list[Row]:
    """The rows asked for, as far as the limit on descriptors allows."""
    limit = descriptors()
    most = most_streams(limit)
    if most < MOST_STREAMS:
        say(
            f"a process may open {limit:,} files here: {most:,} streams at the most, "
            f"not {MOST_STREAMS:,} (raise the limit: ulimit -n 20000)"
        )
    rows = all_rows(options.seconds, min(most, MOST_STREAMS))
    rows = [row for row in rows if row.group in options.rows]
    if any(row.load.secure for row in rows) and tls_options() is None:
        say(f"no rows over TLS, which the load program does not have: {HOW_TO_GET}")
        rows = [row for row in rows if not row.load.secure]
    return rows


def present(names: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Versions of the peers that are here; how to get the others."""
    versions, missing = {}, {}
    for peer in PEERS:
        if peer.name not in names:
            continue
        if version := peer.version():
            versions[peer.name] = version
        else:
            missing[peer.name] = peer.how_to_get
            say(f"{peer.name} is not here: {peer.how_to_get}")
    return versions, missing


def run(planned: Sequence[Step]) -> dict[Key, Outcome | str]:
    """All outcomes; with Ctrl-C those that there are."""
    outcomes: dict[Key, Outcome | str] = {}
    try:
        for key, outcome in run_all(planned):
            outcomes[key] = outcome
    except KeyboardInterrupt:
        say("stopped: what follows is of the runs that were done")
    return outcomes


def without_files(words: Sequence[str]) -> list[str]:
    """Arguments without where the results are written."""
    kept, words = [], list(words)
    while words:
        word = words.pop(0)
        name, given, _ = word.partition("=")
        if name not in ("--json", "--plot"):
            kept.append(word)
        elif not given and words:
            words.pop(0)
    return kept


def main() -> int:
    options = arguments()
    rows = wanted_rows(options)
    versions, missing = present(options.only)
    peers: list[Peer] = [peer for peer in PEERS if peer.name in versions]
    planned = steps(loads_of(rows), peers, options.rounds, not options.every_round)
    say(f"{len(planned)} runs, about {minutes(planned)} min")
    if options.plan or not planned:
        return 0
    machine = describe()
    began = time.monotonic()
    outcomes = run(planned)
    base = BASE if BASE in versions else next(iter(versions))
    names = [DIRECT, *versions]
    result = Result(
        taken=datetime.datetime.now(datetime.UTC).date().isoformat(),
        command=shlex.join(["python", "-m", "bench", *without_files(sys.argv[1:])]),
        rounds=options.rounds,
        seconds=options.seconds,
        took_seconds=round(time.monotonic() - began),
        base=base,
        machine=machine,
        versions=versions,
        missing=missing,
        rows=collect(rows, outcomes, options.rounds, names, base),
        runs=[record(key, outcome) for key, outcome in outcomes.items()],
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", "utf-8")
    if options.plot:
        options.plot.write_text(plot(result), "utf-8")
    print(terminal(result))
    return 0 if len(outcomes) == len(planned) else 130


if __name__ == "__main__":
    sys.exit(main())
