"""What to write instead of a key, where its table or its value decides.

Pure text, beside the plain words of `foreign_keys`: `host` is a key of [server], and
in a route it is a part of the table's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TypeGuard

from proxy.config.cidr import parse_network
from proxy.config.fault_text import listed, quoted
from proxy.config.foreign_keys import in_seconds, plain_number
from proxy.config.listen_address import parse_listen_address
from proxy.config.route_hosts import check_host, route_place, whole

EXAMPLE_HOST = "api.example.com"
EXAMPLE_ADMIN = "127.0.0.1:9090"
EXAMPLE_NETWORK = "10.0.0.0/8"
MILLISECONDS_FROM = 1000  # nobody drains for so many seconds
HOSTS = frozenset(
    ("server_name", "server_names", "hosts", "host", "hostname", "hostnames", "domain",
     "domains", "vhost", "virtual_host", "rule", "match_host", "host_regexp")
)  # fmt: skip
ANY_HOST = ("_", "*", "")
RULE_HOST = re.compile(r"\bHost\(([^()]*)\)")
RULE_PATH = re.compile(r"\bPath(?:Prefix)?\(\s*[`'\"]([^`'\"]*)[`'\"]")
WORKERS = frozenset(
    ("worker_processes", "worker_count", "num_workers", "processes", "nbproc")
)
NETWORKS = frozenset(
    ("set_real_ip_from", "forwarded_allow_ips", "trusted_ips", "real_ip_header",
     "real_ip_recursive", "real_ip")
)  # fmt: skip
CERTIFICATES = frozenset(
    ("certfile", "cert_file", "ssl_certfile", "certificate_file", "tls_cert_file",
     "ssl_certificate")
)  # fmt: skip
PRIVATE_KEYS = frozenset(
    ("keyfile", "key_file", "ssl_keyfile", "private_key_file", "tls_key_file",
     "ssl_certificate_key")
)  # fmt: skip
DRAIN = frozenset(
    ("shutdown_timeout", "graceful_timeout", "graceful_shutdown_timeout",
     "timeout_graceful_shutdown", "shutdown_grace_period", "grace_period",
     "stop_timeout", "worker_shutdown_timeout")
)  # fmt: skip
ADMIN = frozenset(
    ("admin_host", "admin_port", "admin_address", "admin_listen", "metrics_host",
     "metrics_port", "metrics_address", "metrics_listen", "metrics", "prometheus")
)  # fmt: skip
LISTENING = frozenset(("host", "port", "listen", "address", "bind", "admin"))
OWN_PATHS = {"inspector": "/_unbuffered/", "metrics": "/_unbuffered/metrics"}
ADMIN_TABLES = ("admin", "prometheus")
TO_OUTPUT = (
    "the log goes to standard output: redirect it, or let the service manager keep it"
)
OFF = ("off", "false", "no", "none", "0")


def key_advice(table: str, name: str, raw: object) -> str:
    """What to write for the key `name`, in snake case; "": nothing is said here.

    `table`: the name of the table that has it, "" at the top level.
    """
    if table in OWN_PATHS and name in ("path", "prefix", "url", "endpoint"):
        return f"remove it: the path is always {OWN_PATHS[table]}"
    if name in ADMIN or (table in OWN_PATHS and name in LISTENING):
        return admin_advice(name, raw)
    if name in HOSTS:
        return host_advice(table, name, raw)
    if name in WORKERS:
        return f"write workers = {count_of(raw)} under [server]"
    if name in NETWORKS:
        return networks_advice(raw)
    for names, key in ((CERTIFICATES, "tls_certificate"), (PRIVATE_KEYS, "tls_key")):
        if name in names:
            value = f" = {quoted(str(raw))}" if is_text(raw) else ""
            return f"write {key}{value} under [server]"
    if name in DRAIN:
        return drain_advice(raw)
    if name in ("access_log", "access_logs"):
        off = raw is False or (isinstance(raw, str) and raw.lower() in OFF)
        shown = "access = false" if off else "access = true"
        return f"write {shown} under [log]" + ("" if off else f"; {TO_OUTPUT}")
    if name == "log_format":
        return (
            f"write format = {quoted(str(raw))} under [log]"
            if raw in ("json", "text")
            else 'write format = "json" or format = "text" under [log]; the fields of '
            "a line are always the same"
        )
    return ""


def table_advice(name: str, content: dict[str, object]) -> str:
    """The same of a table that no other table has; "": nothing is said here."""
    if name not in ADMIN_TABLES:
        return ""
    known = {key.lower(): value for key, value in content.items()}
    for key in ("listen", "address", "bind", "admin"):
        if is_text(known.get(key)):
            return admin_advice(key, known[key])
    host, port = known.get("host", "127.0.0.1"), known.get("port", 9090)
    return admin_advice("address", f"{host}:{port}")


def host_advice(table: str, name: str, raw: object) -> str:
    """A host is a part of the name of a route."""
    if name in ("host", "hostname") and not table.startswith("routes."):
        return ""
    path = path_of(table)
    texts = [each for each in texts_of(raw) if each not in ANY_HOST]
    if name == "rule":
        rule = raw if isinstance(raw, str) else ""
        texts = RULE_HOST.findall(rule)
        if not texts:
            return ""
        texts = [each for found in texts for each in re.findall(r"[\w.*-]+", found)]
        said = RULE_PATH.search(rule)
        path = said[1] if said and said[1].startswith("/") else path
    elif not texts and raw in ANY_HOST:
        return "remove it: a route whose name begins with / is for all hosts"
    if name == "host" and any(map(is_listening, texts)):
        return ""  # the address of the listener
    hosts = [each for each in map(usable_host, texts) if each]
    if not hosts or len(hosts) < len(texts):
        hosts = [EXAMPLE_HOST]
    tables = listed([f"[routes.{quoted(each + path)}]" for each in hosts[:4]])
    return f"the host stands in the name of a route: write {tables}"


def is_listening(text: str) -> bool:
    """Is it where something listens on this machine, rather than a name?"""
    return text == "localhost" or re.fullmatch(r"[0-9.:]+|\[.*\]", text) is not None


def path_of(table: str) -> str:
    """The path in the name of a route's table; "/": it has none."""
    try:
        name = json.loads(table.partition(".")[2])
    except ValueError:
        return "/"
    path = route_place(name).path if isinstance(name, str) else ""
    return path or "/"


