"""What was read from a foreign configuration, before it is written as ours.

A draft keeps what it cannot say beside what it can: nothing is left out in
silence. Knows neither the file format it came from nor TOML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Draft:
    """A route in the making; `keys` are those of `[routes."/prefix"]`.

    `remarks` stand beside a key, `lost` names what was not carried over, and
    an `inactive` route is written as a comment, for the reason that it gives.
    `reach` says what the entry took: all that begins with the text of its
    prefix, whole segments, or the one path. `context` is how it was written.
    """

    prefix: str
    place: str
    keys: dict[str, object] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    inactive: str = ""
    context: str = ""
    reach: Literal["text", "segment", "exact"] = "text"

    def takes(self, prefix: str) -> bool:
        """Did it take, where it came from, every path below `prefix`?"""
        if self.reach == "text":
            return prefix.startswith(self.prefix)
        below = prefix.startswith(self.prefix.rstrip("/") + "/")
        return prefix == self.prefix or (below and self.reach == "segment")


UNREACHED = "never asked there: {prefix} stands before it and takes its paths"


def settle_order(drafts: list[Draft]) -> None:
    """The first match wins there, the longest here: what was never asked is inert."""
    for position, draft in enumerate(drafts):
        for earlier in drafts[:position]:
            if not earlier.inactive and earlier.takes(draft.prefix):
                draft.inactive = UNREACHED.format(prefix=earlier.prefix)
                break


@dataclass(slots=True)
class Reading:
    """Everything that one file says of proxying.

    `opened`: what was closed there, and no route can keep closed. `ports` are taken
    on this machine; `dev_port` is the dev server's own, 0 where there is none, and
    `base` the path that its pages are below.
    """

    kind: str
    file: str
    drafts: list[Draft] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)
    dev_port: int = 0
    base: str = ""

    def notice(self, text: str) -> None:
        """Tell something once."""
        if text not in self.notices:
            self.notices.append(text)

    @property
    def active(self) -> list[Draft]:
        """The drafts that become routes."""
        return [draft for draft in self.drafts if not draft.inactive]


class Unreadable(Exception):
    """The file cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that is read. Names places in it, with a line where one is found."""

    name: str
    text: str = ""

    def place(self, path: str, *snippets: str) -> str:
        """`vite.config.ts:12: server.proxy["/api"].bypass`

        The line is that of the first snippet that is found.
        """
        line = next(filter(None, map(self.line, snippets)), 0)
        return f"{self.name}:{line}: {path}" if line else f"{self.name}: {path}"

    def line(self, snippet: str) -> int:
        """The line where the text begins; 0 where it is not there once."""
        for part in (snippet, snippet.strip().partition("\n")[0].strip()):
            if len(part) > 1 and self.text.count(part) == 1:
                return self.text.count("\n", 0, self.text.index(part)) + 1
        return 0

    def line_of_key(self, key: str) -> str:
        """A quoted key as it stands in the text, to find its line by."""
        for quote in "'\"`":
            if self.text.count(f"{quote}{key}{quote}") == 1:
                return f"{quote}{key}{quote}"
        return ""
