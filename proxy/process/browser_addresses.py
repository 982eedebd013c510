"""The addresses that a browser opens, of a listener on all networks.

`0.0.0.0` is an address to listen on; browsers on other systems refuse it, and from
another machine it says nothing. Nothing is sent to find them.
"""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_address

# Of each kind of network, an address; the system says from which it would ask it.
OTHERS = {
    4: ("192.0.2.1", "10.255.255.254", "172.31.255.254", "192.168.255.254"),
    6: ("2001:db8::1", "fdff::1"),
}
DISCARD = 9  # a port; a datagram socket that is connected has sent nothing


def browser_line(host: str, port: int, scheme: str) -> str:
    """What to open; "" where the address that is listened on says it."""
    try:
        ip = ip_address(host)
    except ValueError:
        return ""
    if not ip.is_unspecified:
        return ""
    versions = (4, 6) if ip.version == 6 else (4,)
    found = [address for version in versions for address in outward(version)]
    line = f"Open {scheme}://localhost:{port}/"
    if found:
        urls = " or ".join(f"{scheme}://{written(each)}:{port}/" for each in found)
        line += f", from other machines {urls}"
    return line + "\n"


def outward(version: int) -> list[str]:
    """The addresses from which this machine would ask others."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found: dict[str, None] = {}
    for other in OTHERS[version]:
        with (
            contextlib.suppress(OSError),
            socket.socket(family, socket.SOCK_DGRAM) as probe,
        ):
            probe.connect((other, DISCARD))
            address = ip_address(probe.getsockname()[0])
            if not (address.is_loopback or address.is_link_local):
                found[str(address)] = None
    return list(found)


def written(address: str) -> str:
    """An address as a URL has it."""
    return f"[{address}]" if ":" in address else address
