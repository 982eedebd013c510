"""The `proxy` of webpack-dev-server, Vite, Vue CLI, Angular and Create React App.

A table by context, or a list of entries. What a context matches differs from
one dev server to the other; a `Dialect` says how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.tools.importers.draft import Draft, ImportedFile, SourceFile, settle_order
from proxy.tools.importers.options import Translation
from proxy.tools.importers.patterns import (
    GLOB,
    is_choosy,
    prefixes_of_glob,
    prefixes_of_pattern,
    reach_of,
    usable,
)
from proxy.tools.importers.targets import CREDENTIALS, UNSET, local_port
from proxy.tools.importers.values import mark, number, shown, source, table

TEXT_PREFIX = (
    "the dev server matches a context as a text prefix: '{0}' also matched {0}s "
    "and {0}-docs. Here {0} matches only {0}, {0}/… and {0}?…"
)
ANYWHERE = (
    "Vue CLI looks for a context anywhere in the path: '{0}' also matched /v1{0}. "
    "Here a prefix matches only the beginning of the path"
)

EXCEPT = (
    "{place}: the context {context} excluded paths from the target; the routes of "
    "its entry include them. A dev server in front of Unbuffered still excludes "
    "them if the context stays in its list"
)
# micromatch, which they all ask, has the last one that matches win.
NO_EXCEPTION = (
    "an exclusion only works after the pattern it excludes from, in the same list; "
    "this one excluded nothing"
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a dev server makes of a context, and what an entry starts from."""

    name: str
    globs: bool = False
    patterns: bool = False
    anywhere: bool = False
    defaults: Mapping[str, object] = field(default_factory=dict)
    shorthand: Mapping[str, object] = field(default_factory=dict)
    rewrites_origin: bool = False


VUE_DEFAULTS = {"secure": False, "changeOrigin": True, "ws": True, "xfwd": True}
DIALECTS = {
    "webpack": Dialect("webpack-dev-server", globs=True),
    "vite": Dialect("Vite", patterns=True, shorthand={"changeOrigin": True}),
    "vue": Dialect(
        "Vue CLI", patterns=True, anywhere=True, defaults=VUE_DEFAULTS,
        rewrites_origin=True,
    ),
    "angular": Dialect("Angular", globs=True, patterns=True),
    "package": Dialect(
        "Create React App", defaults=VUE_DEFAULTS, rewrites_origin=True
    ),
    "setup": Dialect("setupProxy.js", globs=True),
}  # fmt: skip


def read_proxy(
    reading: ImportedFile, proxy: object, origin: SourceFile, path: str
) -> None:
    """Add the drafts of a whole `proxy` block to a reading."""
    dialect = DIALECTS[reading.kind]
    if isinstance(proxy, str):
        everything(reading, dialect, proxy, origin, path)
        return
    for place, contexts, entry in entries(proxy, path):
        if isinstance(entry, str):
            options = {**dialect.defaults, **dialect.shorthand, "target": entry}
        elif isinstance(entry, dict) and not mark(entry):
            options = {**dialect.defaults, **table(entry)}
        else:
            where = origin.place(place, source(entry))
            reading.lost.append(f"{where}: {shown(entry)}")
            continue
        before = len(reading.drafts)
        whole = whole_choice(contexts) if dialect.globs else contexts
        for number_, context in enumerate(whole):
            earlier = whole[:number_]
            add(reading, dialect, context, options, origin, place, earlier=earlier)
        keep_choice(reading.drafts[before:], contexts)
    notice_wider(reading, dialect)
    settle_order(reading.drafts)


def notice_wider(reading: ImportedFile, dialect: Dialect) -> None:
    """Tell that contexts took more than a prefix does, by an example of the file."""
    named = [draft for draft in reading.drafts if draft.prefix != "/"]
    loose = [draft for draft in named if not draft.context.startswith("^")]
    if dialect.anywhere and loose:
        reading.notice(ANYWHERE.format(loose[0].prefix))
        return
    for draft in named:
        if draft.reach == "text":
            reading.notice(TEXT_PREFIX.format(draft.prefix))
            return


def entries(proxy: object, path: str) -> Iterator[tuple[str, list[object], object]]:
    """Place, contexts and options of each entry of a table or a list."""
    if isinstance(proxy, list):
        for number_, entry in enumerate(proxy):
            found = table(entry)
            contexts = found.get("context", found.get("path", found.get("pathFilter")))
            several = contexts if isinstance(contexts, list) else [contexts or "/"]
            yield f"{path}[{number_}]", several, entry
    else:
        for key, entry in table(proxy).items():
            yield f"{path}['{key}']", [key], entry


