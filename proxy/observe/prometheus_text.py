"""The text format of Prometheus, version 0.0.4, and how workers add up.

Pure. Counters and histograms of several workers are summed; a gauge keeps a
label that says whose it is, since nothing sensible is the sum of all gauges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Labels: TypeAlias = tuple[tuple[str, str], ...]
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Sample(Struct, frozen=True, array_like=True):
    """One line: `suffix` comes after the family's name."""

    suffix: str
    labels: Labels
    value: float


class Family(Struct, array_like=True):
    """All samples of one name."""

    name: str
    kind: Kind
    help: str
    samples: list[Sample]

    def add(self, value: float, *labels: tuple[str, str], suffix: str = "") -> None:
        """One more sample."""
        self.samples.append(Sample(suffix, labels, value))


def merged(workers: Sequence[tuple[int, Iterable[Family]]]) -> list[Family]:
    """The families of all workers as one."""
    found: dict[str, Family] = {}
    sums: dict[tuple[str, str, Labels], float] = {}
    for number, families in workers:
        for family in families:
            known = found.setdefault(
                family.name, Family(family.name, family.kind, family.help, [])
            )
            for sample in family.samples:
                if family.kind == "gauge":
                    labels = (*sample.labels, ("worker", str(number)))
                    known.samples.append(Sample(sample.suffix, labels, sample.value))
                else:
                    key = (family.name, sample.suffix, sample.labels)
                    sums[key] = sums.get(key, 0) + sample.value
    for (name, suffix, labels), value in sums.items():
        found[name].samples.append(Sample(suffix, labels, value))
    return list(found.values())


def exposition(families: Iterable[Family]) -> bytes:
    """The text that is scraped."""
    lines = []
    for family in families:
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {family.help}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [
            f"{family.name}{each.suffix}{label_set(each.labels)} {number(each.value)}"
            for each in family.samples
        ]
    return ("\n".join(lines) + "\n").encode()


def label_set(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(ESCAPES)}"' for name, value in labels)
    return "{" + ",".join(pairs) + "}"


def number(value: float) -> str:
    """A number as the format has it: integers without a point."""
    return f"{int(value)}" if value == int(value) else repr(float(value))
