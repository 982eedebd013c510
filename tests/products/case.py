"""One product with one fault: a case, and the streams that cases ask for."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.tools.doctor.verdict import Kind

STEADY = "steady&count=10"
QUICK = "steady&count=12&every=0.12"
FAST = "fast&count=120"
LATE = "late&count=8&every=0.1&quiet=1.5"
LATE_LINES = f"{LATE}&type=ndjson"
SHORT = "steady&count=5&every=0.2"
TEXT = "steady&count=5&every=0.2&type=text"
SILENT = "silent&silent=4"
LONG = "steady&count=16"


@dataclass(frozen=True)
class Case:
    """`base` is in the configuration in any case, `fault` only without the cure.

    `place` is where lines go: before or after the mark that the product's
    command splits at. `recognised`: by which product the cure is found;
    `cure`: which of those that are printed.
    """

    name: str
    product: str
    stream: str
    kind: Kind
    base: str = ""
    fault: str = ""
    place: str = "{}"
    method: str = "GET"
    recognised: str = ""
    coded: bool = False
    cure: int = 0
    scheme: str = "http"
    again: bool = False  # asked twice; the second answer is looked at
    fields: tuple[str, ...] = ()  # of the back end, which a field as a cure replaces

    def lines(self, cure: str | None) -> str:
        """The lines of the configuration, with the fault or with the cure."""
        inner = "\n".join(
            each for each in (self.base, self.fault if cure is None else cure) if each
        )
        return self.place.format(inner)

    @property
    def cured_by(self) -> str:
        return self.recognised or self.product
