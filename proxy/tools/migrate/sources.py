"""One file of a project, read in its own dialect."""

from __future__ import annotations

import json
import re
from pathlib import Path

from proxy.tools.importers.dev_server import dev_port, read_proxy
from proxy.tools.importers.draft import ImportedFile, SourceFile, Unreadable
from proxy.tools.importers.evaluation import evaluate
from proxy.tools.importers.nextjs import read_next
from proxy.tools.importers.nginx import read_nginx
from proxy.tools.importers.setup_proxy import read_setup
from proxy.tools.importers.values import table
from proxy.tools.migrate.advice import (
    notice_compression,
    notice_hot_reload,
    notice_modules,
    notice_own_address,
    notice_sockets,
    notice_variables,
)

PORTS = {"vite": 5173, "vue": 8080, "webpack": 8080, "angular": 4200, "next": 3000}
PORTS |= {"setup": 3000, "package": 3000}
# A comment, or a string that may hold what looks like one.
# What is not closed goes to the end, so that nothing is looked at twice.
JSON_STRING = r'("(?:[^"\\]|\\.)*+(?:"|\\?+\Z))'
JSON_COMMENT = re.compile(JSON_STRING + r"|//[^\n]*+|/\*.*?(?:\*/|\Z)", re.DOTALL)
JSON_COMMA = re.compile(JSON_STRING + r"|,(?=\s*+[}\]])", re.DOTALL)


def read_file(path: Path, kind: str, name: str) -> ImportedFile:
    """What a file says of proxying.

    Raises:
        Unreadable: says why, and what to do.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unreadable(f"{name} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"{name} is not UTF-8") from error
    reading = ImportedFile(kind, name)
    origin = SourceFile(name, text)
    if kind == "nginx":
        read_nginx(reading, origin, path.resolve().parent)
        return reading
    reading.dev_port = PORTS[kind]
    if path.suffix == ".json":
        found = table(read_json(text, name))
        if kind == "package":
            if found.get("proxy"):
                read_proxy(reading, found["proxy"], origin, "proxy")
        else:
            read_proxy(reading, found or read_json(text, name), origin, "")
    else:
        evaluated = evaluate(kind, path)
        found = evaluated.found
        reading.missing, reading.sources = evaluated.missing, evaluated.sources
        interpret(reading, found, origin)
        if reading.missing:
            notice_modules(reading)
        notice_variables(reading, origin)
    reading.ports.add(reading.dev_port)
    notice_own_address(reading)
    notice_hot_reload(reading, found)
    notice_sockets(reading)
    return reading


def interpret(
    reading: ImportedFile, found: dict[str, object], origin: SourceFile
) -> None:
    """Understand what node made of a configuration."""
    if reading.kind == "next":
        read_next(reading, found, origin)
    elif reading.kind == "setup":
        read_setup(reading, found, origin)
        reading.dev_port = dev_port(table(found.get("server")), PORTS[reading.kind])
    else:
        server = table(found.get("server"))
        path = "server.proxy" if reading.kind == "vite" else "devServer.proxy"
        path = "" if reading.kind == "angular" else path
        read_proxy(reading, server.get("proxy"), origin, path)
        reading.dev_port = dev_port(server, PORTS[reading.kind])
        reading.base = str(found.get("base") or "")
    notice_compression(reading, found)


def read_json(text: str, name: str) -> object:
    """JSON with comments and trailing commas, as Angular allows them.

    Raises:
        Unreadable: names the line.
    """
    plain = JSON_COMMENT.sub(lambda found: found[1] or "", text)
    plain = JSON_COMMA.sub(lambda found: found[1] or "", plain)
    try:
        return json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is not valid JSON: {error}") from error
