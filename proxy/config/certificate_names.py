"""For which hosts a certificate is: the names in its subjectAltName. Pure.

Theory: RFC 5280 §4.2.1.6, in DER (X.690). Practice: `ssl` decodes certificates of
others only, once they are verified, and not our own; so the few bytes are read here.
A common name is no host: no browser has looked at it since 2017 (RFC 9525 §2).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from proxy.config.certificate_expiry import PEM, element

SUBJECT_ALT_NAME = b"\x55\x1d\x11"  # 2.5.29.17
EXTENSIONS = 0xA3  # [3] in TBSCertificate
DNS_NAME = 0x82  # [2] in GeneralName


def host_names(content: bytes) -> list[str]:
    """The names of the first certificate in a PEM file, in small letters.

    Nothing of what cannot be read: whether it is a certificate, OpenSSL says.
    """
    found = PEM.search(content)
    if found is None:
        return []
    try:
        names = [*dns_names(base64.b64decode(found[1]))]
        texts = [name.decode("ascii").lower() for name in names]
    except (ValueError, IndexError):
        return []
    return list(dict.fromkeys(texts))


def dns_names(der: bytes) -> Iterator[bytes]:
    """Certificate → TBSCertificate → extensions → subjectAltName → dNSName."""
    for tag, at, _ in elements(der, element(der, 0)[1]):
        for _, begin, end in elements(der, at) if tag == EXTENSIONS else ():
            parts = [der[start:stop] for _, start, stop in elements_of(der, begin, end)]
            if parts[0] == SUBJECT_ALT_NAME:
                names = parts[-1]
                for kind, start, stop in elements(names, 0):
                    if kind == DNS_NAME:
                        yield names[start:stop]


def elements(der: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Each element in the one that begins there."""
    _, begin, end = element(der, at)
    return elements_of(der, begin, end)


def elements_of(der: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Each of several that stand behind each other."""
    while begin < end:
        found = element(der, begin)
        yield found
        begin = found[2]
