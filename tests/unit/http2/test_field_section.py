"""A header block becomes a request, under limits; the next can still be read."""

from __future__ import annotations

import hpack
import pytest

from proxy.errors import RequestHeadTooLarge, RequestTargetTooLong
from proxy.http1.grammar import Fields
from proxy.http1.head import HTTP2, RequestHead
from proxy.http2.faults import ConnectionFault, StreamFault
from proxy.http2.field_section import FieldReader
from proxy.http2.frames import ENHANCE_YOUR_CALM
from proxy.http2.request_fields import Request
from tests.unit.http2.sections import GET, WEBSOCKET, changed

LIMIT = 1 << 16


class Client:
    """One that sends header blocks, and how they are read."""

    def __init__(
        self, max_bytes: int = LIMIT, max_fields: int = 0, max_target: int = 0
    ) -> None:
        self.encoder = hpack.Encoder()
        self.reader = FieldReader(max_bytes, max_fields, max_target)

    def request(self, fields: Fields, *, complete: bool = True) -> Request:
        return self.reader.request(self.encoder.encode(fields), complete=complete)

    def head(self, fields: Fields, *, complete: bool = True) -> RequestHead:
        request = self.request(fields, complete=complete)
        assert request.error is None
        assert request.head is not None
        return request.head

    def trailers(self, fields: Fields) -> Fields:
        return self.reader.trailers(self.encoder.encode(fields))

    def is_in_step(self) -> bool:
        """Is a field that is in the table by now still read as what it is?"""
        fields = [*GET, (b"x-step", b"1")]
        return all(self.head(fields).get(b"x-step") == b"1" for _ in range(2))


def test_a_request_becomes_a_head() -> None:
    head = Client().head([*GET, (b"accept", b"*/*")])
    assert (head.method, head.target) == (b"GET", b"/x?y")
    assert (head.minor, head.version) == (HTTP2, "2.0")
    assert head.fields == [(b"Host", b"a.example"), (b"accept", b"*/*")]


# -- the same again


def test_the_same_fields_again_are_the_same_object() -> None:
    client = Client()
    first = client.head([*GET, (b"accept", b"*/*")])
    second = client.head([*changed(b":path", b"/2"), (b"accept", b"*/*")])
    third = client.head([*changed(b":method", b"PUT"), (b"accept", b"*/*")])
    assert second.fields is first.fields
    assert third.fields is first.fields
    assert (second.target, third.method) == (b"/2", b"PUT")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            [*changed(b":authority", b"b.example"), (b"a", b"1")], id="a host"
        ),
        pytest.param([*GET, (b"a", b"2")], id="a value"),
        pytest.param([*GET, (b"b", b"1")], id="a name"),
        pytest.param([*GET, (b"a", b"1"), (b"a", b"1")], id="a number"),
        pytest.param(GET, id="none"),
        pytest.param([*WEBSOCKET, (b"a", b"1")], id="an extended CONNECT"),
    ],
)
def test_other_fields_are_others(fields: Fields) -> None:
    client = Client()
    before = client.head([*GET, (b"a", b"1")])
    alone = Client().head(fields)
    found = client.head(fields)
    assert found.fields is not before.fields
    assert found.fields[:2] == alone.fields[:2]
    assert client.head([*GET, (b"a", b"1")]).fields == before.fields


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(changed(b":path", b"/y"), id="another path"),
        pytest.param([GET[-1], *GET[:-1]], id="another order"),
        pytest.param([*GET[1:], GET[0]], id="another order again"),
        pytest.param(
            [*(f for f in GET if f[0] != b":authority"), (b"host", b"a.example")],
            id="host instead",
        ),
    ],
)
def test_a_request_means_what_it_would_alone(fields: Fields) -> None:
    client = Client()
    for _ in range(2):
        client.head(GET)
        found, alone = client.head(fields), Client().head(fields)
        assert (found.method, found.target) == (alone.method, alone.target)
        assert found.fields == alone.fields


@pytest.mark.parametrize("path", [b"*", b"x", b"/ x", b"/x#y", b"/\r\nA: b"], ids=repr)
def test_a_bad_path_is_refused_where_all_else_is_the_same(path: bytes) -> None:
    client = Client()
    client.head(GET)
    with pytest.raises(StreamFault, match="invalid :path"):
        client.head(changed(b":path", path))


def test_a_long_path_is_answered_where_all_else_is_the_same() -> None:
    client = Client(max_target=8)
    client.head(changed(b":path", b"/1234567"))
    long = client.request(changed(b":path", b"/12345678"))
    assert isinstance(long.error, RequestTargetTooLong)


def test_what_agreed_for_one_scheme_is_compared_anew_for_another() -> None:
    client = Client()
    fields = [*GET, (b"host", b"a.example:443")]
    assert client.head(fields).get(b"host") == b"a.example"
    with pytest.raises(StreamFault):
        client.head(changed(b":scheme", b"http", fields))


