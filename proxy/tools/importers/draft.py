"""What was read from a foreign configuration, before it is written as ours.

A draft keeps what it cannot say beside what it can: nothing is left out in
silence. Knows neither the file format it came from nor TOML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Draft:
    """A route in the making; `keys` are those of `[routes."/prefix"]`.

    `remarks` stand beside a key, `lost` names what was not carried over, and
    an `inactive` route is written as a comment, for the reason that it gives.
    `reach` says what the entry took: all that begins with the text of its
    prefix, whole segments, or the one path. `context` is how it was written, and
    `choice` the list that it stood in, if others in it are exclusions (`!/api/x`).
    `staying` are the options that have to stay beside the new target; an entry that
    `forwards` sent X-Forwarded-For.
    """

    prefix: str
    place: str
    keys: dict[str, object] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    inactive: str = ""
    context: str = ""
    choice: tuple[str, ...] = ()
    staying: list[str] = field(default_factory=list)
    reach: Literal["text", "segment", "exact"] = "text"
    forwards: bool = False

    def takes(self, prefix: str) -> bool:
        """Did it take, where it came from, every path below `prefix`?"""
        if self.reach == "text":
            return prefix.startswith(self.prefix)
        below = prefix.startswith(self.prefix.rstrip("/") + "/")
        return prefix == self.prefix or (below and self.reach == "segment")


UNREACHED = "never used there: {prefix} comes before it and takes its paths"
SOCKETS = (
    "this entry received only WebSocket requests; other requests went to {prefix}, "
    "which comes before it and has no ws. Here this route takes all of them"
)
SAME_PREFIX = (
    "this entry received the WebSockets of {prefix}, and the entry before it all "
    "other requests; here a prefix can have only one route"
)
LET_THROUGH = "{prefix} sent the WebSockets of these paths to the same target"
OTHERS_SOCKETS = (
    "the WebSockets of these paths went to {prefix}; write ws = true if this target "
    "serves them"
)


def settle_order(drafts: list[Draft]) -> None:
    """The first match wins there, the longest here: what was never asked is inert.

    A WebSocket is asked of the first entry with `ws` there, and passes over others.
    """
    for position, draft in enumerate(drafts):
        for earlier in drafts[:position]:
            if earlier.inactive or draft.inactive or not earlier.takes(draft.prefix):
                continue
            if not draft.keys.get("ws") or earlier.keys.get("ws"):
                draft.inactive = UNREACHED.format(prefix=earlier.prefix)
            elif earlier.prefix != draft.prefix:
                draft.notes.append(SOCKETS.format(prefix=earlier.prefix))
            else:
                draft.inactive = SAME_PREFIX.format(prefix=earlier.prefix)
                if leads_alike(earlier, draft):
                    earlier.keys["ws"] = True
                    earlier.remarks["ws"] = f"of {draft.place}"
    for draft in drafts:
        if not draft.inactive and not draft.keys.get("ws"):
            pass_sockets(draft, drafts)


def pass_sockets(draft: Draft, drafts: list[Draft]) -> None:
    """An entry without `ws` whose WebSockets went to another one, which has it."""
    for other in drafts:
        wider = other.prefix != draft.prefix and other.takes(draft.prefix)
        if not other.inactive and other.keys.get("ws") and wider:
            if leads_alike(draft, other):
                draft.keys["ws"] = True
                draft.remarks["ws"] = LET_THROUGH.format(prefix=other.prefix)
            else:
                draft.notes.append(OTHERS_SOCKETS.format(prefix=other.prefix))
            return


def leads_alike(one: Draft, other: Draft) -> bool:
    """Do both ask the same paths of the same target?"""
    return all(
        one.keys.get(key) == other.keys.get(key) for key in ("target", "path_rewrite")
    )


@dataclass(frozen=True, slots=True)
class FrontListeners:
    """Certificates with their keys, the port that has them, and redirects to it.

    `redirects` are ports, each with the place where it was found.
    """

    certificates: list[tuple[str, str]]
    port: int
    redirects: dict[int, str]


@dataclass(slots=True)
class ImportedFile:
    """Everything that one file says of proxying.

    `opened`: what was closed there, and no route can keep closed. `ports` are taken
    on this machine; `dev_port` is the dev server's own, 0 where there is none, and
    `base` the path that its pages are below. `missing` are modules that it was read
    without, and `sources` names the .env file that gave a variable its value.
    `server` are keys of [server], `without_it` lines for when the old proxy is gone,
    `listening` what it listens with, if that can be had here; one that `has_port` is
    reached at another port than 80 and 443.
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
    server: dict[str, object] = field(default_factory=dict)
    without_it: list[str] = field(default_factory=list)
    listening: FrontListeners | None = None
    has_port: bool = False
    missing: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

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
class SourceFile:
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
