"""Rewrites of Next.js that lead to another server.

Next sends the target's host (`changeOrigin`) and lets upgrades pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.config.target import parse_target
from proxy.tools.importers.draft import Draft, ImportedFile, SourceFile, settle_order
from proxy.tools.importers.patterns import escape, usable
from proxy.tools.importers.targets import CREDENTIALS, local_port, read_target
from proxy.tools.importers.values import table

OUTSIDE = re.compile(r"(https?://[^/?#]+)([^?#]*)")
WHOLE_TAIL = re.compile(r"/(?::(?P<name>\w+)(?:\*|\+|\(\.\*\)\*?)|\(\.\*\))\Z")
PARAMETER = re.compile(r":\w|[(){}*+?]")
CONDITIONS = ("has", "missing")
QUERY = "its destination has a query; write the route by hand"
UNSET = (
    "its destination is neither a path nor a URL: is an environment variable not set?"
)
LEFT_OUT = "the credentials in the URL were removed"
FALLBACK = (
    "fallback applies after pages and files. In front of Next.js, a route of "
    "Unbuffered would come first: keep Unbuffered behind Next.js"
)


def read_next(
    reading: ImportedFile, found: dict[str, object], origin: SourceFile
) -> None:
    """Add a draft for every rewrite to an http address."""
    base = str(found.get("basePath") or "")
    for path, rewrite in rewrites(found.get("rewrites")):
        whole = str(rewrite.get("destination") or "")
        destination = OUTSIDE.fullmatch(CREDENTIALS.sub("", whole))
        written = str(rewrite.get("source", ""))
        place = origin.place(path, origin.line_of_key(written))
        if destination is None:
            if not whole.startswith("/"):  # within the application: none of ours
                lost = UNSET if "://" not in whole else QUERY
                reading.lost.append(f"{place}: {written}: {lost}")
            continue
        before = "" if rewrite.get("basePath") is False else base
        add(reading, before + written, destination, place)
        if CREDENTIALS.search(whole) and reading.drafts:
            reading.drafts[-1].notes.append(LEFT_OUT)
        conditions = [key for key in CONDITIONS if rewrite.get(key)]
        if conditions and reading.drafts and reading.drafts[-1].place == place:
            reading.drafts[
                -1
            ].inactive = (
                f"it depends on {' and '.join(conditions)}, which a route cannot check"
            )
    reading.base = base
    merge_twins(reading.drafts)
    if any("fallback" in draft.place for draft in reading.active):
        reading.notice(FALLBACK)
    settle_order(reading.drafts)


def merge_twins(drafts: list[Draft]) -> None:
    """`/api` beside `/api/:path*`: the route of the second takes both."""
    wide = {each.prefix: each for each in drafts if each.reach == "segment"}
    for draft in [each for each in drafts if each.reach == "exact"]:
        twin = wide.get(draft.prefix)
        if twin is not None and twin.keys["target"] == draft.keys["target"]:
            twin.notes.append(f"also takes {draft.prefix} itself ({draft.place})")
            drafts.remove(draft)


def rewrites(found: object) -> Iterator[tuple[str, dict[str, object]]]:
    """Place and content of each, in the order in which they are tried."""
    lists = {"rewrites": found}
    if table(found):
        stages = ("beforeFiles", "afterFiles", "fallback")
        lists = {f"rewrites.{stage}": table(found).get(stage) for stage in stages}
    for path, each in lists.items():
        for number, rewrite in enumerate(each if isinstance(each, list) else []):
            yield f"{path}[{number}]", table(rewrite)


def add(
    reading: ImportedFile, written: str, destination: re.Match[str], place: str
) -> None:
    """Add the draft of one rewrite, or say why there is none."""
    target, path = destination.groups()
    tail = WHOLE_TAIL.search(written)
    bare = written[: tail.start()] if tail else written
    prefix = usable(bare or "/")
    end = tail_of(path, tail["name"] if tail else None)
    if PARAMETER.search(bare) or PARAMETER.search(path[: end if end >= 0 else None]):
        reading.lost.append(f"{place}: {written}: parameters in the middle of the path")
        return
    if not prefix or (tail and end < 0):
        reading.lost.append(
            f"{place}: {written} to {target}{path}: not a single prefix"
        )
        return
    draft = Draft(prefix, place, {"target": target, "change_origin": True, "ws": True})
    draft.reach = "segment" if tail else "exact"
    reading.drafts.append(draft)
    reading.ports.add(local_port(target))
    try:
        read_target(target)
        parse_target(target)
    except ValueError as fault:
        draft.inactive = str(fault)
    base = path[:end].rstrip("/") if tail else path
    if base != bare.rstrip("/"):
        draft.keys["path_rewrite"] = {f"^{escape(bare)}": base.replace("$", "$$")}
    if not tail:
        draft.notes.append(
            f"{written} matched only that path; here it also matches "
            "everything below it"
        )


def tail_of(path: str, name: str | None) -> int:
    """Where the rest of the path goes in a destination; -1 where it does not."""
    found = WHOLE_TAIL.search(path)
    if name is None:
        return -1
    if found is not None and found["name"] == name:
        return found.start()
    plain = f"/:{name}"
    return len(path) - len(plain) if path.endswith(plain) else -1