def texts_of(raw: object) -> list[str]:
    """One name, several in one text, or a list of them."""
    if isinstance(raw, str):
        return [each for each in re.split(r"[\s,]+", raw) if each]
    if isinstance(raw, list):
        return [each for each in raw if isinstance(each, str)]
    return []


def usable_host(text: str) -> str:
    """A host as the name of a route has it; "": it is none."""
    text = re.sub(r"^\w+://", "", text)
    host = route_place(whole(text)).host.removesuffix(".")
    try:
        check_host(f"{host}/")
    except ValueError:
        return ""
    return host


def count_of(raw: object) -> str:
    """A number of workers, as TOML writes it."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw > 0:
        return str(raw)
    return '"auto"'


def networks_advice(raw: object) -> str:
    """Whose forwarding fields are believed."""
    networks = networks_in(raw)
    if networks:
        return f"write trusted_proxies = {networks} under [server]"
    return (
        f"write trusted_proxies = [{quoted(EXAMPLE_NETWORK)}] under [server], with the "
        "addresses of the proxies in front: they are believed in X-Forwarded-For"
    )


def networks_in(raw: object) -> str:
    """A list of networks, as TOML writes it; "": not all of them are networks."""
    texts = texts_of(raw)
    try:
        for each in texts:
            parse_network(each)
    except ValueError:
        return ""
    return f"[{', '.join(map(quoted, texts))}]" if texts else ""


def drain_advice(raw: object) -> str:
    """How long open exchanges may go on."""
    number, seconds = plain_number(raw), in_seconds(raw, 1)
    if number is not None and number >= MILLISECONDS_FROM:
        seconds = number / 1000
    value = "" if seconds is None else f" = {seconds:.15g}"
    return f"write drain_seconds{value} under [server]"


def admin_advice(name: str, raw: object) -> str:
    """Where metrics and inspector have a listener of their own."""
    if name in ("metrics", "prometheus") and isinstance(raw, bool):
        return f"write enabled = {str(raw).lower()} under [metrics]"
    place = next(filter(None, map(listen_place, admin_texts(name, raw))), EXAMPLE_ADMIN)
    return f"write admin = {quoted(place)} under [server]"


def admin_texts(name: str, raw: object) -> Iterator[str]:
    """What the address may be, by the half of it that was written."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        yield f"127.0.0.1:{raw}"
    elif isinstance(raw, str) and name.rpartition("_")[2] == "host":
        yield f"{raw}:9090"
    elif isinstance(raw, str):
        yield raw
        yield f"127.0.0.1:{raw.lstrip(':')}"


def listen_place(text: str) -> str:
    """An address to listen at; "": it is none."""
    try:
        return str(parse_listen_address(text))
    except ValueError:
        return ""


def is_text(raw: object) -> TypeGuard[str]:
    return isinstance(raw, str) and "${" not in raw and raw.isprintable()


def better_value(key: str, raw: object) -> str:
    """What to write for a value that another proxy takes; "": nothing is said here."""
    off = raw is False or (isinstance(raw, str) and raw.lower() in OFF)
    if key == "admin" and isinstance(raw, int) and not isinstance(raw, bool):
        return f'write "127.0.0.1:{raw}"' if 0 <= raw < 65536 else ""
    if key == "error_detail" and (off or raw in (True, "on", "true", "yes")):
        return 'write "none"' if off else 'write "loopback", or "all"'
    if key == "access" and isinstance(raw, str) and re.search(r"[/\\]|\.log$", raw):
        return f"write true; {TO_OUTPUT}"
    if key in ("tls_certificate", "tls_key") and isinstance(raw, list):
        return "write one, and a table [[certificate]] for each of the others"
    return ""
