"""Whom to believe: which clients are proxies in front of this one.

What a trusted client says in Forwarded and X-Forwarded-* stands; what anybody
else says there is forged.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from proxy.config.cidr import Network, parse_network

REMEMBERED = 1024  # addresses; proxies in front are few


class TrustedProxies:
    """The addresses and networks of `trusted_proxies`."""

    __slots__ = ("includes",)

    def __init__(self, texts: Sequence[str]) -> None:
        networks = [parse_network(text) for text in texts]

        @lru_cache(REMEMBERED)
        def includes(address: bytes) -> bool:
            return is_within(address, networks)

        self.includes = includes if networks else nobody


def nobody(address: bytes) -> bool:
    """Without trusted_proxies no client is one."""
    return False


def is_within(address: bytes, networks: Sequence[Network]) -> bool:
    """Is a client's address in one of the networks? A Unix socket's is not."""
    try:
        found = ipaddress.ip_address(address.decode("ascii"))
    except ValueError:
        return False
    # A listener for both families sees IPv4 clients as ::ffff:10.0.0.1.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return any((mapped or found) in network for network in networks)
