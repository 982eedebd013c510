"""A reading as `config.toml`: routes, and comments for what is none."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping

from proxy.config.effective import as_toml
from proxy.config.fault_text import key_name, quoted
from proxy.config.route_reader import table_name
from proxy.tools.importers.draft import Draft, FrontListeners, ImportedFile
from proxy.tools.importers.nginx_listen import pair_lines
from proxy.tools.migrate.verification import literal

WIDTH = 86
# In this order a route is read best.
ORDER = ("target", "ws", "change_origin", "path_rewrite")
PORTS: tuple[int, ...] = (8080, 8090, 8180, 8280, 8380, *range(8081, 9081))

# What the pages of docs/frameworks call needed.
STREAM_KEYS = {
    "retry": (
        "connect_retry_seconds = 60",
        "EventSource gives up on a restarting back end",
    ),
    "heartbeat": (
        "heartbeat_seconds = 15",
        "the dev server holds the response head until a byte follows",
    ),
    "event": (
        'on_upstream_failure = "event"',
        "a page behind the dev server sees a broken stream as an event",
    ),
}
ALL_THREE = ("retry", "heartbeat", "event")
NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("vite", "angular", "webpack", "vue", "setup", "package"), ALL_THREE
    ),
    "next": ("retry", "heartbeat"),
}
OPENED = "WARNING: PROTECTED BEFORE, BUT OPEN HERE"

# A rewrite has our own host as Host, and that of the page in X-Forwarded-Host.
NEXT_IS_TRUSTED = (
    'trusted_proxies = ["127.0.0.1", "::1"] # Next.js: keeps redirects on the '
    "page's origin"
)
DEV_SERVER_IS_TRUSTED = """\
# With the dev server in front of Unbuffered, uncomment this: its X-Forwarded-For makes
# you a stranger, and errors give details to programs on this machine alone.
# trusted_proxies = ["127.0.0.1", "::1"]"""
NGINX_IS_TRUSTED = """\
# With nginx in front of Unbuffered, uncomment this, and have it send X-Forwarded-For:
# otherwise each client of nginx has its address, and may count as one on this machine.
# trusted_proxies = {addresses}"""
DEV_SERVER = """\
# To open Unbuffered in the browser, in front of the dev server, uncomment this:
# [routes."/"]
# target = "http://localhost:{port}"
# ws = true # hot reload"""


def has_room(reading: ImportedFile) -> bool:
    """Can the dev server stand behind Unbuffered, at "/"?"""
    base = reading.base.rstrip("/")
    taken = {draft.prefix for draft in reading.active}
    return bool(reading.dev_port) and not taken & {"/", base}


def write(reading: ImportedFile, title: str) -> str:
    """The whole file."""
    blocks = [
        "\n".join(
            [
                f"# From {one_line(reading.file)} ({title}), by unbuffered import.",
                *warning(reading),
                *comments(reading.notices, "- "),
            ]
        ),
        f"[server]\n{port_line(reading)}",
    ]
    if reading.kind == "next":
        blocks[-1] += f"\n{NEXT_IS_TRUSTED}"
    elif forwards(reading):
        blocks[-1] += f"\n{DEV_SERVER_IS_TRUSTED}"
    if reading.kind == "nginx":
        blocks[-1] += f"\n{nginx_is_trusted(reading)}"
    for key, value in reading.server.items():
        blocks[-1] += f"\n{key} = {toml(value)}"
    for line in reading.without_it:
        blocks[-1] += f"\n# {one_line(line)}"
    if reading.listening is not None:
        blocks += listeners(reading, reading.listening)
    if reading.kind in NEEDED:
        blocks.append(needed(reading.kind))
    if reading.lost:
        lines = ["# NOT IMPORTED:", *comments(reading.lost, "- ")]
        blocks.append("\n".join(lines))
    blocks += [route(draft) for draft in reading.drafts]
    if has_room(reading):
        blocks.append(DEV_SERVER.format(port=reading.dev_port))
    return "\n\n".join(blocks) + "\n"


