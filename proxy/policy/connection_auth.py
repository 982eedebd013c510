"""Which messages authenticate a connection instead of a request.

Theory: HTTP is stateless, and credentials are those of one request.
Practice: NTLM and Negotiate authenticate the connection (RFC 4559 §6): whatever
follows on it is served as that user, with or without credentials of its own.
"""

from __future__ import annotations

from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead

# The beginnings of NTLM, Negotiate, Nego2 and NegotiateEx.
SCHEMES = (b"ntlm", b"nego")


def binds_request(head: RequestHead) -> bool:
    """Does a request bring credentials for its connection?"""
    return any(each.startswith(SCHEMES) for each in head.members(b"authorization"))


def binds_response(head: ResponseHead) -> bool:
    """Does a response ask for them, accept them, or say that they go on to count?

    Persistent-Auth is IIS's: it says `true` with each response on a connection
    that it takes for authenticated.
    """
    if b"true" in head.members(b"persistent-auth"):
        return True
    return any(each.startswith(SCHEMES) for each in head.members(b"www-authenticate"))


def may_bind(head: ResponseHead) -> bool:
    """Is it worth a closer look? Most responses have neither field."""
    return b"www-authenticate" in head.index or b"persistent-auth" in head.index


def asks_to_bind(status: int, fields: Fields) -> bool:
    """Does a response ask its client to authenticate the connection?

    Over HTTP/2 it cannot: the connection has other requests, and those of other users
    if a proxy is in front. Such a client asks again by HTTP/1.1 if its stream ends with
    HTTP_1_1_REQUIRED (RFC 9113 §7), which is what IIS does. Only 401 asks: a response
    to credentials that were enough may have the same field (RFC 4559 §4.1).
    """
    if status != 401:
        return False
    return any(
        member.strip(b" \t").lower().startswith(SCHEMES)
        for name, value in fields
        if name.lower() == b"www-authenticate"
        for member in value.split(b",")
    )
