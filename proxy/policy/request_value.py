"""One value of a request by which a route knows requests that belong together.

The address of the client, a field, or a cookie. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from proxy.http1.head import RequestHead, ResponseHead
from proxy.policy.head_values import cookie_values, field_values

IsTrusted = Callable[[bytes], bool]

CREDENTIALS = b"authorization"  # so the names of such fields end
HEADER, COOKIE, ADDRESS = "header", "cookie", "address"
# As some proxies write an address, with its port: 192.0.2.1:443, [2001:db8::1]:443.
WITH_PORT = re.compile(rb"\[([^\]]*)\](?::\d+)?|([^:]*):\d+")


class RequestValue:
    """Finds the value. `source`: `header:NAME`, `cookie:NAME`, or else the address."""

    __slots__ = ("kind", "name")

    def __init__(self, source: str) -> None:
        kind, _, name = source.partition(":")
        found = name.encode("utf-8")
        self.kind = kind if found else ADDRESS
        self.name = found.lower() if kind == HEADER else found

    def of(
        self, head: RequestHead, address: bytes, trusted: bool, is_trusted: IsTrusted
    ) -> bytes | None:
        """The value of a request; None: it has none.

        `trusted`: what the client says of the hops before it counts. Of several cookies
        with the name the first counts, whose path is the longest (RFC 6265 §5.4).
        """
        if self.kind == HEADER:
            if self.name.endswith(CREDENTIALS):  # of several the first counts, as below
                values = field_values(head, self.name)
                return with_plain_scheme(values[0]) or None if values else None
            return head.get(self.name) or None
        if self.kind == COOKIE:
            values = cookie_values(head, self.name)
            return (unquoted(values[0]) or None) if values else None
        return client_address(head, address, trusted, is_trusted)

    def given_by(self, head: ResponseHead) -> list[bytes]:
        """The values that a response gives its client to send from now on."""
        if self.kind == HEADER:
            value = head.get(self.name)
            return [value] if value else []
        if self.kind == COOKIE:
            return [
                value
                for each in field_values(head, b"set-cookie")
                if (value := cookie_set(each, self.name))
            ]
        return []


def cookie_set(line: bytes, name: bytes) -> bytes | None:
    """The value of a Set-Cookie field, if it is that of the cookie (RFC 6265 §5.2)."""
    key, equals, value = line.partition(b";")[0].partition(b"=")
    found = equals and key.strip(b" \t") == name
    return unquoted(value.strip(b" \t")) if found else None


def unquoted(value: bytes) -> bytes:
    """The value of a cookie; most servers take the quotes off (RFC 6265 §4.1.1)."""
    quoted = len(value) >= 2 and value.startswith(b'"') and value.endswith(b'"')
    return value[1:-1] if quoted else value


def with_plain_scheme(value: bytes) -> bytes:
    """Credentials, written in one way: the case of the scheme does not count, nor how
    many blanks come after it (RFC 9110 §11.1, §11.4).
    """
    scheme, *rest = value.split(None, 1) or [b""]
    return b" ".join([scheme.lower(), *rest])


def client_address(
    head: RequestHead, address: bytes, trusted: bool, is_trusted: IsTrusted
) -> bytes:
    """The address of the client, behind the proxies that are trusted.

    X-Forwarded-For is read from its end, where the nearest proxy has added to it: the
    first address that is not a trusted proxy is the client's. What stands before it
    may be forged. Forwarded (RFC 7239) is read only without it: few proxies write that
    one, and the others pass on what their client has sent.
    """
    if not trusted:
        return address
    value = head.get(b"x-forwarded-for")
    if value is None:
        members = list(map(forwarded_for, (head.get(b"forwarded") or b"").split(b",")))
    else:
        members = value.split(b",")
    while members:
        found = plain_address(members.pop().strip(b" \t"))
        if found is None:
            break
        address = found
        if not is_trusted(found):
            break
    return address


def forwarded_for(element: bytes) -> bytes:
    """Whom an element of Forwarded names (RFC 7239 §4); empty: nobody."""
    for pair in element.split(b";"):
        name, _, value = pair.partition(b"=")
        if name.strip(b" \t").lower() == b"for":
            return value.strip(b' \t"')
    return b""


def plain_address(text: bytes) -> bytes | None:
    """An address, written in one way, without its port; None: it is not one.

    Nor does it keep a zone (RFC 4007 §11), which means something on one machine only,
    and may be any text.
    """
    match = WITH_PORT.fullmatch(text)
    bare = (match[1] or match[2] or b"") if match is not None else text
    try:
        found = ipaddress.ip_address(bare.partition(b"%")[0].decode("ascii"))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found).encode("ascii")
