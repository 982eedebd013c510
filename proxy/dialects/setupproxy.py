"""`src/setupProxy.js` of Create React App: what it hands to `app.use`."""

from __future__ import annotations

from proxy.dialects.devserver import DIALECTS, add
from proxy.dialects.draft import Draft, Origin, Reading, settle_order
from proxy.dialects.patterns import escape
from proxy.dialects.values import shown, source, table

STRIPS_FROM = 3  # http-proxy-middleware: since then it sees the path after the mount
MOUNTED = "http-proxy-middleware 3 takes the path of app.use off: so does path_rewrite"
UNKNOWN = (
    "which http-proxy-middleware it was is unknown (not installed): taken for one "
    "before 3, where the path of app.use stays; from 3 on it comes off"
)


def read_setup(reading: Reading, found: dict[str, object], origin: Origin) -> None:
    """Add the drafts of all middlewares."""
    uses = found.get("uses")
    version = str(found.get("version") or "")
    strips = version.partition(".")[0].isdigit()
    strips = strips and int(version.partition(".")[0]) >= STRIPS_FROM
    for use in uses if isinstance(uses, list) else []:
        mount = use.get("mount")
        options = table(use.get("options"))
        path = f"app.{use.get('method')}({mount!r})"
        if not options:
            handler = use.get("handler")
            where = origin.place(path, source(handler))
            reading.lost.append(f"{where}: {shown(handler)}, no proxy")
            continue
        context = options.get("pathFilter") or options.get("context")
        mounted = mount != "/"
        contexts = context or mount
        for one in contexts if isinstance(contexts, list) else [contexts]:
            before = len(reading.drafts)
            bare = mounted and strips and not context
            add(reading, DIALECTS["setup"], one, options, origin, path, bare)
            for draft in reading.drafts[before:]:
                if bare:
                    strip(draft, draft.prefix)
                elif mounted and context and context != mount:
                    where = shown(mount)
                    draft.notes.append(f"mounted at {where}: both had to match there")
        if mounted and not version:
            reading.notice(UNKNOWN)
    settle_order(reading.drafts)


def strip(draft: Draft, mount: str) -> None:
    """The rules of an entry that sees its paths without the mount."""
    known = draft.keys.get("path_rewrite")
    rules = known if isinstance(known, dict) else {}
    moved = {}
    for pattern, replacement in rules.items():
        if not pattern.startswith("^/"):
            draft.lost.append(f"the rule {pattern} = {replacement}: write it anew")
            continue
        moved[f"^{escape(mount)}{pattern[1:]}"] = replacement
    draft.keys["path_rewrite"] = {**moved, f"^{escape(mount)}": ""}
    draft.remarks["path_rewrite"] = MOUNTED
