"""Whether a client would be told the details of an error, and why not."""

from __future__ import annotations

from msgspec import Struct

from proxy.config.effective import DEFAULT
from proxy.config.model import Config
from proxy.http1.head import RequestHead
from proxy.policy.error_detail import ErrorDetail
from proxy.policy.local_client import OF_A_HOP, is_loopback
from proxy.policy.request_value import client_address

# A host of a route is no name of this machine: a page may have any name lead here (DNS
# rebinding), and a server in front that passes Host on, and says nothing of its
# clients, would make all of them look like this machine.
OTHER_NAME = "Host {host} is not a name of this machine, such as localhost"
SERVER_IN_FRONT = "{field} is of a server in front"
NAMES = (
    "names below .localhost count, and Chromium, Firefox and curl take them here; for "
    'development there is error_detail = "all", and the log has the reason'
)
TRUST = "trusted_proxies with the address of that server: then its client's counts"


class ErrorDetails(Struct, frozen=True):
    """Who is told them, and whether this client is one."""

    told: bool
    reason: str
    advice: str = ""


def error_details(config: Config, address: bytes, head: RequestHead) -> ErrorDetails:
    """What `[server] error_detail` makes of the client of a request."""
    rule = ErrorDetail(config)
    key = config.server.error_detail
    source = config.sources.get("server.error_detail", DEFAULT)
    told = rule.is_for(address, head)
    if key == "all":
        reason = "told to everyone"
    elif key == "none":
        reason = "told to no one; the log has them"
    elif told:
        reason = "told to this client: it may be a program on this machine"
    else:
        reason = f"not told to this client: {why_not(rule, address, head)}"
    return ErrorDetails(
        told,
        f'{reason} (error_detail = "{key}", {source})',
        advice_on(reason),
    )


def advice_on(reason: str) -> str:
    """What can be done about it."""
    if OTHER_NAME.partition("}")[2] in reason:
        return NAMES
    return TRUST if SERVER_IN_FRONT.partition("}")[2] in reason else ""


def why_not(rule: ErrorDetail, address: bytes, head: RequestHead) -> str:
    """Why a client does not count as a program on this machine."""
    if rule.is_behind_trusted(address, head):
        client = client_address(head, address, True, rule.trusted.includes)
        shown = client.decode("latin-1")
        if is_loopback(client):
            return "a proxy before it has an address that cannot be read, or another"
        return f"{shown}, of whom a trusted proxy speaks, is another machine"
    if not is_loopback(address):
        return f"{address.decode('latin-1')} is another machine"
    hop = next(filter(OF_A_HOP.fullmatch, head.index), None)
    if hop is not None:
        return SERVER_IN_FRONT.format(field=hop.decode("latin-1"))
    host = (head.get(b"host") or b"").decode("latin-1")
    return OTHER_NAME.format(host=host) if host else "it sends no Host"
