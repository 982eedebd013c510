"""What to change in the old file, once Unbuffered does its proxying."""

from __future__ import annotations

import json
from collections.abc import Iterator

from proxy.tools.importers.draft import Draft, ImportedFile
from proxy.tools.importers.patterns import GLOB
from proxy.tools.migrate.config_writer import has_room, secure_port


def steps(reading: ImportedFile, port: int) -> list[str]:
    """Lines for a person, most of them to be copied."""
    # What is listened on: of localhost, Node.js 17 to 19 asks ::1 alone, and nginx
    # both in turn.
    address = f"http://127.0.0.1:{port}"
    if reading.kind == "nginx":
        return [*behind_nginx(reading, port)]
    first = f"In {reading.file}, point the proxy of the dev server at Unbuffered:"
    if reading.kind == "next":
        first = f"In {reading.file}, point the rewrites at Unbuffered:"
    lines = [first, *(f"    {line}" for line in snippet(reading, address))]
    if reading.kind == "vue" and ours(reading) and ws_option(reading.active):
        lines.append("Add ws: false to an entry that no WebSocket goes through.")
    if any("compress: false" in notice for notice in reading.notices):
        lines.append("compress: false can be removed.")
    if has_room(reading):
        page = f"http://localhost:{port}"
        lines.append(f"Or uncomment the route / at the end, and open {page} instead.")
    return lines


def behind_nginx(reading: ImportedFile, port: int) -> Iterator[str]:
    """A location that leads to Unbuffered, as docs/deploying.md has it.

    Without X-Forwarded-For and Host each client of nginx would be a program on this
    machine. The port of plain HTTP redirects where the file has a certificate.
    """
    scheme = "http"
    if reading.listening is not None:
        scheme, port = "https", secure_port(reading)
    connection = ['Connection ""']
    if any(each.keys.get("ws") for each in reading.active):
        connection = ["Upgrade $http_upgrade", 'Connection "upgrade"']
    # $host is the name alone: at another port redirects would lose it.
    host = "$http_host" if reading.has_port else "$host"
    yield "Point clients, or these nginx locations, at Unbuffered:"
    yield f"    proxy_pass {scheme}://127.0.0.1:{port};   # no path after the port"
    yield "    proxy_http_version 1.1;"
    for field in (
        *connection,
        f"Host {host}",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
        "X-Forwarded-Proto $scheme",
    ):
        yield f"    proxy_set_header {field};"
    yield "    proxy_read_timeout 1h;"
    yield (
        "With nginx in front, uncomment trusted_proxies: clients of nginx then have "
        "their own addresses."
    )


def snippet(reading: ImportedFile, address: str) -> Iterator[str]:
    """The new proxy block."""
    match reading.kind:
        case "vite":
            yield from table_of(reading, address)
        case "vue" if ours(reading):
            yield from table_of(reading, address, ", changeOrigin: false", ws=False)
        case "vue":
            yield f"proxy: '{address}'"
        case "webpack":
            yield from list_of(reading, address)
        case "package" if not ours(reading):
            yield f'"proxy": "{address}"'
        case "angular" | "package":
            yield from json_of(reading, address)
        case "setup":
            yield from middlewares(reading, address)
        case "next":
            yield from rewrites(reading, address)


def table_of(
    reading: ImportedFile, address: str, more: str = "", *, ws: bool = True
) -> Iterator[str]:
    """A table by context; Vue CLI lets WebSockets through unless `ws` is false."""
    yield "proxy: {"
    for context in ours(reading):
        drafts = [each for each in reading.active if each.context == context]
        option = ws_option(drafts)
        if not ws:
            option = "" if option else ", ws: false"
        key = json.dumps(context, ensure_ascii=False)
        entry = f"{key}: {{ target: '{address}'{more}{option} }},"
        yield f"  {entry}{staying(drafts)}"
    yield "}"


def list_of(reading: ImportedFile, address: str) -> Iterator[str]:
    """A list of entries with their contexts."""
    lines = [
        (f"{{ context: [{quoted(contexts)}], target: '{address}'{ws} }}", keep)
        for contexts, ws, keep in entries(reading)
    ]
    if [keep for _, keep in lines] == [""]:
        yield f"proxy: [{lines[0][0]}]"
        return
    yield "proxy: ["
    yield from (f"  {entry},{keep}" for entry, keep in lines)
    yield "]"


