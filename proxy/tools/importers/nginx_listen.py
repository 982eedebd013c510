"""What nginx has where it listens: certificates, redirects to https, trusted proxies.

Most of it is for when nginx is no longer in front, so it is written as comments: nginx
has the port until then, and its key is often for root alone.
"""

from __future__ import annotations

import re

from proxy.config.cidr import parse_network
from proxy.config.fault_text import quoted
from proxy.tools.importers.draft import ImportedFile
from proxy.tools.importers.nginx_server import NginxServer
from proxy.tools.importers.nginx_syntax import Directive, walk
from proxy.tools.importers.nginx_template import has_variable

TLS = "nginx used TLS here: {write}, or start with --tls dev"
WRITE = "write tls_certificate and tls_key under [server]"
UNCOMMENT = "uncomment tls_certificate and tls_key under [server]"
WITHOUT_NGINX = "Without nginx in front, write port = 443 and uncomment this:"
SEVERAL_CERTIFICATES = (
    "nginx had several certificates ({paths}), and a listener has one here: use one "
    "certificate with all names, or one more [[listen]] at another address for each"
)
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


def read_listeners(reading: ImportedFile, servers: list[NginxServer]) -> None:
    """The certificate of the servers that became routes, and redirects to it."""
    pairs = list(dict.fromkeys(filter(None, map(certificate, servers))))
    if not pairs:
        if any(server.tls for server in servers):
            reading.notice(TLS.format(write=WRITE))
        return
    reading.notice(TLS.format(write=UNCOMMENT))
    if len(pairs) > 1:
        paths = ", ".join(path for path, _ in pairs)
        reading.notice(SEVERAL_CERTIFICATES.format(paths=paths))
    path, key = pairs[0]
    reading.without_it += [WITHOUT_NGINX, f"tls_certificate = {quoted(path)}"]
    reading.without_it += [f"tls_key = {quoted(key)}"] if key else []


def read_redirects(reading: ImportedFile, servers: list[NginxServer]) -> None:
    """`listen 80; return 301 https://$host$request_uri;`"""
    if not reading.without_it:
        return  # there is no listener to lead to
    found: dict[int, Directive] = {}
    for server in servers:
        directive = redirect_of(server)
        for port in server.plain_ports if directive else ():
            assert directive is not None
            found.setdefault(port, directive)
    for port, directive in found.items():
        reading.without_it += [
            "[[listen]]",
            f"port = {port}",
            f"https_redirect = true # {directive.place}: {directive}",
        ]


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
