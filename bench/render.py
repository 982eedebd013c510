"""A result as the tables and the picture of the documentation.

    python -m bench.render bench/results/FILE.json

Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench -->` in
docs/performance.md and README.md, and draws docs/performance.svg. So every
number there is from one run, except that the groups in `OWN` may have their own:
what the run has no rows for stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import cast

from bench.peers import BOTH, FLOOR, PEERS
from bench.plot import plot
from bench.results import Cell, Result, RowResult, met
from bench.rows import GROUPS, LIVES, STORE
from bench.table import number, remarks, value_text
from bench.table import target_text as aim_text
from bench.tls_rows import HTTP2, TLS

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "docs" / "performance.md", ROOT / "README.md")
PICTURE = ROOT / "docs" / "performance.svg"
WIDTH = 92  # of a line of the pages
# Groups that may be of a run of their own, by their part of the page.
OWN = {
    HTTP2: (HTTP2,),
    TLS: (TLS,),
    LIVES: (LIVES,),
    "kept": ("resume", "fanout", "kept"),
    STORE: (STORE,),
}
CODED = re.compile(r"not decoded \(coded bytes after ([\d,]+ µs)\)")
FAILED = "failed: "
# A remark of several rounds, in which only a number differs: the first stays.
REPEATED = re.compile(r"(the load program used \d+% of its core)(?:; the load [^;]+)+")
MARKED = re.compile(r"(<!-- bench:(\S+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; numbers are told by their column, not aligned."""
    rule = ["---"] * len(head)
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *lines))


def ratio_text(cell: Cell) -> str:
    """The median, and how far the rounds lay apart."""
    if cell["ratio"] is None:
        return ""
    ratio = cell["ratio"]
    apart = f" ({ratio['min']:.2f} to {ratio['max']:.2f})"
    known = [found for found in cell["ratios"] if found is not None]
    return f"{ratio['median']:.2f}" + (apart if len(known) > 1 else "")


def targets(result: Result) -> str:
    """Ours, in both forms, in every row that has a target."""
    lines = []
    for row in result["rows"]:
        if row["target"] is not None:
            told = [target_text(row, peer) for peer in BOTH]
            lines.append([row["name"], aim_text(row), *told])
    return markdown([f"× {result['base']}", "target", *BOTH], lines)


def target_text(row: RowResult, peer: str) -> str:
    """The ratio, and whether it is what it should be."""
    cell = row["cells"].get(peer)
    if cell is None:
        return "not measured"
    done = met(row, peer)
    verdict = "not measured" if done is None else "met" if done else "missed"
    return f"{ratio_text(cell) or cell['words']}: {verdict}"


def without_shared(names: Sequence[str]) -> list[str]:
    """Names without the words that all of them begin with."""
    words = [name.split(" ") for name in names]
    if len(words) == 1:
        return list(names)
    same = takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False))
    cut = len(list(same))
    return [" ".join(each[cut:]) for each in words]


def group_table(rows: Sequence[RowResult], base: str) -> str:
    """Peers down, and for each row a value and its ratio across."""
    peers = list(dict.fromkeys(peer for row in rows for peer in row["cells"]))
    names = without_shared([row["name"] for row in rows])
    coded = [peer for peer in peers if all(is_coded(row, peer) for row in rows)]
    units = [row["unit"] for row in rows]
    head = ["", *(f"{name} ({unit})" for name, unit in zip(names, units, strict=True))]
    lines = []
    for peer in peers:
        if peer in coded:
            continue
        name = f"**{peer}**" if peer in BOTH else peer
        cells = [row["cells"].get(peer) for row in rows]
        texts = [
            cell_text(cell, peer, "" if row.get("own") else base)
            for row, cell in zip(rows, cells, strict=True)
        ]
        lines.append([name, *texts])
    notes = {"Failed": failures(rows), "Coded": coded_times(rows, coded)}
    told = [f"{title}: {'; '.join(note)}." for title, note in notes.items() if note]
    return markdown(head, lines) + "".join(f"\n{wrapped(note)}" for note in told)


def is_coded(row: RowResult, peer: str) -> bool:
    cell = row["cells"].get(peer)
    return cell is not None and CODED.fullmatch(value_text(cell)) is not None


def coded_times(rows: Sequence[RowResult], peers: Sequence[str]) -> list[str]:
    """Peers that never decode: the time of coded bytes in each row."""
    return [
        f"{peer} "
        + ", ".join(
            CODED.sub(r"\1", value_text(row["cells"][peer])).removesuffix(" µs")
            for row in rows
        )
        for peer in peers
    ]


def failures(rows: Sequence[RowResult]) -> list[str]:
    """Each peer that failed, and why: each reason once, whatever its numbers."""
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        for peer, cell in row["cells"].items():
            if not cell["value"] and cell["words"].startswith(FAILED):
                reason = cell["words"].removeprefix(FAILED)
                found.setdefault((peer, re.sub(r"\d+", "", reason)), reason)
    return [f"{peer}, {reason}" for (peer, _), reason in found.items()]


