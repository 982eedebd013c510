"""By what the streams of a client are counted: `client_by` of a route.

An address, a field, or a cookie; without that field or cookie the address. What is kept
of it is a keyed hash, which can be compared and not read. Pure.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.http1.head import RequestHead
from proxy.policy.head_values import cookie_values, field_values
from proxy.policy.request_value import (
    ADDRESS,
    COOKIE,
    CREDENTIALS,
    IsTrusted,
    RequestValue,
    client_address,
    with_plain_scheme,
)

KEY_BYTES = 16
REMEMBERED = 1024  # addresses
PREFIX_BITS = 64  # of IPv6


class CountedClient(NamedTuple):
    """`kind`: address, header or cookie."""

    kind: str
    value: bytes


def counted_client(
    by: RequestValue,
    head: RequestHead,
    address: bytes,
    *,
    trusted: bool,
    is_trusted: IsTrusted,
) -> CountedClient:
    """Whose the stream of a request is.

    `trusted`: what the client says of the hops before it counts.
    """
    if by.kind != ADDRESS:
        value = counted_value(by, head)
        if value:
            return CountedClient(by.kind, value)
    found = client_address(head, address, trusted, is_trusted)
    return CountedClient(ADDRESS, network_of(found))


def counted_value(by: RequestValue, head: RequestHead) -> bytes | None:
    """A field or a cookie, written in one way; None: not by its value.

    Whatever an upstream takes for the same has to count as the same. Of several with
    different values some take the first and others the last, so none of them counts.
    """
    if by.kind == COOKIE:
        values = {
            unquote_to_bytes(value.strip(b'"'))
            for value in cookie_values(head, by.name)
        }
    else:
        values = set(field_values(head, by.name))
        if by.name.endswith(CREDENTIALS):
            values = set(map(with_plain_scheme, values))
    return values.pop() if len(values) == 1 else None


@lru_cache(REMEMBERED)
def network_of(address: bytes) -> bytes:
    """An address of IPv4; of IPv6 the network of 64 bits.

    So much the smallest customer of a provider has (RFC 6177), and takes another
    address of it for each connection if it likes. What is no address, such as `unix`,
    stays what it is.
    """
    try:
        found = ipaddress.ip_address(address.decode("ascii").partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped).encode("ascii")
    network = ipaddress.IPv6Network((int(found), PREFIX_BITS), strict=False)
    return str(network).encode("ascii")


def client_key(client: CountedClient, prefix: str, secret: bytes) -> bytes:
    """What stands for a client on a route. `secret`: up to 64 bytes, of all workers."""
    route = prefix.encode("utf-8")
    text = b"%d:%b%b:%b" % (
        len(route),
        route,
        client.kind.encode("ascii"),
        client.value,
    )
    return blake2b(text, key=secret, digest_size=KEY_BYTES).digest()
