"""A result as text: the table in the terminal, and cells for other tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bench.peers import BOTH
from bench.results import Cell, Result, RowResult, met
from bench.rows import GROUPS

OWN = "its own"  # instead of the base's name
SIGN = {True: "target met", False: "target missed"}


def number(value: float) -> str:
    """Three figures, or all before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def value_text(cell: Cell) -> str:
    """`12.3`, `12.3*` with a remark, or words."""
    if cell["value"] is None:
        return cell["words"]
    star = "*" if cell["marks"] or cell["words"] else ""
    return number(cell["value"]["median"]) + star


def remarks(result: Result) -> list[str]:
    """What stands behind the stars, once for each peer and load."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for row in result["rows"]:
        for peer, cell in row["cells"].items():
            said = found.setdefault((row["load"], peer), {})
            said |= dict.fromkeys(cell["marks"])
            if cell["words"] and cell["value"]:
                said[cell["words"]] = None
    return [
        f"{load}, {peer}: {'; '.join(said)}"
        for (load, peer), said in found.items()
        if said
    ]


def target_text(row: RowResult) -> str:
    """`≤ 2`, `≤ 2, 3 pure`; empty: there is none."""
    pure = f", {row['pure']:g} pure" if row.get("pure") else ""
    return "" if row["target"] is None else f"≤ {row['target']:g}{pure}"


def row_lines(row: RowResult, base: str) -> Iterator[str]:
    base = OWN if row.get("own") else base
    target = f", target {told} × {base}" if (told := target_text(row)) else ""
    yield f"  {row['name']} [{row['unit']}]{target}"
    for peer, cell in row["cells"].items():
        ratio = ""
        if cell["ratio"]:
            low, high = cell["ratio"]["min"], cell["ratio"]["max"]
            ratio = f"{cell['ratio']['median']:6.2f} × {base}"
            if len(cell["values"]) > 1:
                ratio += f"  ({low:.2f} to {high:.2f})"
        said = met(row, peer) if peer in BOTH else None
        note = "" if said is None else f"  {SIGN[said]}"
        value = value_text(cell)
        shown = f"{value:>12}" if cell["value"] else f"  {value}"
        yield f"    {peer:20}{shown} {ratio}{note}".rstrip()


def terminal(result: Result) -> str:
    """All rows in their groups, versions, remarks."""
    lines: list[str] = []
    for group, title in GROUPS.items():
        rows = [row for row in result["rows"] if row["group"] == group and row["cells"]]
        if rows:
            lines += ["", title[0].upper() + title[1:]]
        for row in rows:
            lines += row_lines(row, result["base"])
    lines += ["", "Versions"]
    lines += [f"  {name:20} {text}" for name, text in result["versions"].items()]
    lines += [f"  {name:20} not here: {how}" for name, how in result["missing"].items()]
    said = remarks(result)
    lines += ["", "* Remarks" if said else "No errors, nothing lost."]
    lines += [f"  {remark}" for remark in said]
    return "\n".join(lines).strip("\n")
