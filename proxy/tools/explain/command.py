"""The arguments of `unbuffered explain`, and the request that they describe."""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from proxy.colour import Paint
from proxy.config.admin_checks import admin_address
from proxy.config.fault_text import quoted
from proxy.config.model import Config, ListenOptions, ServerOptions
from proxy.tools.explain.dry_run import DryRun
from proxy.tools.explain.result import Account, account
from proxy.tools.explain.text import render_text

OWN = "/_unbuffered/"
TAKEN, REFUSED = 0, 1  # exit codes; wrong arguments are 2

METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD = re.compile(r"([^\s:]+):[ \t]*+([^\x00-\x1f\x7f]*)")
# Bytes are kept: a parser of URLs might put dot segments right.
URL = re.compile(
    r"(https?|wss?)://(?:[^/?@]*@)?([^/?]+)(.*)", re.IGNORECASE | re.DOTALL
)
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
EXAMPLES = """\
examples:
  unbuffered explain GET /sse/events
  unbuffered explain GET 'http://localhost:8080/sse/events?last=4'
  unbuffered explain POST /llm/chat -H 'Authorization: Bearer key' --json
  unbuffered explain GET /ws -H 'Upgrade: websocket'
  unbuffered explain GET /x --route /x=http://localhost:8002 --client 10.1.2.3

exit status: 0 a route matches, 1 the request is refused, 2 wrong arguments or
configuration
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What describes the request."""
    command.add_argument("method", metavar="METHOD", type=method, help="GET, POST, …")
    command.add_argument(
        "path",
        metavar="PATH",
        type=path_or_url,
        help="path and query as a client sends them, or a full URL",
    )
    command.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        type=field,
        metavar="'NAME: VALUE'",
        help="a request header field; Upgrade adds Connection: Upgrade. Can be "
        "repeated",
    )
    command.add_argument(
        "--client",
        default="127.0.0.1",
        type=address,
        metavar="ADDRESS",
        help="client address of the request (default 127.0.0.1)",
    )
    command.add_argument(
        "--all",
        action="store_true",
        help="show every limit, also those that have their defaults",
    )
    command.add_argument(
        "--json", action="store_true", help="print one JSON object, for programs"
    )


def explanation(
    options: argparse.Namespace, config: Config, paint: Paint
) -> tuple[str, int]:
    """What becomes of the request, and the exit status."""
    told = explain(options, config)
    status = REFUSED if told.refused else TAKEN
    if options.json:
        # In ASCII: it is JSON in every encoding.
        return json.dumps(json.loads(msgspec.json.encode(told)), indent=2), status
    return render_text(told, paint, everything=options.all), status


def explain(options: argparse.Namespace, config: Config) -> Account:
    """Try the request that the arguments describe."""
    scheme, authority, target = options.path
    if not scheme:
        scheme = "https" if config.server.tls_certificate else "http"
    request = request_bytes(
        options.method,
        target,
        authority or f"{own_host(config.server.host)}:{config.server.port}",
        options.header,
    )
    tls = scheme in ("https", "wss")
    admin = scheme == "http" and target.startswith(OWN) and is_admin(config, authority)
    return account(
        DryRun(
            config,
            request,
            options.client,
            tls=tls,
            admin=admin,
            https_port=https_port(config, scheme, authority),
        )
    )


def https_port(config: Config, scheme: str, authority: str) -> int | None:
    """Where the listener that a URL names redirects to, if it does."""
    found = re.search(r":(\d+)$", authority)
    port = int(found[1]) if found else 80
    if scheme != "http" or all(
        each.port != port or not each.https_redirect for each in config.listen
    ):
        return None
    listeners: list[ServerOptions | ListenOptions] = [config.server, *config.listen]
    return next((each.port for each in listeners if each.tls_certificate), None)


def is_admin(config: Config, authority: str) -> bool:
    """Is it the port of the admin listener that a URL names?"""
    admin = admin_address(config.server)
    port = authority.rpartition(":")[2].removesuffix("/")
    if admin is None or not admin.port or admin.port == config.server.port:
        return False
    return port == str(admin.port)


def own_host(host: str) -> str:
    """The host that a client of this machine asks for, by the one listened on."""
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        everywhere = host == ""
    if everywhere:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def request_bytes(
    method: str, target: str, host: str, fields: Sequence[tuple[str, str]]
) -> bytes:
    """The head of the request. A Host and a Connection that are given count."""
    lines = [f"{method} {target} HTTP/1.1"]
    names = {name.lower() for name, _ in fields}
    if "host" not in names:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if "upgrade" in names and "connection" not in names:
        lines.append("Connection: Upgrade")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode(
        "utf-8", "surrogateescape"
    )


def method(text: str) -> str:
    """A method. Those that everybody knows may be written small."""
    if METHOD.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not a valid method: write GET"
        )
    known = ("get", "head", "post", "put", "delete", "patch", "options")
    return text.upper() if text in known else text


def path_or_url(text: str) -> tuple[str, str, str]:
    """Scheme and authority, or "" for each, and the request-target.

    What no request holds is percent-encoded, as browsers do; a fragment
    stays with the client.
    """
    scheme = authority = ""
    target = text.partition("#")[0]
    url = URL.fullmatch(target)
    if url is not None:
        scheme, authority, target = url[1].lower(), url[2], url[3]
        target = target if target.startswith("/") else "/" + target
    elif not target.startswith("/") and target != "*":
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not a valid path: write a path that begins with /, "
            "or a full URL"
        )
    return scheme, authority, quote(target, safe=VISIBLE, errors="surrogateescape")


def field(text: str) -> tuple[str, str]:
    """A field as curl takes it."""
    found = FIELD.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("write 'Name: value'")  # it may be a secret
    return found[1], found[2]


def address(text: str) -> str:
    """The address of a client, without a port; of IPv4 always as IPv4 writes it."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not a valid IP address"
        ) from None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