def test_the_length_is_checked_for_each() -> None:
    client = Client()
    fields = [*changed(b":method", b"POST"), (b"content-length", b"5")]
    first = client.head(fields, complete=False)
    assert client.head(fields, complete=False).fields is first.fields
    with pytest.raises(StreamFault):
        client.head(fields, complete=True)


def test_large_fields_are_not_remembered() -> None:
    client = Client()
    fields = [*GET, (b"a", b"v" * 5000)]
    assert client.head(fields).fields is not client.head(fields).fields
    assert client.reader.before is None


def test_two_websockets_have_two_handshakes() -> None:
    client = Client()
    first, second = client.head(WEBSOCKET), client.head(WEBSOCKET)
    assert first.get(b"sec-websocket-key") != second.get(b"sec-websocket-key")


# -- in step


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([*GET, (b"Upper", b"1")], id="malformed"),
        pytest.param([(b"x", b"1"), *GET], id="out of order"),
        pytest.param([], id="nothing"),
    ],
)
def test_the_block_behind_a_malformed_one_is_read(fields: Fields) -> None:
    client = Client()
    with pytest.raises(StreamFault):
        client.request([*fields, (b"x-step", b"1")])
    assert client.is_in_step()


def test_a_block_that_nobody_wants_is_read() -> None:
    client = Client()
    client.reader.skip(client.encoder.encode([*GET, (b"x-step", b"1")]))
    assert client.is_in_step()


# -- limits


def test_a_head_that_is_too_large_is_answered_and_the_next_one_read() -> None:
    client = Client(max_bytes=2000)
    many = [(b"x-%d" % number, b"v" * 100) for number in range(40)]
    request = client.request([*GET, *many, (b"x-step", b"1")])
    assert isinstance(request.error, RequestHeadTooLarge)
    assert str(request.error) == "request head of more than 2000 bytes (max_head_bytes)"
    assert request.head is not None
    assert (request.head.method, request.head.target) == (b"GET", b"/x?y")
    assert client.is_in_step()


def test_a_head_whose_beginning_is_too_large_is_answered_too() -> None:
    request = Client(max_bytes=2000).request(changed(b":path", b"/" + b"p" * 3000))
    assert isinstance(request.error, RequestHeadTooLarge)
    assert request.head is None


def test_a_head_far_beyond_the_limit_ends_the_connection() -> None:
    client = Client(max_bytes=2000)
    with pytest.raises(ConnectionFault) as caught:
        client.request([*GET, (b"a", b"v" * 9000)])
    assert caught.value.code == ENHANCE_YOUR_CALM
    assert "more than 4 times 2000 bytes (max_head_bytes)" in caught.value.reason


@pytest.mark.parametrize(("length", "fits"), [(100, True), (101, False)])
def test_a_target_that_is_too_long(length: int, fits: bool) -> None:
    client = Client(max_target=100)
    request = client.request(changed(b":path", b"/".ljust(length, b"p")))
    assert (request.error is None) is fits
    assert fits or isinstance(request.error, RequestTargetTooLong)
    assert request.head is not None


@pytest.mark.parametrize(("count", "fits"), [(10, True), (11, False)])
def test_too_many_fields(count: int, fits: bool) -> None:
    client = Client(max_fields=10)
    fields = [(b"a", b"%d" % number) for number in range(count)]
    request = client.request([*GET, *fields])
    assert (request.error is None) is fits
    if not fits:
        assert str(request.error) == (
            "more than 10 fields in the request head (max_fields)"
        )
    assert client.is_in_step()


@pytest.mark.parametrize(("others", "fits"), [(9, True), (10, False)])
def test_the_pieces_of_a_cookie_are_one_field(others: int, fits: bool) -> None:
    """A browser sends each cookie as a field of its own (RFC 9113 §8.2.3)."""
    crumbs = [(b"cookie", b"c%d=1" % number) for number in range(50)]
    fields = [*GET, *crumbs, *[(b"a", b"1")] * others]
    assert (Client(max_fields=10).request(fields).error is None) is fits


def test_limits_of_0_are_none() -> None:
    fields = [(b"a", b"%d" % number) for number in range(1000)]
    path = b"/" + b"p" * 20_000
    assert Client().request([*changed(b":path", path), *fields]).error is None


def test_a_malformed_request_is_not_answered_for_its_size() -> None:
    with pytest.raises(StreamFault):
        Client(max_target=100).request(
            [*changed(b":path", b"/" + b"p" * 200), (b"Upper", b"1")]
        )


# -- trailers


def test_trailers_are_fields_without_pseudo_fields() -> None:
    client = Client()
    assert client.trailers([(b"x-sum", b"1")]) == [(b"x-sum", b"1")]
    assert client.trailers([]) == []
    for field in GET:
        with pytest.raises(StreamFault):
            client.trailers([(b"x-sum", b"1"), field])
    assert client.is_in_step()


def test_trailers_that_are_too_large_end_the_stream() -> None:
    for client in (Client(max_bytes=1000), Client(max_fields=5)):
        with pytest.raises(StreamFault) as caught:
            client.trailers([(b"a%d" % number, b"v" * 100) for number in range(10)])
        assert caught.value.status == 431
        assert client.is_in_step()
