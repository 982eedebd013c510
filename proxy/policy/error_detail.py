"""`[server] error_detail`: who is told what went wrong in all its details. Pure.

Targets, addresses and the list of prefixes help who runs the proxy, and tell everybody
else how it is built. So others get the status, the type and a general sentence. Whoever
may be on this machine counts as such: the inspector wants to be certain, and a plain
curl could not be. Behind trusted proxies the client's own address counts.
"""

from __future__ import annotations

from proxy.config.model import Config
from proxy.errors import NoRoute, ProxyError
from proxy.http1.head import RequestHead
from proxy.policy.local_client import (
    Entrance,
    is_behind,
    is_local,
    is_loopback,
    names_of,
)
from proxy.policy.request_value import client_address, forwarded_for, plain_address
from proxy.policy.trusted_proxies import TrustedProxies

OWN_PATHS = b"/_unbuffered/"
PAGE = "/_unbuffered/"
ELSEWHERE = "With [server] admin these paths are at the admin listener alone."
NOT_OPEN = (
    "This path is not open to this client: [inspector] token and [metrics] token open "
    "it to other machines, and [server] admin gives it a listener of its own."
)
# In place of what only programs on this machine are told. A person behind a dev server
# looks at three servers: which one speaks, and where does it say more?
LOG = "The log of this proxy (Unbuffered) has the reason under this request id."
LOG_AND_INSPECTOR = (
    "The log of this proxy (Unbuffered), and its inspector, have the reason under this "
    "request id."
)


class ErrorDetail:
    """The rule of one configuration."""

    __slots__ = (
        *("admin", "elsewhere", "inspector", "own_names", "rule", "token", "trusted"),
    )

    def __init__(self, config: Config) -> None:
        self.rule: str = config.server.error_detail
        self.admin = bool(config.server.admin)
        self.inspector: str = str(config.inspector.enabled)
        self.token = bool(config.inspector.token)
        self.own_names = names_of(config)
        self.trusted = TrustedProxies(config.server.trusted_proxies)
        self.elsewhere: str = elsewhere(config)

    def is_for(self, address: bytes, head: RequestHead | None) -> bool:
        """Is a client told the details? `head`: None, where there was no request."""
        if self.rule != "loopback" or head is None:
            return self.rule == "all"
        return self.is_here(address, head)

    def shows_record(self, address: bytes, head: RequestHead) -> bool:
        """Is a client led to its request in the inspector? Only who may look there.

        A token is asked for there, of who is told the details here.
        """
        if self.inspector == "False" or self.admin or self.rule == "none":
            return False
        if self.token:
            return self.is_for(address, head)
        return self.inspector == "True" or is_local(address, head, self.own_names)

    def record_page(self, address: bytes, head: RequestHead, at: Entrance) -> str:
        """The page that shows a client its request, as a reference; "": none does.

        Behind another server a path leads to that one. So who is on this machine is
        led to the very listener; of others it is not known what they can reach.
        """
        if not is_behind(address, head, at):
            return PAGE if self.shows_record(address, head) else ""
        if self.inspector == "False" or self.admin or self.rule == "none":
            return ""
        if not (at.port and is_loopback(address) and self.is_here(address, head)):
            return ""
        host = at.host.removeprefix("::ffff:")
        host = f"[{host}]" if ":" in host else host
        return f"{at.scheme.decode()}://{host}:{at.port}{PAGE}"

    def is_here(self, address: bytes, head: RequestHead) -> bool:
        """Is the client on this machine, as far as trusted proxies may say so?"""
        if self.is_behind_trusted(address, head):
            return self.names_loopback(address, head)
        return is_local(address, head, self.own_names)

    def hint(self, error: ProxyError, target: bytes, *, detailed: bool) -> str:
        """What to do, for who could be told more; "" if there is nothing of it.

        Who is not told the reason is told where it is.
        """
        if self.rule == "none":
            return ""
        own = isinstance(error, NoRoute) and target.startswith(OWN_PATHS)
        if own and not self.admin:
            return NOT_OPEN
        if not detailed:
            return self.elsewhere if error.general else ""
        return ELSEWHERE if own else ""

    def is_behind_trusted(self, address: bytes, head: RequestHead) -> bool:
        """Does a proxy that is trusted say who its client is?"""
        said = b"x-forwarded-for" in head.index or b"forwarded" in head.index
        return said and self.trusted.includes(address)

    def names_loopback(self, address: bytes, head: RequestHead) -> bool:
        """Is the client that it names on this machine? "unknown" is not an address."""
        value = head.get(b"x-forwarded-for")
        if value is None:
            said = (head.get(b"forwarded") or b"").split(b",")
            members = [forwarded_for(each) for each in said]
        else:
            members = [each.strip(b" \t") for each in value.split(b",")]
        if not all(map(plain_address, members)):
            return False
        return is_loopback(client_address(head, address, True, self.trusted.includes))


def elsewhere(config: Config) -> str:
    """Where the reason is that a client is not told; "" without an id to find it by."""
    if not config.server.request_id:
        return ""
    return LOG_AND_INSPECTOR if config.inspector.enabled else LOG