def wrapped(text: str, later: str = "") -> str:
    """A paragraph in lines as long as those of the pages."""
    return f"{textwrap.fill(text, WIDTH, subsequent_indent=later)}\n"


def cell_text(cell: Cell | None, peer: str, base: str) -> str:
    if cell is None:
        return ""
    value = CODED.sub(r"coded, \1", value_text(cell))
    value = "failed" if value.startswith(FAILED) else value.replace("|", "\\|")
    ratio = cell["ratio"]
    if ratio is None or peer == base:
        return value
    if not base:
        return f"×{ratio['median']:.2f}"
    return f"{value} (×{ratio['median']:.2f})"


def groups(result: Result) -> str:
    """All rows, group by group."""
    parts = []
    for group, title in GROUPS.items():
        rows = [row for row in result["rows"] if row["group"] == group and row["cells"]]
        rows = [row for row in rows if row["key"] != "growth-100"]  # is piece-100
        if rows:
            heading = title[0].upper() + title[1:]
            parts.append(f"### {heading}\n\n{group_table(rows, result['base'])}")
    return "\n".join(parts)


def machine(result: Result) -> str:
    """Where, when, how."""
    told = result["machine"]
    took = f"{result['took_seconds'] / 60:.0f} minutes"
    lines = [
        f"- `{result['command']}`, {result['taken']}, {took}, load before: "
        f"{told['load_before']}",
        f"- {told['processor']}, {told['cores']} cores, {told['memory']}, "
        f"{told['system']}, {told['python']}",
    ]
    return "".join(wrapped(line, "  ") for line in lines)


def versions(result: Result) -> str:
    found = [f"{name} {text}" for name, text in result["versions"].items()]
    gone = result["missing"].items()
    lines = [f"- {', '.join(found)}"]
    lines += [f"- {name}: not measured (`{how}`)" for name, how in gone]
    return "".join(wrapped(line, "  ") for line in lines)


def remark_list(result: Result) -> str:
    said = remarks(result) or ["No errors, nothing lost, no core was full."]
    once = [REPEATED.sub(r"\1", remark) for remark in said]
    return "".join(wrapped(f"- {remark}", "  ") for remark in once)


def short(result: Result) -> str:
    """Ratios only, for the README; the base is 1 everywhere."""
    keys = ("piece-100", "piece-1000", "added-p50", "memory-2000", "request", "body")
    rows = [row for row in result["rows"] if row["key"] in keys]
    peers = [name for name in result["versions"] if name not in (result["base"], FLOOR)]
    lines = []
    for row in rows:
        cells = [row["cells"].get(peer) for peer in peers]
        ratios = [cell["ratio"] if cell else None for cell in cells]
        shown = [number(ratio["median"]) if ratio else "-" for ratio in ratios]
        lines.append([row["name"], *shown])
    return markdown([f"× {result['base']}", *peers], lines)


def own_part(result: Result) -> str:
    """All of its rows, with where, when and how: they may be of a run of their own."""
    tables = [targets(result), groups(result)]
    lists = [part(result) for part in (machine, versions, remark_list)]
    return "\n".join([*tables, "".join(lists)])


def share(result: Result, part: str = "") -> Result:
    """The rows of a part, or those of none, with the peers that take part in them."""
    own = {group: name for name, groups in OWN.items() for group in groups}
    rows = [row for row in result["rows"] if own.get(row["group"], "") == part]
    there = {peer for row in rows for peer in row["cells"]}
    version = 2 if part == HTTP2 else 1
    able = {peer.name for peer in PEERS if version in peer.versions}
    versions = {
        name: text for name, text in result["versions"].items() if name in there
    }
    missing = {name: how for name, how in result["missing"].items() if name in able}
    return {**result, "rows": rows, "versions": versions, "missing": missing}


PARTS: dict[str, Callable[[Result], str]] = {
    "targets": targets,
    "groups": groups,
    "machine": machine,
    "versions": versions,
    "remarks": remark_list,
    "ratios": short,
    **dict.fromkeys(OWN, own_part),
}


def filled(page: str, result: Result) -> str:
    """The page with all between its markers made anew."""

    def part(found: re.Match[str]) -> str:
        if found[2] not in PARTS:
            raise SystemExit(f"no part {found[2]!r}: there are {', '.join(PARTS)}")
        wanted = share(result, found[2] if found[2] in OWN else "")
        if not wanted["rows"]:
            return found[0]
        return f"{found[1]}\n{PARTS[found[2]](wanted)}\n{found[3]}"

    return MARKED.sub(part, page)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.render", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("file", type=Path, help="of python -m bench --json")
    try:
        result = cast(Result, json.loads(parser.parse_args().file.read_text("utf-8")))
    except (OSError, ValueError) as fault:
        raise SystemExit(f"cannot be read: {fault}") from fault
    for page in PAGES:
        before = page.read_text("utf-8")
        after = filled(before, result)
        if after != before:
            page.write_text(after, "utf-8")
            print(page.relative_to(ROOT))
    shown = share(result)
    if shown["rows"]:
        PICTURE.write_text(plot(shown), "utf-8")
        print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
