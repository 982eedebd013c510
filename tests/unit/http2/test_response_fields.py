"""A response plan becomes a header block that any client takes (RFC 9113 §8.2)."""

from __future__ import annotations

import hpack
import pytest
from h2.utilities import HeaderValidationFlags, validate_headers
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead, parse_response_head
from proxy.http2.response_fields import fields_block, response_block
from proxy.policy.response_plan import (
    INTERIM,
    LENGTH,
    STREAM,
    TERMS,
    TUNNEL,
    Framing,
    ResponsePlan,
    plan_interim,
)
from tests.unit.http1.heads import response


def read(block: bytes) -> Fields:
    """The fields of a block, as `hpack` has them."""
    decoded = hpack.Decoder(1 << 20).decode(block, raw=True)
    return [(name, value) for name, value in decoded]


def taken(fields: Fields, *, trailers: bool = False) -> bool:
    """Does a client made of h2 take them?"""
    flags = HeaderValidationFlags(
        is_client=True,
        is_trailer=trailers,
        is_response_header=not trailers,
        is_push_promise=False,
    )
    return list(validate_headers(fields, flags)) == fields


def plan(fields: Fields, framing: Framing = STREAM, status: int = 200) -> ResponsePlan:
    """A response as it is planned for HTTP/2."""
    terms = TERMS[1][1]
    return ResponsePlan(status, b"OK", fields, framing, terms.options)


def test_names_are_in_lower_case_and_the_status_is_first() -> None:
    sent = read(response_block(plan([(b"Content-Type", b"text/html"), (b"X-A", b"B")])))
    assert sent == [
        (b":status", b"200"),
        (b"content-type", b"text/html"),
        (b"x-a", b"B"),
    ]
    assert taken(sent)


@pytest.mark.parametrize("framing", [LENGTH, STREAM, TUNNEL, INTERIM])
def test_what_only_http1_has_is_left_out(framing: Framing) -> None:
    fields = [
        (b"Connection", b"keep-alive"),
        (b"KEEP-ALIVE", b"timeout=5"),
        (b"Proxy-Connection", b"x"),
        (b"transfer-encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"a", b"1"),
    ]
    sent = read(response_block(plan(fields, framing)))
    assert sent == [(b":status", b"200"), (b"a", b"1")]


def test_the_options_of_http1_are_left_out() -> None:
    told = ResponsePlan(200, b"OK", [], STREAM, [(b"Connection", b"close")])
    assert read(response_block(told)) == [(b":status", b"200")]


def test_what_was_written_as_text_before_is_written_without_its_framing() -> None:
    """A plan may be of two clients, of both protocols."""
    shared = plan([(b"A", b"1")])
    assert b"Transfer-Encoding: chunked" in shared.text
    assert read(response_block(shared)) == [(b":status", b"200"), (b"a", b"1")]


def test_a_plan_is_written_once() -> None:
    shared = plan([(b"A", b"1")])
    assert response_block(shared) is response_block(shared)


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_informational_response(status: int) -> None:
    came = response(
        b"Link: </a.css>; rel=preload",
        b"Connection: x",
        b"X: 1",
        start=b"HTTP/1.1 %d x" % status,
    )
    sent = read(response_block(plan_interim(came)))
    assert sent == [(b":status", b"%d" % status), (b"link", b"</a.css>; rel=preload")]
    assert taken(sent)


def test_a_value_of_any_length_is_written_whole() -> None:
    value = b"v" * 200_000
    assert read(response_block(plan([(b"A", value)])))[1] == (b"a", value)


def test_blanks_around_a_value_of_a_rule_are_left_out() -> None:
    sent = read(response_block(plan([(b"A", b" b c\t"), (b"B", b" ")])))
    assert sent[1:] == [(b"a", b"b c"), (b"b", b"")]
    assert taken(sent)


def test_several_of_one_name_stay_several() -> None:
    cookies = [(b"Set-Cookie", b"a=b"), (b"Set-Cookie", b"c=d")]
    sent = read(response_block(plan(cookies)))
    assert sent[1:] == [(b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]


def test_trailers_have_no_status() -> None:
    sent = read(fields_block([(b"Grpc-Status", b"0"), (b"Connection", b"x")]))
    assert sent == [(b"grpc-status", b"0")]
    assert taken(sent, trailers=True)


NAMES = st.sampled_from(
    [b"A", b"Set-Cookie", b"Date", b"Connection", b"upgrade", b"x-1"]
)
VALUES = st.text(alphabet="aZ \t\xe4,;=", max_size=8).map(lambda text: text.encode())


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.integers(200, 599))
def test_whatever_an_upstream_sends_is_taken_by_h2(fields: Fields, status: int) -> None:
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    came: ResponseHead = parse_response_head(
        b"HTTP/1.1 %d OK\r\n%b\r\n" % (status, lines)
    )
    sent = read(response_block(plan(came.fields, status=status)))
    assert taken(sent)
    hop_by_hop = {b"Connection", b"upgrade"}
    assert sent[1:] == [
        (name.lower(), value) for name, value in came.fields if name not in hop_by_hop
    ]
