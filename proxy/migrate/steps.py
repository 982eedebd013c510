"""What to change in the old file, once Unbuffered does its proxying."""

from __future__ import annotations

import json
from collections.abc import Iterator

from proxy.dialects.draft import Reading
from proxy.migrate.writing import has_room


def steps(reading: Reading, port: int) -> list[str]:
    """Lines for a person, most of them to be copied."""
    # What is listened on: of localhost, Node.js 17 to 19 asks ::1 alone, and nginx
    # both in turn.
    address = f"http://127.0.0.1:{port}"
    if reading.kind == "nginx":
        return [
            "Point clients at Unbuffered, or these locations of nginx:",
            f"    proxy_pass {address};   # without a path behind the port",
            "    proxy_buffering off;",
            "    proxy_http_version 1.1;",
        ]
    first = f"In {reading.file}, let the dev server's proxy lead to Unbuffered:"
    if reading.kind == "next":
        first = f"In {reading.file}, let the rewrites lead to Unbuffered:"
    lines = [first, *(f"    {line}" for line in snippet(reading, address))]
    if any("compress: false" in notice for notice in reading.notices):
        lines.append("compress: false may go.")
    if has_room(reading):
        page = f"http://localhost:{port}"
        lines.append(f"Or open {page} instead; the route / at the end is for that.")
    return lines


def snippet(reading: Reading, address: str) -> Iterator[str]:
    """The new proxy block."""
    ws = sockets(reading)
    every = ", ws: true" if ws else ""
    own = {c: ", ws: true" if c in ws else "" for c in ours(reading)}
    contexts = {json.dumps(c, ensure_ascii=False): own[c] for c in own}
    # One list must not mix globs and plain texts.
    plain = ", ".join(dict.fromkeys(f"'{d.prefix}'" for d in reading.active))
    match reading.kind:
        case "vite":
            yield "proxy: {"
            for context, ws_there in contexts.items():
                yield f"  {context}: {{ target: '{address}'{ws_there} }},"
            yield "}"
        case "webpack":
            yield f"proxy: [{{ context: [{plain}], target: '{address}'{every} }}]"
        case "vue" if contexts:
            yield "proxy: {"
            for context in contexts:
                yield f"  {context}: {{ target: '{address}', changeOrigin: false }},"
            yield "}"
        case "vue":
            yield f"proxy: '{address}'"
        case "package" if not contexts:
            yield f'"proxy": "{address}"'
        case "angular" | "package":
            yield "{"
            entries = [
                f'  {context}: {{ "target": "{address}"{json_ws(ws_there)} }}'
                for context, ws_there in contexts.items()
            ]
            yield from (f"{entry}," for entry in entries[:-1])
            yield from entries[-1:]
            yield "}"
        case "setup":
            yield (
                f"app.use(createProxyMiddleware([{plain}], "
                f"{{ target: '{address}'{every} }}))"
            )
            yield "// from http-proxy-middleware 3 on:"
            yield (
                f"app.use(createProxyMiddleware({{ pathFilter: [{plain}], "
                f"target: '{address}'{every} }}))"
            )
        case "next":
            outside = ", basePath: false" if reading.base else ""
            for draft in reading.active:
                path = draft.prefix.rstrip("/") + "/:path*"
                stage = "  // in fallback" if "fallback" in draft.place else ""
                yield (
                    f"{{ source: '{path}', destination: '{address}{path}'{outside} }},"
                    f"{stage}"
                )


def json_ws(ws: str) -> str:
    return ', "ws": true' if ws else ""


def sockets(reading: Reading) -> set[str]:
    """The contexts that let WebSockets through."""
    return {each.context for each in reading.active if each.keys.get("ws")}


def ours(reading: Reading) -> list[str]:
    """The contexts that have become routes, as they were written."""
    return [*dict.fromkeys(each.context for each in reading.active if each.context)]
