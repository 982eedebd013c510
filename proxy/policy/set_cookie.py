"""Set-Cookie: Domain, Path and Secure, as the public address needs them.

A browser drops a cookie whose Domain is not the address it asked, and one
that is Secure over plain HTTP. The cookie's name, its value and all other
attributes stay byte for byte (RFC 6265 §4.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.config.route import Route

ATTRIBUTE = re.compile(
    rb";[ \t]*(domain|path|secure|samesite|partitioned)[ \t]*(?:=([^;]*)|(?=;|\Z))",
    re.IGNORECASE,
)


class CookieRules:
    """What a route rewrites in Set-Cookie; of each table `*` means any value."""

    __slots__ = ("active", "domains", "paths", "strip_secure")

    def __init__(self, route: Route) -> None:
        # RFC 6265 §5.2.3: the case and a leading dot of a domain say nothing.
        self.domains = encoded(
            {
                domain.lower().removeprefix("."): new
                for domain, new in route.cookie_domain_rewrite.items()
            }
        )
        self.paths = encoded(route.cookie_path_rewrite)
        self.strip_secure = route.cookie_secure == "strip"
        self.active = bool(self.domains or self.paths or self.strip_secure)

    def rewrite(self, value: bytes) -> bytes:
        """One Set-Cookie value; an attribute that becomes "" is left out."""
        return ATTRIBUTE.sub(self.attribute, value)

    def attribute(self, found: re.Match[bytes]) -> bytes:
        """One attribute with the semicolon before it."""
        name = found[1].lower()
        old = (found[2] or b"").strip(b" \t")
        if name == b"domain":
            old = old.lower().removeprefix(b".")
            new = self.domains.get(old, self.domains.get(b"*"))
        elif name == b"path":
            new = self.paths.get(old, self.paths.get(b"*"))
        else:
            # A browser refuses these without Secure (RFC 6265bis §5.7).
            needs_secure = name != b"samesite" or old.lower() == b"none"
            new = b"" if self.strip_secure and needs_secure else None
        if new is None:
            return found[0]
        return b"; %b=%b" % (found[1], new) if new else b""


def encoded(table: Mapping[str, str]) -> dict[bytes, bytes]:
    """The table as it is compared with what is on the wire."""
    return {old.encode("ascii"): new.encode("ascii") for old, new in table.items()}
