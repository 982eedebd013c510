"""When a certificate expires, and how that is said.

Reads as much of X.509 as leads to the date (RFC 5280 §4.1): the standard library tells
it only to who has made a connection.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from pathlib import Path

from proxy.quantities import counted

DAY = 86_400  # seconds
WARNED = 14 * DAY  # ACME clients renew weeks before
PEM = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----\s(.*?)-----END ", re.DOTALL
)
SEQUENCE, VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18  # X.690
BEFORE_VALIDITY = 3  # serialNumber, signature, issuer; behind the optional version


def expiry_of(certificate: str) -> float | None:
    """When the first certificate of a file expires, in seconds since the epoch.

    That is the one that is served; those behind it are of its authorities. None: it
    cannot be told.
    """
    try:
        found = PEM.search(Path(certificate).read_bytes())
        return None if found is None else not_after(base64.b64decode(found[1]))
    except (OSError, ValueError, IndexError, binascii.Error):
        return None


def not_after(der: bytes) -> float:
    """When a certificate expires.

    Raises:
        ValueError, IndexError: it is none.
    """
    tag, at, end = element(der, 0)
    tag, at, end = element(der, at)  # tbsCertificate
    tag, _, after = element(der, at)
    if tag == VERSION:
        at = after
    for _ in range(BEFORE_VALIDITY):
        at = element(der, at)[2]
    tag, at, end = element(der, at)  # validity
    if tag != SEQUENCE:
        raise ValueError("no validity")
    tag, at, end = element(der, element(der, at)[2])  # notAfter, behind notBefore
    text = der[at:end].decode("ascii")
    if tag == UTC_TIME:  # RFC 5280 §4.1.2.5.1
        text = ("19" if text >= "5" else "20") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def element(der: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the element there, where its content begins, and where it ends."""
    tag, length = der[at], der[at + 1]
    at += 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[at : at + size], "big")
        at += size
    if at + length > len(der):
        raise ValueError("it is cut off")
    return tag, at, at + length


def expiry_warning(expires: float | None, now: float) -> str:
    """What is to be said of a certificate; "" if it is good for a while."""
    if expires is None or expires - now > WARNED:
        return ""
    if expires <= now:
        return f"the certificate {expiry_words(expires, now)}: clients refuse it"
    return f"the certificate {expiry_words(expires, now)}"


def expiry_words(expires: float, now: float) -> str:
    """The date, and how far it is."""
    date = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if expires <= now:
        return f"has expired on {date}, {span(now - expires)} ago"
    return f"expires on {date}, in {span(expires - now)}"


def span(seconds: float) -> str:
    """Days, or hours where they are few."""
    if seconds >= 2 * DAY:
        return counted(int(seconds // DAY), "day")
    return counted(int(seconds // 3600), "hour")
