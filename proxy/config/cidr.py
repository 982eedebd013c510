"""Addresses and networks, as `trusted_proxies` lists them."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

from proxy.config.fault_text import quoted

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_network(text: str) -> Network:
    """Read `10.0.0.0/8`, `10.1.2.3`, `fd00::/8` or `::1`.

    Raises:
        ValueError: says what is wrong with the text and what to write.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            'expected an IP address or a network such as "10.0.0.0/8", got '
            f"{quoted(text)}"
        ) from None
    raise ValueError(
        f"{quoted(text)} has host bits set: write {quoted(str(network))} for the "
        "whole network"
    )
