"""Values that are taken, and open more than somebody may have meant. Pure.

Each is a warning of one line: the key, the danger, and what to write. No default is
one, and most are none on a loopback address: what others cannot reach harms nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Network
from typing import NamedTuple

from proxy.config.admin_checks import admin_address
from proxy.config.cidr import Network, parse_network
from proxy.config.listen_address import ListenAddress, is_loopback
from proxy.config.model import (
    Config,
    InspectorOptions,
    MetricsOptions,
    ServerOptions,
)
from proxy.config.route import Route
from proxy.config.route_reader import table_name

# No operator has more addresses for its proxies: a network of this many bits is a
# part of the internet, or all of it. Those of one's own may be as large as they are.
WIDEST = {4: 8, 6: 16}
DEFAULT = ServerOptions()
OWN_NETWORKS = (IPv6Network("fc00::/7"), IPv6Network("fe80::/10"))
# Without these a client can hold connections, or have work done, at no cost.
FLOOD_LIMITS = {
    "head_timeout_seconds": "a client that sends no request holds its connection",
    "body_timeout_seconds": "a client that sends no more holds its request",
    "http2_max_resets_per_second": "a client may begin and cancel requests without "
    "end (rapid reset, CVE-2023-44487)",
    "http2_max_control_frames_per_second": "a client may send empty frames without "
    "end (CVE-2019-9512)",
}


class Danger(NamedTuple):
    """A key of a table, and a sentence on what it opens."""

    table: str
    key: str
    message: str


def dangers(config: Config) -> Iterator[Danger]:
    """All of a configuration, in the order of its tables."""
    place = public_place(config)
    yield from of_proxies(config)
    yield from of_admin(config)
    if place:
        yield from of_public_listener(config, place)
    yield from of_tokens(config, place)
    for route in config.routes.values():
        yield from of_upstream(route)
        if place:
            yield from of_public_route(config, route, place)


def public_place(config: Config) -> str:
    """Where others than programs on this machine can connect; "": nowhere."""
    server = config.server
    places = [(server.host, server.port)]
    places += [(each.host or server.host, each.port) for each in config.listen]
    for host, port in places:
        if not is_loopback(host):
            return str(ListenAddress(host, port))
    return ""


def of_proxies(config: Config) -> Iterator[Danger]:
    """Networks that hold clients, and not only proxies."""
    for text in config.server.trusted_proxies:
        network = parse_network(text)
        if not is_too_wide(network):
            continue
        whom = "everyone" if not network.prefixlen else "a part of the internet"
        message = (
            f"{text} is {whom}, and whoever is in it may claim to be any client, also "
            "a program on this machine: write the addresses of your own proxies, such "
            'as "10.0.0.0/8"'
        )
        yield Danger("server", "trusted_proxies", message)


def is_too_wide(network: Network) -> bool:
    """Does it hold more than somebody's proxies?"""
    if network.prefixlen >= WIDEST[network.version]:
        return False
    if not isinstance(network, IPv6Network):
        return True
    return not any(network.subnet_of(own) for own in OWN_NETWORKS)


def of_admin(config: Config) -> Iterator[Danger]:
    """At the admin listener the metrics are open, whatever `enabled` says but false."""
    admin = admin_address(config.server)
    if admin is None or admin.path or is_loopback(admin.host):
        return
    # A token of the inspector opens them elsewhere, and closes them nowhere.
    if config.metrics.enabled == "loopback" and not config.metrics.token:
        message = (
            f"everyone who can reach {admin} may read the metrics and the targets: "
            "write [metrics] enabled = true if that is meant, or a token there"
        )
        yield Danger("server", "admin", message)


def of_public_listener(config: Config, place: str) -> Iterator[Danger]:
    """What a listener should not have that strangers can reach."""
    server = config.server
    if server.error_detail == "all":
        message = (
            f"everyone who can reach {place} is told targets, limits and prefixes: "
            'write "loopback", the default'
        )
        yield Danger("server", "error_detail", message)
    for key, harm in FLOOD_LIMITS.items():
        if getattr(server, key) == 0:
            default = getattr(DEFAULT, key)
            message = f"0 is no limit: {harm}: write {default:g}, the default"
            yield Danger("server", key, message)
    if any(route.fault for route in config.routes.values()):
        message = (
            f"routes break their streams on purpose, for everyone who can reach {place}"
            ": remove fault from them, and this"
        )
        yield Danger("server", "allow_faults", message)


def of_tokens(config: Config, place: str) -> Iterator[Danger]:
    """The inspector and the metrics, open to whoever connects."""
    admin = admin_address(config.server)
    if admin is not None:  # there, and nowhere else
        place = "" if admin.path or is_loopback(admin.host) else str(admin)
    if not place:
        yield from of_empty_tokens(config)
        return
    if is_open(config.inspector):
        message = (
            f"everyone who can reach {place} may watch all requests: write token = "
            '"${UNBUFFERED_TOKEN}", or enabled = "loopback"'
        )
        yield Danger("inspector", "enabled", message)
    if is_open(config.metrics) and admin is None:
        message = (
            f"everyone who can reach {place} may read the metrics and the targets: "
            'write token = "${UNBUFFERED_METRICS_TOKEN}", or give them a listener of '
            "their own ([server] admin)"
        )
        yield Danger("metrics", "enabled", message)


def of_empty_tokens(config: Config) -> Iterator[Danger]:
    """A token that is asked for, and has nothing in it."""
    for table in ("inspector", "metrics"):
        if f"{table}.token" in config.sources and is_open(getattr(config, table)):
            message = (
                "is empty, and enabled is true: everyone who can reach the listener "
                "may look"
            )
            yield Danger(table, "token", message)


def is_open(options: InspectorOptions | MetricsOptions) -> bool:
    """To all, by nothing but an address?"""
    return options.enabled is True and not options.token


def of_upstream(route: Route) -> Iterator[Danger]:
    """Where a connection to a target can be read on its way."""
    unchecked = [
        str(each) for each in route.targets if each.tls and not is_loopback(each.host)
    ]
    if unchecked and not route.verify:
        message = (
            f"the certificate of {', '.join(unchecked)} is not checked, so anyone on "
            "the network path can read and change the traffic: write ca_file = "
            '"ca.pem", with the certificate of its CA'
        )
        yield Danger(table_name(route.prefix), "verify", message)


def of_public_route(config: Config, route: Route, place: str) -> Iterator[Danger]:
    """What a route should not do for strangers."""
    table = table_name(route.prefix)
    if route.trust_forwarded:
        message = (
            f"everyone who can reach {place} may claim any client address, scheme and "
            "host: write trusted_proxies in [server] instead, with the addresses of "
            "your own proxies"
        )
        yield Danger(table, "trust_forwarded", message)
    if route.rewrite_origin:
        message = (
            "pages of any origin may send requests and open WebSockets with the "
            "cookies of their visitors, since the upstream sees its own origin: remove "
            "it outside of development"
        )
        yield Danger(table, "rewrite_origin", message)
    if route.cookie_secure == "strip" and by_tls(config):
        message = (
            "cookies lose Secure though there is a listener with TLS, so browsers send "
            'them unencrypted, too: write "keep", the default'
        )
        yield Danger(table, "cookie_secure", message)


def by_tls(config: Config) -> bool:
    """Is there a listener with a certificate?"""
    named = [config.server.tls_certificate]
    return any([*named, *(each.tls_certificate for each in config.listen)])
