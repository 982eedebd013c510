"""Lenient reading: what comes out is strict, however the bytes were cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.chunked import MAX_CHUNK_LINE, ChunkedBody
from proxy.http1.framing import LengthBody, UntilCloseBody
from proxy.http1.head import parse_response_head
from proxy.http1.lenient import Lenient, LenientChunkedBody

LENIENT = Lenient()


@pytest.mark.parametrize(
    ("sent", "strict"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
            id="strict already",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\nA: b\n\n", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", id="LF"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
            id="both in turn",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\nA \t: b:c \nB: d\n\n",
            b"HTTP/1.1 200 OK\r\nA: b:c \r\nB: d\r\n\r\n",
            id="space before the colon",
        ),
        pytest.param(
            b"ICY 200 OK\r\nicy-name: a\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nicy-name: a\r\n\r\n",
            id="SHOUTcast",
        ),
        pytest.param(
            b"HTTP/1.1 204\n\n", b"HTTP/1.1 204\r\n\r\n", id="without a reason"
        ),
    ],
)
def test_a_head_in_strict_form(sent: bytes, strict: bytes) -> None:
    assert LENIENT.head(sent + b"rest", 0) == (strict, len(sent))
    for cut in range(len(sent)):  # byte by byte, each looked at once
        assert LENIENT.may_begin(sent[:cut])
        assert LENIENT.head(sent[:cut], max(cut - 1, 0)) is None
    assert LENIENT.head(sent, len(sent) - 1) == (strict, len(sent))


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\n A : b\n\n", id="a field that is folded"),
        pytest.param(b"HTTP/1.1 200 OK\nA\n\n", id="no colon"),
        pytest.param(b"HTTP/1.1 200 OK\nA B: c\n\n", id="space inside a name"),
        pytest.param(b"HTTP/1.1 200 OK\nA: b\rc\n\n", id="a CR inside"),
        pytest.param(b"HTTP/1.1 200 OK\nA: b\0\n\n", id="a NUL"),
        pytest.param(b"HTTP/1.1 20 OK\n\n", id="no status"),
        pytest.param(b"ICY\n\n", id="no ICY either"),
    ],
)
def test_what_is_wrong_besides_stays_wrong(head: bytes) -> None:
    found = LENIENT.head(head, 0)
    assert found is not None
    with pytest.raises(Exception, match="malformed"):
        parse_response_head(found[0])


@pytest.mark.parametrize(
    "begin", [b"HTTPS", b"ICX", b"SSH-2.0", b"\x16\x03", b"HTTP/2"]
)
def test_what_no_head_begins_with(begin: bytes) -> None:
    assert not LENIENT.may_begin(begin)


def read(pieces: list[bytes], most: int | None = None) -> tuple[object, ...]:
    """Payload, trailers, how it ended and what came behind."""
    body = LenientChunkedBody()
    payload = b""
    for piece in pieces:
        if most is None:
            payload += body.feed(piece)
            continue
        while piece:
            payload += body.feed(piece, most)
            piece = b""
            if not body.complete and body.error is None:
                piece, body.excess = body.excess, b""
    end = (body.error is None, body.complete, bool(body.excess))
    return payload, list(body.trailers), *end


GOOD = [
    pytest.param(b"3\r\nabc\r\n0\r\n\r\n", b"abc", id="strict already"),
    pytest.param(b"3\nabc\n2\r\nde\n0\n\n", b"abcde", id="LF"),
    pytest.param(b" 3 \r\nabc\r\n000\t\r\n\r\n", b"abc", id="padding on both sides"),
    pytest.param(b"3 ;a=b \r\nabc\r\n0;c\n\r\n", b"abc", id="extensions"),
    pytest.param(
        b"a\n0123\n56\r\n9\n0\nA : b\nC: d\n\n", b"0123\n56\r\n9", id="trailers"
    ),
    pytest.param(b"1\n\n\n1\n\r\n0\n\n", b"\n\r", id="line ends as data"),
]


@pytest.mark.parametrize(("sent", "payload"), GOOD)
def test_a_chunked_body(sent: bytes, payload: bytes) -> None:
    trailers = [(b"A", b"b"), (b"C", b"d")] if b"A : b" in sent else []
    expected = (payload, trailers, True, True, False)
    assert read([sent]) == expected
    for cut in range(1, len(sent)):
        assert read([sent[:cut], sent[cut:]]) == expected
    assert read([sent[n : n + 1] for n in range(len(sent))]) == expected
    for most in (1, 2, 3):
        assert read([sent], most) == expected
    assert read([sent + b"x"])[-1] is True  # something came behind


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\r\n", id="no size"),
        pytest.param(b"0x3\nabc\n", id="a prefix"),
        pytest.param(b"+3\nabc\n", id="a sign"),
        pytest.param(b"3 3\nabc\n", id="two sizes"),
        pytest.param(b"3\rabc\n0\n\n", id="a bare CR"),
        pytest.param(b"3\nabcd\n0\n\n", id="longer than it says"),
        pytest.param(b'1;a="\nX\n0\n\n', id="a quoted string without an end"),
        pytest.param(b"1000000000000000\n", id="16 digits"),
        pytest.param(b" " * (MAX_CHUNK_LINE + 1), id="padding without an end"),
        pytest.param(b"0\n A: b\n\n", id="a trailer that is folded"),
        pytest.param(b"0\nA\n\n", id="no colon"),
    ],
)
def test_what_is_refused_all_the_same(sent: bytes) -> None:
    _, _, fine, complete, _ = read([sent])
    assert not fine
    assert not complete
    assert read([sent[n : n + 1] for n in range(len(sent))])[2] is False


@given(
    st.lists(
        st.sampled_from(
            [
                b"3",
                b"1",
                b"0",
                b"a",
                b" ",
                b"\t",
                b";",
                b"=",
                b'"',
                b"\r\n",
                b"\n",
                b"\r",
                b"abc",
                b"A : b",
                b"\0",
                b"3\nabc\n",
                b"0\n\n",
            ]
        ),
        max_size=20,
    ),
    st.data(),
)
def test_the_result_is_the_same_at_any_cut(
    parts: list[bytes], data: st.DataObject
) -> None:
    sent = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    whole, cut = read([sent]), read(pieces)
    assert whole[2:4] == cut[2:4]
    if whole[2]:  # of a broken body the payload may come a piece further
        assert whole[:2] == cut[:2]


@given(
    st.lists(st.binary(min_size=1, max_size=9), max_size=5),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_what_a_strict_sender_sends_is_read_alike(
    chunks: list[bytes], end: bytes
) -> None:
    strict = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    old = b"".join(b"%x%b%b%b" % (len(each), end, each, end) for each in chunks)
    reader = ChunkedBody()
    payload = reader.feed(strict + b"0\r\n\r\n")
    assert reader.complete
    assert read([old + b"0" + end + end])[0] == payload


def test_only_a_chunked_body_is_read_otherwise() -> None:
    assert isinstance(LENIENT.body(ChunkedBody()), LenientChunkedBody)
    for body in (LengthBody(3), UntilCloseBody()):
        assert LENIENT.body(body) is body
