"""A token that opens what is below /_unbuffered/, and the cookie it is exchanged for.

Pure. A program shows the token itself. A browser shows it once and gets a cookie, which
is made from the token and cannot be turned back into it. So nothing has to be kept:
every worker knows the cookie, and so does every other Unbuffered with the same token,
also after a restart. It ends when the token does, or after thirty days.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b, scrypt
from secrets import compare_digest

from proxy.http1.head import RequestHead

COOKIE = b"unbuffered-session"  # and the port: a browser has one jar for all of a host
SESSION_SECONDS = 30 * 24 * 3600
MOST_COOKIES = 64  # of ours in one request: of other ports, and of before
SALT = b"unbuffered session"  # the same on all machines that have the token
COST, BLOCK = 2**14, 8  # 16 MiB and 50 ms, once for each token
VALUE = re.compile(rb"([0-9a-f]{1,12})\.([0-9a-f]{64})")
BEARER = re.compile(rb"bearer +([^\s,]+)", re.IGNORECASE)  # RFC 6750 §2.1
PORT = re.compile(rb":(\d{1,5})\Z")


class AccessToken:
    """One token. It is kept as a digest, by which any other can be compared with it."""

    __slots__ = ("digest", "key")

    def __init__(self, text: str) -> None:
        token = text.encode()
        self.digest = digest_of(token)
        self.key = session_key(token)

    def is_right(self, given: bytes) -> bool:
        """Is it this one? How long that takes tells nothing of this one."""
        return compare_digest(self.digest, digest_of(given))

    def session(self, now: float) -> bytes:
        """The value of a new cookie. `now` is wall-clock time."""
        until = b"%x" % (int(now) + SESSION_SECONDS)
        return until + b"." + self.seal(until)

    def opens(self, value: bytes, now: float) -> bool:
        """Was a cookie made from this token, and is it still valid?"""
        found = VALUE.fullmatch(value)
        if found is None:
            return False
        until, seal = found.groups()
        return compare_digest(self.seal(until), seal) and now < int(until, 16)

    def seal(self, until: bytes) -> bytes:
        """What nobody can make who does not have the token."""
        return blake2b(until, digest_size=32, key=self.key).hexdigest().encode()


@lru_cache(4)  # a reload makes them anew
def session_key(token: bytes) -> bytes:
    """What cookies are sealed with.

    A cookie that somebody has made of a guess is not counted as a wrong token, or old
    cookies of a browser would be; and a cookie that was read on its way can be compared
    with guesses. So each guess costs time and memory (RFC 7914).
    """
    return scrypt(token, salt=SALT, n=COST, r=BLOCK, p=1, dklen=32)


def digest_of(token: bytes) -> bytes:
    """Of the same length for every token, so that the comparison tells none."""
    return blake2b(token, digest_size=32, person=b"token").digest()


def bearer_of(head: RequestHead) -> bytes | None:
    """The token that a program shows."""
    found = BEARER.fullmatch(head.get(b"authorization") or b"")
    return None if found is None else found[1]


def sessions_of(head: RequestHead) -> list[bytes]:
    """The values of the cookies that may be ours.

    First those of our name: pages of other ports of the host, and every upstream, can
    set others, as many as a browser takes.
    """
    ours: list[bytes] = []
    others: list[bytes] = []
    own = name_for(head.get(b"host") or b"")
    for pair in (head.get(b"cookie") or b"").split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name.startswith(COOKIE) and VALUE.fullmatch(value):
            (ours if name == own else others).append(value)
    return [*ours, *others][:MOST_COOKIES]


def name_for(host: bytes) -> bytes:
    """How a cookie is called that is given at that Host."""
    port = PORT.search(host)
    return COOKIE + (b"-" + port[1] if port else b"")


def cookie_of(token: AccessToken, host: bytes, now: float, *, secure: bool) -> bytes:
    """The field Set-Cookie for who has shown the token."""
    name = name_for(host)
    return b"%b=%b; Path=/_unbuffered/; Max-Age=%d; HttpOnly; SameSite=Strict%b" % (
        name,
        token.session(now),
        SESSION_SECONDS,
        b"; Secure" if secure else b"",
    )
