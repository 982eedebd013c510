"""What is worth telling about a configuration beside what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.config.model import ServerOptions
from proxy.tools.importers.draft import Draft, ImportedFile, SourceFile
from proxy.tools.importers.targets import local_port
from proxy.tools.importers.values import table
from proxy.tools.migrate.config_writer import free_port

SOCKET_WORDS = re.compile(
    r"(^|[/_-])(ws|wss|websockets?|sockets?|socket\.io|sockjs(-node)?|signalr|hubs?|"
    r"cable|live|realtime)([/_-]|$)",
    re.IGNORECASE,
)
VARIABLE = re.compile(r"process\.env(?:\.|\[['\"])([A-Za-z_]\w*)")
LOADED = re.compile(r"\benv(?:\.|\[['\"])([A-Z_][A-Z0-9_]*)\b")  # of Vite's loadEnv
# A name as code has it: env.NAME, env['NAME'], const { NAME } = env.
NAMED = re.compile(r"[.{,]\s*+([A-Za-z_]\w*+)|['\"]([A-Za-z_]\w*+)['\"]")
OWN_PORT = ServerOptions().port
NOT_OURS = {"NODE_ENV", "PORT", "HOST"}
COMPRESSES = {"webpack", "vue", "next"}
SOCKET_PATHS = {"webpack": "/ws", "vue": "/ws", "setup": "/ws", "package": "/ws"}
SOCKET_PATHS |= {"next": "/_next/webpack-hmr", "angular": "/ng-cli-ws"}


def notice_compression(reading: ImportedFile, found: Mapping[str, object]) -> None:
    """Compression holds streams back, and is on unless it is said otherwise."""
    if reading.kind not in COMPRESSES or not reading.drafts:
        return
    server = found if reading.kind == "next" else table(found.get("server"))
    place = "compress" if reading.kind == "next" else "devServer.compress"
    if server.get("compress") is False:
        reading.notice(
            f"{place}: the false can be removed: streams now pass a "
            "compressing dev server"
        )
    else:
        reading.notice(
            f"{place} is on, which held back streams; it can stay on: stream "
            "responses now carry no-transform and are not compressed"
        )


def notice_hot_reload(reading: ImportedFile, found: Mapping[str, object]) -> None:
    """A route that takes the path of the hot reload's WebSocket."""
    path = socket_path(reading.kind, found)
    for draft in reading.active:
        if not draft.context:
            continue  # the dev server itself decides what comes here
        below = draft.prefix.rstrip("/") + "/"
        if draft.prefix == path or path.startswith(below):
            advice = "use another path for the route"
            if draft.prefix == "/":
                advice = (
                    'keep the dev server at "/" and move this target below its own path'
                )
            reading.notice(
                f"the route {draft.prefix} also takes {path}, the hot-reload path "
                f"of the dev server: {advice}"
            )


def socket_path(kind: str, found: Mapping[str, object]) -> str:
    """Where the hot reload of a dev server has its WebSocket."""
    server = table(found.get("server"))
    if kind == "vite":
        base = str(found.get("base") or "/")
        path = str(table(server.get("hmr")).get("path") or "")
        whole = f"{base.rstrip('/')}/{path.lstrip('/')}"
        return whole if whole.startswith("/") else "/"
    options = table(table(server.get("webSocketServer")).get("options"))
    url = table(table(server.get("client")).get("webSocketURL"))
    path = str(options.get("path") or url.get("pathname") or "")
    if kind == "next":
        return f"{found.get('basePath') or ''}{SOCKET_PATHS['next']}"
    return path or SOCKET_PATHS[kind]


def notice_own_address(reading: ImportedFile) -> None:
    """Entries that point where Unbuffered listens by default: perhaps at Unbuffered.

    Not of nginx, which has a back end on this port as a rule.
    """
    if reading.kind == "nginx":
        return
    here = [each for each in reading.active if local_port(target_of(each)) == OWN_PORT]
    if here:
        prefixes = ", ".join(dict.fromkeys(each.prefix for each in here))
        target = target_of(here[0])
        reading.notice(
            f"{prefixes}: the proxy already points at {target}, the default address of "
            "Unbuffered. If that is Unbuffered, do not use this file: it puts a second "
            "proxy before it. If it is a back end, go on: Unbuffered gets port "
            f"{free_port(reading.ports)} here"
        )


def target_of(draft: Draft) -> str:
    return str(draft.keys.get("target"))


def notice_sockets(reading: ImportedFile) -> None:
    """Entries that look as if a WebSocket went through them, without `ws`."""
    for draft in reading.active:
        if not draft.keys.get("ws") and looks_like_sockets(draft):
            reading.notice(
                f"the route {draft.prefix} looks like a WebSocket route, but ws was "
                "not set: if it is one, write ws = true"
            )


def looks_like_sockets(draft: Draft) -> bool:
    target = target_of(draft)
    address = target.partition("://")[2]
    path = address[address.find("/") :] if "/" in address else ""
    return (
        target.startswith(("ws:", "wss:"))
        or SOCKET_WORDS.search(draft.prefix) is not None
        or SOCKET_WORDS.search(path) is not None
    )


def notice_modules(reading: ImportedFile) -> None:
    """The configuration was read without some of its modules."""
    reading.notice(
        f"read without {', '.join(reading.missing)}, not installed here: entries "
        "that depend on them may be missing"
    )


def notice_variables(reading: ImportedFile, origin: SourceFile) -> None:
    """Values of variables are those of this moment; where they came from."""
    found = set(VARIABLE.findall(origin.text))
    if "loadEnv" in origin.text:
        found |= set(LOADED.findall(origin.text))
    named = {name for both in NAMED.findall(origin.text) for name in both}
    found |= named & set(reading.sources)
    names = sorted(found - NOT_OURS)
    if not names or not reading.drafts:
        return
    places: dict[str, list[str]] = {}
    for name in names:
        place = reading.sources.get(name) or "the environment"
        places.setdefault(place, []).append(name)
    told = [f"{', '.join(each)} from {place}" for place, each in places.items()]
    files = places.keys() - {"the environment"}
    unread = ", which must then be set: Unbuffered does not read .env files"
    reading.notice(
        f"{origin.name} reads {'; '.join(told)}. The values written here are those "
        f"of this run; ${{{names[0]}}} in a target takes it from the "
        f"environment{unread if files else ''}"
    )
