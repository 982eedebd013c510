"""`src/setupProxy.js` of Create React App: what it hands to `app.use`."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.tools.importers.dev_server import DIALECTS, add, keep_choice, whole_choice
from proxy.tools.importers.draft import Draft, ImportedFile, SourceFile, settle_order
from proxy.tools.importers.patterns import escape
from proxy.tools.importers.values import shown, source, table

STRIPS_FROM = 3  # http-proxy-middleware: since then it sees the path after the mount
MOUNTED = (
    "http-proxy-middleware 3 removes the path of app.use, and so does path_rewrite"
)
UNKNOWN = (
    "the version of http-proxy-middleware is unknown (not installed): assumed to be "
    "older than 3, which keeps the path of app.use; from version 3 on it is removed"
)
ONE_METHOD = "{path} matched one method and one path, which a route cannot express"


def read_setup(
    reading: ImportedFile, found: dict[str, object], origin: SourceFile
) -> None:
    """Add the drafts of all middlewares."""
    uses = found.get("uses")
    version = str(found.get("version") or "")
    major = version.partition(".")[0]
    strips = major.isdigit() and int(major) >= STRIPS_FROM
    for use in uses if isinstance(uses, list) else []:
        options = table(use.get("options"))
        path = f"app.{use.get('method')}({use.get('mount')!r})"
        if not options:
            handler = use.get("handler")
            where = origin.place(path, source(handler))
            reading.lost.append(f"{where}: {shown(handler)}, not a proxy")
            continue
        comes_off = strips and use.get("legacy") is not True
        read_use(reading, table(use), origin, path, comes_off)
        if use.get("mount") != "/" and not version:
            reading.notice(UNKNOWN)
    settle_order(reading.drafts)


def read_use(
    reading: ImportedFile,
    use: dict[str, object],
    origin: SourceFile,
    path: str,
    strips: bool,
) -> None:
    """Add the drafts of one middleware; `strips`: it does not see its mount."""
    options = table(use.get("options"))
    strips = strips and use.get("method") == "use"
    first = len(reading.drafts)
    contexts: list[object] = []
    for mount, context, bare in places(use, options, strips):
        before = len(reading.drafts)
        off = strips and mount != "/"
        earlier = tuple(contexts)
        add(reading, DIALECTS["setup"], context, options, origin, path, off, earlier)
        contexts.append(context)
        for draft in reading.drafts[before:]:
            if bare and mount != "/":
                draft.reach = "segment"  # Express compares whole segments
            if off:
                strip(draft, str(mount))
            elif not bare and mount not in ("/", context):
                note = f"mounted at {shown(mount)}: both had to match"
                draft.notes.append(note)
            if use.get("method") != "use":
                draft.reach = "exact"
                draft.inactive = draft.inactive or ONE_METHOD.format(path=path)
    keep_choice(reading.drafts[first:], contexts)


def places(
    use: dict[str, object], options: dict[str, object], strips: bool
) -> Iterator[tuple[object, object, bool]]:
    """Each mount, the context there, and whether that is the mount alone.

    A filter that does not see the mount is looked for behind it.
    """
    said, mounted = (
        options.get("pathFilter") or options.get("context"),
        use.get("mount"),
    )
    contexts = said if isinstance(said, list) else [said]
    for mount in mounted if isinstance(mounted, list) else [mounted]:
        below = "" if strips or not isinstance(mount, str) else mount.rstrip("/")
        for context in whole_choice(contexts, below):
            if not context:
                yield mount, mount, True
            elif strips and mount != "/" and isinstance(context, str):
                negated = "!" if context.startswith("!") else ""
                inner = context.removeprefix("!").lstrip("/")
                yield mount, f"{negated}{mount}/{inner}".rstrip("/"), False
            else:
                yield mount, context, False


def strip(draft: Draft, mount: str) -> None:
    """The rules of an entry that sees its paths without the mount."""
    known = draft.keys.get("path_rewrite")
    rules = known if isinstance(known, dict) else {}
    moved = {}
    for pattern, replacement in rules.items():
        if not pattern.startswith("^/"):
            draft.lost.append(
                f"{draft.place}: the rule {pattern} = {replacement}: write a new one"
            )
            continue
        optional = "?" if pattern == "^/" else ""  # the mount alone is its root
        moved[f"^{escape(mount)}{pattern[1:]}{optional}"] = replacement
    if "^/" not in rules:
        moved[f"^{escape(mount)}"] = ""
    draft.keys["path_rewrite"] = moved
    draft.remarks["path_rewrite"] = MOUNTED