def port_line(reading: ImportedFile) -> str:
    """The port, and under it the certificate, if there is one."""
    there = reading.listening
    if there is None:
        return f"port = {free_port(reading.ports)}"
    path, key = there.certificates[0]
    lines = [f"port = {secure_port(reading)} # {there.port} without nginx"]
    return "\n".join([*lines, *pair_lines(path, key)])


def secure_port(reading: ImportedFile) -> int:
    """One for TLS that nothing else has."""
    return 8443 if 8443 not in reading.ports else free_port(reading.ports)


def listeners(reading: ImportedFile, there: FrontListeners) -> Iterator[str]:
    """Tables of further certificates, and of listeners that redirect."""
    for path, key in there.certificates[1:]:
        yield "\n".join(["[[certificate]]", *pair_lines(path, key)])
    taken = {*reading.ports, secure_port(reading)}
    for port, place in there.redirects.items():
        taken.add(free := free_port(taken))
        yield (
            f"[[listen]]\nport = {free} # {port} without nginx\n"
            f"https_redirect = true # {one_line(place)}"
        )


def nginx_is_trusted(reading: ImportedFile) -> str:
    """nginx on this machine, beside the proxies in front of it."""
    known = reading.server.get("trusted_proxies")
    addresses = [*known] if isinstance(known, list) else []
    return NGINX_IS_TRUSTED.format(
        addresses=toml([*dict.fromkeys([*addresses, "127.0.0.1"])])
    )


def forwards(reading: ImportedFile) -> bool:
    """Does the dev server say who its client is, in some entry?"""
    return any(draft.forwards for draft in reading.drafts)


def needed(kind: str) -> str:
    """The keys that streams through a dev server need (docs/frameworks), commented."""
    lines = [
        "# For routes with streams, uncomment this (docs/frameworks):",
        "# [defaults]",
    ]
    for setting in NEEDED[kind]:
        key, reason = STREAM_KEYS[setting]
        lines.append(f"# {key} # {reason}")
    return "\n".join(lines)


def warning(reading: ImportedFile) -> list[str]:
    """What is open here and was closed there, before anything else."""
    if not reading.opened:
        return []
    return ["#", f"# {OPENED}:", *comments(reading.opened, "- "), "#"]


def free_port(taken: Iterable[int]) -> int:
    """A port that neither the dev server nor a target has."""
    known = set(taken)
    return next((port for port in PORTS if port not in known), PORTS[0])


def route(draft: Draft) -> str:
    """One route, with what is to be said about it."""
    head = [f"# {draft.place}", *comments(draft.notes, "")]
    if draft.lost:
        head += ["# NOT IMPORTED:", *comments(draft.lost, "- ")]
    body = [f"[{table_name(draft.prefix)}]", *lines(draft)]
    if draft.inactive:
        head += ["# NOT A ROUTE:", *comments([draft.inactive], "- ")]
        body = [f"# {line}" for line in body]
    return "\n".join(head + body)


def lines(draft: Draft) -> Iterator[str]:
    """Key = value, each with its remark."""
    names = [*(key for key in ORDER if key in draft.keys)]
    names += [key for key in draft.keys if key not in names]
    for key in names:
        line = f"{key} = {toml(literal(draft.keys[key]))}"
        remark = draft.remarks.get(key)
        yield f"{line} # {one_line(remark)}" if remark else line


def toml(value: object) -> str:
    """A value as TOML writes it; a table on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key_name(k)} = {toml(v)}" for k, v in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return quoted(value) if isinstance(value, str) else as_toml(value)


def comments(texts: Iterable[str], bullet: str) -> Iterator[str]:
    """Each text as comment lines."""
    for text in texts:
        yield from textwrap.wrap(
            one_line(text),
            WIDTH,
            initial_indent=f"# {bullet}",
            subsequent_indent="# " + " " * len(bullet),
            break_long_words=False,
            break_on_hyphens=False,
        )


def one_line(text: str) -> str:
    """The text without line ends and control characters: it is a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
