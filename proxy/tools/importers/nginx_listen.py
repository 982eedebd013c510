"""What nginx has where it listens: certificates, redirects to https, trusted proxies.

What can be had here is written, at ports that are free beside nginx. A certificate that
cannot be read, since its key is often for root alone, is written as comments.
"""

from __future__ import annotations

import os
import re
import ssl

from proxy.config.certificate import CertificateFault, certificate_context
from proxy.config.cidr import parse_network
from proxy.config.fault_text import quoted
from proxy.tools.importers.draft import FrontListeners, ImportedFile
from proxy.tools.importers.nginx_server import NginxServer
from proxy.tools.importers.nginx_syntax import Directive, walk
from proxy.tools.importers.nginx_template import has_variable

TLS = "nginx used TLS here: {write}, or start with --tls dev"
WRITE = "write tls_certificate and tls_key under [server]"
UNCOMMENT = (
    "uncomment tls_certificate and tls_key under [server], where they can be read: "
    "{fault}"
)
HAS_TLS = (
    "nginx used TLS here, and so does this file, at ports that are free beside nginx; "
    "without it write host and the ports that the comments name"
)
WITHOUT_NGINX = "Without nginx in front, write port = {port} and uncomment this:"
OTHER_ADDRESS = (
    "nginx took the address of a client from {field}. Here it comes from "
    "X-Forwarded-For: the proxies in trusted_proxies have to send that"
)
REDIRECT = re.compile(r"30[1278]")
SAME_PLACE = re.compile(r"https://([^/:\s]+?)(?::443)?\$request_uri", re.IGNORECASE)
SAME_HOST = ("$host", "$http_host", "$server_name")


def read_trusted(reading: ImportedFile, top: list[Directive]) -> None:
    """`set_real_ip_from`, of all levels: there is one list for all routes."""
    networks: list[str] = []
    for directive in walk(top):
        if directive.name == "set_real_ip_from" and directive.values:
            try:
                parse_network(directive.values[0])
                networks.append(directive.values[0])
            except ValueError as fault:
                reading.lost.append(f"{directive.place}: {directive}: {fault}")
    if not networks:
        return
    reading.server["trusted_proxies"] = list(dict.fromkeys(networks))
    fields = [
        each.values[0]
        for each in walk(top)
        if each.name == "real_ip_header" and each.values
    ] or ["X-Real-IP"]  # the default of nginx
    for field in dict.fromkeys(fields):
        if field.lower() != "x-forwarded-for":
            reading.notice(OTHER_ADDRESS.format(field=field))


def read_listeners(
    reading: ImportedFile, servers: list[NginxServer], known: list[NginxServer]
) -> None:
    """The certificates of the servers that became routes, and redirects to them."""
    ports = {port for server in servers for _, port in server.listens}
    reading.has_port = not ports <= {80, 443}
    pairs = list(dict.fromkeys(filter(None, map(certificate, servers))))
    if not pairs:
        if any(server.tls for server in servers):
            reading.notice(TLS.format(write=WRITE))
        return
    secure = [port for server in servers for port in server.secure_ports]
    port = secure[0] if secure else 443
    redirects = found_redirects(known)
    fault = next(filter(None, map(pair_fault, pairs)), "")
    if not fault:
        reading.notice(HAS_TLS)
        reading.listening = FrontListeners(pairs, port, redirects)
        return
    reading.notice(TLS.format(write=UNCOMMENT.format(fault=fault)))
    (path, key), *others = pairs
    reading.without_it += [WITHOUT_NGINX.format(port=port), *pair_lines(path, key)]
    for path, key in others:
        reading.without_it += ["[[certificate]]", *pair_lines(path, key)]
    for plain, place in redirects.items():
        reading.without_it += [
            "[[listen]]",
            f"port = {plain}",
            f"https_redirect = true # {place}",
        ]


def pair_lines(path: str, key: str) -> list[str]:
    """A certificate as keys."""
    lines = [f"tls_certificate = {quoted(path)}"]
    return lines + ([f"tls_key = {quoted(key)}"] if key and key != path else [])


def pair_fault(pair: tuple[str, str]) -> str:
    """Why a certificate cannot be had here; "" if it can."""
    path, key = pair
    if not os.path.isabs(path) or (key and not os.path.isabs(key)):
        return f"{path} is relative to the folder of nginx"
    try:
        certificate_context(path, key, ssl.SSLContext)
    except CertificateFault as fault:
        return str(fault)
    return ""


def found_redirects(servers: list[NginxServer]) -> dict[int, str]:
    """`listen 80; return 301 https://$host$request_uri;`, by the port."""
    found: dict[int, str] = {}
    for server in servers:
        directive = redirect_of(server)
        for port in server.plain_ports if directive else ():
            assert directive is not None
            found.setdefault(port, f"{directive.place}: {directive}")
    return found


def certificate(server: NginxServer) -> tuple[str, str] | None:
    """The files of a server; None: it has none that can be named."""
    paths = [
        next((d.values[0] for d in server.inherited(name) if d.values), "")
        for name in ("ssl_certificate", "ssl_certificate_key")
    ]
    bare = [re.sub(r"^(data|engine|store):.*", "", each) for each in paths]
    if not server.tls or not bare[0] or any(map(has_variable, bare)):
        return None
    return bare[0], bare[1]


def redirect_of(server: NginxServer) -> Directive | None:
    """What leads all of a server, or a condition in it, to https of the same host."""
    for directive in walk(server.block):
        if directive.name == "return" and len(directive.values) == 2:
            status, url = directive.values
            place = SAME_PLACE.fullmatch(url)
            same = place and place[1] in (*SAME_HOST, *server.names)
            if same and REDIRECT.fullmatch(status):
                return directive
    return None


def only_redirects(server: NginxServer) -> bool:
    """Does a server send everything elsewhere?"""
    return not any(each.location.all("proxy_pass") for each in server.places) and any(
        each.name == "return" and each.values and REDIRECT.fullmatch(each.values[0])
        for each in walk(server.block)
    )
