"""Which messages authenticate a connection instead of a request.

Theory: HTTP is stateless, and credentials are those of one request.
Practice: NTLM and Negotiate authenticate the connection (RFC 4559 §6): whatever
follows on it is served as that user, with or without credentials of its own.
"""

from __future__ import annotations

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