def whole_choice(contexts: list[object], below: str = "") -> list[object]:
    """Exclusions alone take all other paths (micromatch)."""
    alone = all(isinstance(each, str) and each.startswith("!") for each in contexts)
    return [f"{below}/**", *contexts] if contexts and alone else contexts


def keep_choice(drafts: list[Draft], contexts: Sequence[object]) -> None:
    """Remember the list of an entry that excludes something."""
    texts = tuple(each for each in contexts if isinstance(each, str))
    if any(each.startswith("!") for each in texts):
        for draft in drafts:
            draft.choice = texts


def everything(
    reading: ImportedFile, dialect: Dialect, target: str, origin: SourceFile, path: str
) -> None:
    """One address for whatever the dev server does not know itself."""
    options = {**dialect.defaults, "target": target}
    add(reading, dialect, "/", options, origin, path)
    for draft in reading.drafts:
        draft.context = ""
    reading.notice(
        f"{dialect.name} proxies every request that is not for a file or page; it "
        "keeps making this choice, and the route / takes what it sends. So keep "
        "Unbuffered behind it"
    )


def add(
    reading: ImportedFile,
    dialect: Dialect,
    context: object,
    options: Mapping[str, object],
    origin: SourceFile,
    path: str,
    mounted: bool = False,
    earlier: Sequence[object] = (),
) -> None:
    """Add a draft for each prefix that a context stands for.

    `earlier` are the contexts before it in the same list.
    """
    text = str(context) if isinstance(context, str) else ""
    prefixes, note = prefixes_of(dialect, text)
    snippet = source(context) if mark(context) else origin.line_of_key(text)
    place = origin.place(path, snippet)
    if not prefixes and text.startswith("!") and dialect.globs:
        if any(isinstance(each, str) and each[:1] != "!" for each in earlier):
            reading.opened.append(EXCEPT.format(place=place, context=text))
            return
        note = NO_EXCEPTION
    if not prefixes:
        if text.strip("/^").lower() in UNSET:
            note = "is an environment variable not set?"
        what = f"the context {text!r}" if text else f"the context is {shown(context)}"
        target = CREDENTIALS.sub("", shown(options.get("target")).partition("?")[0])
        reading.lost.append(f"{place}: {what}: {note}; its target is {target}")
        return
    for prefix in prefixes:
        draft = Draft(prefix, place, context=text)
        if dialect.patterns and text.startswith("^"):
            draft.reach = reach_of(text)
        elif text.endswith(("/", "*")):
            draft.reach = "segment"
        reading.drafts.append(draft)
        if note:
            draft.notes.append(note)
        Translation(draft, origin, path, text, mounted).read(options)
        if socket_target(draft) and not draft.keys.get("ws"):
            draft.keys["ws"] = True
            if dialect.name != "Vite":  # which takes it so, too
                draft.remarks["ws"] = "the target is for WebSocket; ws was not set"
        if dialect.rewrites_origin:
            draft.keys["rewrite_origin"] = True
            draft.remarks["rewrite_origin"] = f"as in {dialect.name}"
        if not draft.inactive:
            reading.ports.add(local_port(str(draft.keys["target"])))


def socket_target(draft: Draft) -> bool:
    return str(draft.keys.get("target")).startswith(("ws:", "wss:"))


def prefixes_of(dialect: Dialect, context: str) -> tuple[list[str], str]:
    """The prefixes that a context stands for, and a note; none, and why."""
    found: list[str] | None = [context]
    note = ""
    if not context:
        return [], "a function decides what matches; write one route for each path"
    if dialect.patterns and context.startswith("^"):
        found = prefixes_of_pattern(context)
        if is_choosy(context):
            note = (
                f"the pattern {context} matched one path; here it also matches "
                "everything below it"
            )
    elif dialect.globs and GLOB.search(context):
        found = prefixes_of_glob("**" if context == "*" else context)
        if context.endswith("/*") and context != "/*":
            note = f"the glob {context} matched less than this prefix"
    elif dialect.anywhere and context.endswith("/*"):  # slashes, any number of
        found = [context.removesuffix("/*")]
    if found is None:
        return [], "a pattern that is not just a prefix"
    if not all(each.startswith("/") for each in found):
        return [], 'it does not start with "/", so it never matched'
    usables = [usable(each) for each in found]
    if not all(usables):
        return [], "not a path prefix"
    if context.endswith(("-", "_", ".")):
        note = f"it matched everything that starts with {context}; write each path"
    return usables, note


def dev_port(found: Mapping[str, object], default: int) -> int:
    """The dev server's own port."""
    port = number(table(found).get("port"))
    return int(port) if port else default