def json_of(reading: ImportedFile, address: str) -> Iterator[str]:
    """A table by context; a list, where an entry excludes something."""
    listed = any(each.choice for each in reading.active)
    lines = []
    if listed:
        for contexts, ws, keep in entries(reading):
            texts = ", ".join(json.dumps(each, ensure_ascii=False) for each in contexts)
            head = f'  {{ "context": [{texts}], "target": "{address}"'
            lines.append((f"{head}{json_ws(ws)} }}", keep))
    else:
        for context in ours(reading):
            drafts = [each for each in reading.active if each.context == context]
            head = (
                f'  {json.dumps(context, ensure_ascii=False)}: {{ "target": "{address}"'
            )
            lines.append((f"{head}{json_ws(ws_option(drafts))} }}", staying(drafts)))
    yield "[" if listed else "{"
    yield from (f"{entry},{keep}" for entry, keep in lines[:-1])
    yield from (f"{entry}{keep}" for entry, keep in lines[-1:])
    yield "]" if listed else "}"


def middlewares(reading: ImportedFile, address: str) -> Iterator[str]:
    """What `app.use` is given, in both forms of http-proxy-middleware."""
    for contexts, ws, keep in entries(reading):
        first = f"[{quoted(contexts)}], {{ target: '{address}'{ws} }}"
        yield f"app.use(createProxyMiddleware({first})){keep}"
    yield "// from http-proxy-middleware 3 on:"
    for contexts, ws, keep in entries(reading):
        only = f"{{ pathFilter: [{quoted(contexts)}], target: '{address}'{ws} }}"
        yield f"app.use(createProxyMiddleware({only})){keep}"


def rewrites(reading: ImportedFile, address: str) -> Iterator[str]:
    outside = ", basePath: false" if reading.base else ""
    for draft in reading.active:
        path = draft.prefix.rstrip("/") + "/:path*"
        stage = "  // in fallback" if "fallback" in draft.place else ""
        yield (
            f"{{ source: '{path}', destination: '{address}{path}'{outside} }},{stage}"
        )


def entries(reading: ImportedFile) -> Iterator[tuple[list[str], str, str]]:
    """The contexts that share an entry, its option `ws`, and what it has to keep.

    One entry for all would do, but one that excludes paths (`!/api/x`) or has a
    function that may serve a request itself (bypass) does so for its own alone.
    """
    groups: dict[object, list[Draft]] = {}
    for draft in reading.active:
        own = draft.choice or draft.staying
        key = (draft.place, draft.choice) if own else None
        groups.setdefault(key, []).append(draft)
    for drafts in groups.values():
        choice = drafts[0].choice
        contexts = [each.prefix for each in drafts]
        if choice:  # one list must not mix globs and plain texts
            known = {each.context for each in drafts}
            contexts = [
                as_glob(each) for each in choice if each in known or each[0:1] == "!"
            ]
        yield [*dict.fromkeys(contexts)], ws_option(drafts), staying(drafts)


def as_glob(context: str) -> str:
    """A context as a glob; it takes what is below it, and itself."""
    return context if GLOB.search(context) else f"{context.rstrip('/')}/**"


def quoted(contexts: list[str]) -> str:
    """Texts as JavaScript has them, with commas between."""
    return ", ".join(f"'{each}'" for each in contexts)


def staying(drafts: list[Draft]) -> str:
    """A comment on the functions that have to stay in an entry."""
    names = dict.fromkeys(name for each in drafts for name in each.staying)
    return f"  // keep its {', '.join(names)}" if names else ""


def ws_option(drafts: list[Draft]) -> str:
    """The option of an entry that lets WebSockets through."""
    return ", ws: true" if any(each.keys.get("ws") for each in drafts) else ""


def json_ws(ws: str) -> str:
    return ', "ws": true' if ws else ""


def ours(reading: ImportedFile) -> list[str]:
    """The contexts that have become routes, as they were written."""
    return [*dict.fromkeys(each.context for each in reading.active if each.context)]
