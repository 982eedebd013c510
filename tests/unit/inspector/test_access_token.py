"""The token, and the cookie that is made from it."""

from __future__ import annotations

from hashlib import blake2b, scrypt

import pytest

from proxy.http1.head import RequestHead
from proxy.inspector.access_token import (
    BLOCK,
    COST,
    MOST_COOKIES,
    SALT,
    SESSION_SECONDS,
    AccessToken,
    bearer_of,
    cookie_of,
    digest_of,
    sessions_of,
)

TEXT = "s3cret-of-the-inspector"
TOKEN = AccessToken(TEXT)
NOW = 1_800_000_000.0
V, W = b"1.%064x" % 1, b"1.%064x" % 2  # values of the right form
OURS = b"; unbuffered-session-8080=" + V


def head(*fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"GET", b"/_unbuffered/", 1, list(fields))


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (TEXT.encode(), True),
        (TEXT.encode() + b"\0", False),
        (TEXT[:-1].encode(), False),
        (TEXT.upper().encode(), False),
        (b"", False),
        (b"\xff" * 5000, False),
    ],
)
def test_a_token_is_right_or_not(given: bytes, right: bool) -> None:
    assert TOKEN.is_right(given) is right


@pytest.mark.parametrize("given", [b"", b"x", TEXT.encode(), b"x" * 100_000])
def test_what_is_compared_is_as_long_for_every_token(given: bytes) -> None:
    """`compare_digest` takes as long as its arguments are: theirs would tell ours."""
    assert len(digest_of(given)) == len(TOKEN.digest) == 32


def test_neither_the_object_nor_the_cookie_has_the_token() -> None:
    kept = b"".join(getattr(TOKEN, name) for name in AccessToken.__slots__)
    cookie = cookie_of(TOKEN, b"localhost:8080", NOW, secure=False)
    for part in (TEXT.encode(), TEXT.encode().hex().encode(), TOKEN.digest.hex()[:9]):
        part = part.encode() if isinstance(part, str) else part
        assert part not in cookie
    assert TEXT.encode() not in kept


def test_a_cookie_that_is_made_of_a_guess_costs_time_and_memory() -> None:
    """It is not counted as a wrong token."""
    until = b"7fffffff"
    key = scrypt(TEXT.encode(), salt=SALT, n=COST, r=BLOCK, p=1, dklen=32)
    assert COST * BLOCK * 128 >= 16 * 1024 * 1024
    sealed = blake2b(until, digest_size=32, key=key).hexdigest().encode()
    assert TOKEN.opens(until + b"." + sealed, NOW)
    for quick in (TEXT.encode(), blake2b(TEXT.encode(), digest_size=32).digest()):
        sealed = blake2b(until, digest_size=32, key=quick).hexdigest().encode()
        assert not TOKEN.opens(until + b"." + sealed, NOW)


def test_a_cookie_opens_for_thirty_days_and_no_longer() -> None:
    value = TOKEN.session(NOW)
    assert TOKEN.opens(value, NOW)
    assert TOKEN.opens(value, NOW + SESSION_SECONDS - 1)
    assert not TOKEN.opens(value, NOW + SESSION_SECONDS)
    # The same token elsewhere, or after a restart, and another one.
    assert AccessToken(TEXT).opens(value, NOW)
    assert not AccessToken(TEXT + "x").opens(value, NOW)


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param(lambda value: b"f" + value, id="a later end"),
        pytest.param(lambda value: value[:-1], id="cut"),
        pytest.param(lambda value: value + b"0", id="longer"),
        pytest.param(lambda value: value.upper(), id="in capitals"),
        pytest.param(lambda value: value.replace(b".", b"-"), id="no dot"),
        pytest.param(lambda value: TEXT.encode(), id="the token itself"),
        pytest.param(lambda value: b"", id="nothing"),
        pytest.param(lambda value: b"\xff.\xff", id="no text"),
        pytest.param(
            lambda value: value.partition(b".")[0] + b"." + b"0" * 64, id="no seal"
        ),
    ],
)
def test_what_is_not_quite_a_cookie_opens_nothing(bend: object) -> None:
    assert callable(bend)
    assert not TOKEN.opens(bend(TOKEN.session(NOW)), NOW)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"localhost:8080", b"unbuffered-session-8080"),
        (b"[::1]:9000", b"unbuffered-session-9000"),
        (b"proxy.example", b"unbuffered-session"),
        (b"[::1]", b"unbuffered-session"),
        (b"", b"unbuffered-session"),
    ],
)
def test_ports_of_one_host_have_cookies_of_their_own(host: bytes, name: bytes) -> None:
    cookie = cookie_of(TOKEN, host, NOW, secure=False)
    assert cookie.startswith(name + b"=")
    assert cookie.endswith(
        b"; Path=/_unbuffered/; Max-Age=2592000; HttpOnly; SameSite=Strict"
    )
    assert cookie_of(TOKEN, host, NOW, secure=True) == cookie + b"; Secure"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"a=b; unbuffered-session-8080=%b; c=d" % V, [V]),
        (b"unbuffered-session=%b;unbuffered-session-1=%b" % (V, W), [V, W]),
        (b"xunbuffered-session=" + V, []),
        (b"", []),
        (b"unbuffered-session", []),
        (b"; ".join([b"unbuffered-session=x"] * 99) + OURS, [V]),
        (b"; ".join([b"unbuffered-session-1=" + W] * 99), [W] * MOST_COOKIES),
        (
            b"; ".join([b"unbuffered-session-1=" + W] * 99) + OURS,
            [V, *[W] * (MOST_COOKIES - 1)],
        ),
    ],
)
def test_our_cookies_are_found_among_others(value: bytes, found: list[bytes]) -> None:
    """Others of the host, and upstreams, may set as many as a browser takes."""
    host = (b"Host", b"localhost:8080")
    assert sessions_of(head(host, (b"Cookie", value))) == found


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer  abc", b"abc"),
        (b"Basic abc", None),
        (b"Bearer", None),
        (b"Bearer a b", None),
        (b"Bearer a, Bearer b", None),  # the field twice
        (b"abc", None),
    ],
)
def test_a_program_shows_the_token_as_a_bearer(
    value: bytes, token: bytes | None
) -> None:
    """RFC 6750 §2.1."""
    assert bearer_of(head((b"Authorization", value))) == token
    assert bearer_of(head()) is None
