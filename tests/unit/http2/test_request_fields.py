"""Which fields are a request, and which are none (RFC 9113 §8.2, §8.3, RFC 8441)."""

from __future__ import annotations

import contextlib

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from h2.utilities import HeaderValidationFlags, validate_headers
from hyperframe.frame import HeadersFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.framing import LengthBody, UntilCloseBody
from proxy.http1.grammar import Fields
from proxy.http2.faults import StreamFault
from proxy.http2.frames import PROTOCOL_ERROR
from proxy.http2.request_fields import normal, request_content, trailer_fields
from tests.unit.http2.sections import (
    AUTHORITY,
    CONNECT,
    GET,
    METHOD,
    PATH,
    SCHEME,
    WEBSOCKET,
    block,
    changed,
    head_of,
    read,
)


def fault_of(fields: Fields, *, complete: bool = True) -> str:
    """Why it is malformed."""
    with pytest.raises(StreamFault) as caught:
        read(fields, complete=complete)
    assert caught.value.code == PROTOCOL_ERROR
    assert caught.value.status == 400
    return caught.value.reason


# -- pseudo-header fields


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param([], "invalid :method ''", id="nothing"),
        pytest.param(changed(b":method", None), "invalid :method ''", id="no method"),
        pytest.param(changed(b":scheme", None), "invalid :scheme ''", id="no scheme"),
        pytest.param(changed(b":path", None), "invalid :path ''", id="no path"),
        pytest.param(
            changed(b":authority", None), "neither :authority nor host", id="no host"
        ),
        *(
            pytest.param(
                changed(name, b""), f"{name.decode()} is empty", id=f"{name!r}"
            )
            for name, _ in GET
        ),
        *(
            pytest.param(
                [*GET, field],
                f"{field[0].decode()} comes twice",
                id=f"two {field[0]!r}",
            )
            for field in GET
        ),
        pytest.param(
            [*GET, (b":path", b"/other")], ":path comes twice", id="two that differ"
        ),
        pytest.param(
            [*GET[:3], (b"a", b"1"), PATH], "invalid :path ''", id="behind a field"
        ),
        pytest.param(
            [*GET, (b"a", b"1"), PATH],
            "pseudo-header field ':path' in the wrong place",
            id="again, behind a field",
        ),
        pytest.param(
            [*GET, (b":status", b"200")],
            "unknown pseudo-header field ':status'",
            id="of a response",
        ),
        pytest.param(
            [*GET, (b":foo", b"1")], "unknown pseudo-header field ':foo'", id="unknown"
        ),
        pytest.param(
            [*GET, (b":Path", b"/")],
            "unknown pseudo-header field ':Path'",
            id="upper case",
        ),
        pytest.param(
            [*GET, (b":", b"1")], "unknown pseudo-header field ':'", id="bare"
        ),
    ],
)
def test_pseudo_fields_are_there_once_and_first(fields: Fields, reason: str) -> None:
    assert fault_of(fields) == f"malformed request: {reason}"


@pytest.mark.parametrize(
    "method", [b"G T", b"GET\r\n", b"GET /", b"(", b"G\x00", b"\xe9"]
)
def test_a_method_is_a_token(method: bytes) -> None:
    assert "invalid :method" in fault_of(changed(b":method", method))


@pytest.mark.parametrize(
    "path",
    [b"x", b"*", b"http://a/", b"//\r\n", b"/a b", b"/a#b", b"/\t", b"/\x7f", b"?q"],
)
def test_a_path_begins_with_a_slash_and_is_visible(path: bytes) -> None:
    assert "invalid :path" in fault_of(changed(b":path", path))


@pytest.mark.parametrize("path", [b"/", b"//", b"/%00", b"/\xe4", b"/?a=\"'<>\\^`{|}"])
def test_a_path_goes_on_byte_for_byte(path: bytes) -> None:
    assert head_of(changed(b":path", path)).target == path


def test_options_may_ask_for_the_server() -> None:
    head = head_of([(b":method", b"OPTIONS"), SCHEME, AUTHORITY, (b":path", b"*")])
    assert (head.method, head.target) == (b"OPTIONS", b"*")


@pytest.mark.parametrize("scheme", [b"http", b"https", b"HTTPS"])
def test_the_schemes_of_http_are_served(scheme: bytes) -> None:
    assert head_of(changed(b":scheme", scheme)).target == b"/x?y"


def test_another_scheme_is_answered() -> None:
    request = read(changed(b":scheme", b"ftp"))
    assert request.error is not None
    assert request.error.status == 400
    assert "'ftp' is neither http nor https" in str(request.error)


@pytest.mark.parametrize("scheme", [b"1", b"http://a/", b"http ", b"ht\r\ntp", b"\xe9"])
def test_a_scheme_is_well_formed(scheme: bytes) -> None:
    assert "invalid :scheme" in fault_of(changed(b":scheme", scheme))


# -- the host


@pytest.mark.parametrize(
    "authority",
    [
        b"user@a.example",
        b"user:pass@a.example",
        b"a.example/x",
        b"a.example, b.example",
        b"a b",
        b"a\r\nHost: b",
        b"a.example:port",
        b"a.example:99999",
        b"[::1",
        b":80",
        b"http://a",
        b"a?b",
        b"a#b",
    ],
)
@pytest.mark.parametrize("name", [b":authority", b"host"])
def test_a_host_is_a_host_and_a_port(name: bytes, authority: bytes) -> None:
    if name == b"host":
        fields = [*changed(b":authority", None), (name, authority)]
    else:
        fields = changed(name, authority)
    reason = fault_of(fields)
    assert name.decode() in reason


@pytest.mark.parametrize(
    ("authority", "host", "scheme"),
    [
        (b"a.example", b"a.example", b"https"),
        (b"A.Example", b"a.example", b"https"),
        (b"a.example:443", b"a.example", b"https"),
        (b"a.example", b"a.example:80", b"http"),
        (b"a.example:", b"a.example", b"http"),
        (b"[::1]:443", b"[::1]", b"https"),
    ],
)
def test_authority_and_host_that_agree(
    authority: bytes, host: bytes, scheme: bytes
) -> None:
    fields = changed(b":authority", authority, changed(b":scheme", scheme))
    head = head_of([*fields, (b"host", host)])
    assert head.fields == [(b"Host", authority)]
    assert head.get(b"host") == authority


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        (b"b.example", b"https"),
        (b"a.example:80", b"https"),
        (b"a.example:443", b"http"),
        (b"a.example.", b"https"),
        (b"sub.a.example", b"https"),
        (b"a.example:4430", b"https"),
    ],
)
def test_authority_and_host_that_differ(host: bytes, scheme: bytes) -> None:
    fault = fault_of([*changed(b":scheme", scheme), (b"host", host)])
    assert f":authority 'a.example', but host '{host.decode()}'" in fault


def test_host_alone_is_enough() -> None:
    head = head_of([METHOD, SCHEME, PATH, (b"x", b"1"), (b"host", b"b.example:1")])
    assert head.fields == [(b"Host", b"b.example:1"), (b"x", b"1")]


@pytest.mark.parametrize("other", [b"a.example", b"b.example"])
def test_host_comes_once(other: bytes) -> None:
    fields = [*GET, (b"host", b"a.example"), (b"host", other)]
    assert "host comes twice" in fault_of(fields)


def test_an_empty_host_is_malformed() -> None:
    assert "invalid host ''" in fault_of([*GET, (b"host", b"")])


@given(st.text(alphabet="aA.:0", max_size=6), st.sampled_from([b"http", b"https"]))
def test_what_is_normal_stays_so(text: str, scheme: bytes) -> None:
    once = normal(text.encode(), scheme)
    if not once.endswith((b":", b":80", b":443")):
        assert normal(once, scheme) == once


# -- fields


@pytest.mark.parametrize(
    "name",
    [
        b"Accept",
        b"aCcept",
        b"",
        b" a",
        b"a ",
        b"a b",
        b"a:",
        b"a: b",
        b"a\r\nb",
        b"a\n",
        b"a\x00",
        b"a\x7f",
        b"\xe9",
        b"a(b)",
        b'a"',
        b"host: x\r\nx",
        b"a" * 100 + b"A",
    ],
)
def test_a_name_is_a_token_in_lower_case(name: bytes) -> None:
    assert "name" in fault_of([*GET, (name, b"1")])
    with pytest.raises(StreamFault):
        trailer_fields([(name, b"1")])


@pytest.mark.parametrize(
    "value",
    [
        b"a\r\nb: c",
        b"a\nb",
        b"a\rb",
        b"a\x00",
        b"\r\n",
        b" a",
        b"a ",
        b"\ta",
        b"a\t",
        b" ",
        b"a\x0b",
        b"a\x1fb",
        b"a\x7f",
    ],
)
def test_a_value_has_no_line_ends_and_no_blanks_around_it(value: bytes) -> None:
    assert "invalid value" in fault_of([*GET, (b"a", value)])
    with pytest.raises(StreamFault):
        trailer_fields([(b"a", value)])


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"\xe4\xff", b'"', b":"])
def test_a_value_goes_on_as_it_is(value: bytes) -> None:
    assert head_of([*GET, (b"a", value)]).fields[1:] == [(b"a", value)]


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    ],
)
@pytest.mark.parametrize("value", [b"chunked", b"close", b"", b"h2c"])
def test_fields_of_a_connection_of_http1_are_malformed(
    name: bytes, value: bytes
) -> None:
    assert "is a field of HTTP/1.1" in fault_of([*GET, (name, value)])
    with pytest.raises(StreamFault):
        trailer_fields([(name, value)])


@pytest.mark.parametrize("value", [b"gzip", b"trailers, gzip", b"", b"chunked"])
def test_te_says_trailers_or_nothing(value: bytes) -> None:
    assert "only trailers is allowed" in fault_of([*GET, (b"te", value)])


def test_te_trailers_is_known() -> None:
    assert head_of([*GET, (b"te", b"trailers")]).members(b"te") == [b"trailers"]


def test_cookies_are_joined_at_the_place_of_the_first() -> None:
    head = head_of(
        [
            *GET,
            (b"a", b"1"),
            (b"cookie", b"x=1"),
            (b"b", b"2"),
            (b"cookie", b"y=2; z=3"),
            (b"cookie", b"w"),
        ]
    )
    assert head.fields[1:] == [
        (b"a", b"1"),
        (b"cookie", b"x=1; y=2; z=3; w"),
        (b"b", b"2"),
    ]
    assert head.get(b"cookie") == b"x=1; y=2; z=3; w"


# -- the length


@pytest.mark.parametrize(
    "value",
    [b"", b"-1", b"+1", b"1 ", b"0x5", b"5, 5", b"5,6", b"1.0", b"\xb2", b"9" * 19],
)
def test_a_length_is_one_number(value: bytes) -> None:
    fault_of([*GET, (b"content-length", value)], complete=False)


@pytest.mark.parametrize("second", [b"5", b"6"])
def test_a_length_comes_once(second: bytes) -> None:
    fields = [*GET, (b"content-length", b"5"), (b"content-length", second)]
    assert "comes twice" in fault_of(fields, complete=False)


def test_a_request_without_content_has_no_length() -> None:
    fields = [*GET, (b"content-length", b"5")]
    assert "content-length 5, but no content" in fault_of(fields)
    assert head_of(fields, complete=False).get(b"content-length") == b"5"
    assert head_of([*GET, (b"content-length", b"0")]).get(b"content-length") == b"0"


def test_the_content_is_framed_by_its_length_or_by_end_stream() -> None:
    sized = head_of([*GET, (b"content-length", b"05")], complete=False)
    body = request_content(sized, complete=False)
    assert isinstance(body, LengthBody)
    assert body.remaining == 5
    open_ended = request_content(head_of(GET, complete=False), complete=False)
    assert isinstance(open_ended, UntilCloseBody)
    assert not open_ended.complete
    none = request_content(head_of(GET), complete=True)
    assert isinstance(none, LengthBody)
    assert none.complete


# -- CONNECT


def test_connect_becomes_the_request_that_the_proxy_refuses() -> None:
    head = head_of([CONNECT, (b":authority", b"a.example:443")], complete=False)
    assert (head.method, head.target) == (b"CONNECT", b"a.example:443")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([CONNECT], id="no authority"),
        pytest.param([CONNECT, AUTHORITY, SCHEME], id="a scheme"),
        pytest.param([CONNECT, AUTHORITY, PATH], id="a path"),
        pytest.param([CONNECT, (b"host", b"a:1")], id="host alone"),
        pytest.param(
            [*GET, (b":protocol", b"websocket")], id="a protocol without CONNECT"
        ),
        pytest.param(changed(b":path", None, WEBSOCKET), id="extended: no path"),
        pytest.param(changed(b":scheme", None, WEBSOCKET), id="extended: no scheme"),
        pytest.param(changed(b":authority", None, WEBSOCKET), id="extended: no host"),
        pytest.param(changed(b":path", b"*", WEBSOCKET), id="extended: an asterisk"),
        pytest.param(changed(b":protocol", b"", WEBSOCKET), id="extended: empty"),
        pytest.param(changed(b":protocol", b"a b", WEBSOCKET), id="extended: no token"),
        pytest.param(
            [*WEBSOCKET, (b"content-length", b"9")], id="extended: with a length"
        ),
        pytest.param(
            [*WEBSOCKET, (b"content-length", b"0")], id="extended: with a length of 0"
        ),
        pytest.param([*WEBSOCKET, (b"upgrade", b"websocket")], id="extended: Upgrade"),
    ],
)
def test_a_malformed_connect(fields: Fields) -> None:
    fault_of(fields, complete=False)


# -- as h2 does


def server_takes(fields: Fields, *, ends: bool) -> bool:
    """Does a server made of h2 take them for a request?"""
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    frame = HeadersFrame(1, block(fields), flags=["END_HEADERS"])
    if ends:
        frame.flags.add("END_STREAM")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
    try:
        events = server.receive_data(preface + frame.serialize())
    except h2.exceptions.ProtocolError:
        return False
    return any(isinstance(each, h2.events.RequestReceived) for each in events)


def client_sends(fields: Fields, *, ends: bool) -> bool:
    """Does a client made of h2 send them?"""
    client = h2.connection.H2Connection(
        h2.config.H2Configuration(
            client_side=True, normalize_outbound_headers=False, header_encoding=None
        )
    )
    client.initiate_connection()
    with contextlib.suppress(h2.exceptions.ProtocolError):
        client.send_headers(1, fields, end_stream=ends)
        return True
    return False


def same_host_otherwise_written(fields: Fields) -> bool:
    """The one thing that h2 refuses and we take: it compares hosts byte by byte."""
    known = dict(fields)
    authority, host = known.get(b":authority"), known.get(b"host")
    scheme = known.get(b":scheme", b"")
    return (
        authority is not None
        and host is not None
        and authority != host
        and normal(authority, scheme) == normal(host, scheme)
    )


PSEUDO_FIELDS = st.sampled_from(
    [
        *GET,
        CONNECT,
        (b":method", b"OPTIONS"),
        (b":method", b""),
        (b":scheme", b"http"),
        (b":path", b"*"),
        (b":path", b""),
        (b":authority", b"b.example"),
        (b":authority", b"A.example"),
        (b":protocol", b"websocket"),
        (b":status", b"200"),
        (b":foo", b"1"),
    ]
)
FIELDS = st.sampled_from(
    [
        (b"host", b"a.example"),
        (b"host", b"b.example"),
        (b"cookie", b"a=b"),
        (b"content-length", b"0"),
        (b"content-length", b"5"),
        (b"te", b"trailers"),
        (b"te", b"gzip"),
        (b"connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"Upper", b"1"),
        (b"", b"1"),
        (b"a", b" 1"),
        (b"a", b"1\r\n"),
    ]
) | st.tuples(
    st.text(alphabet="ab:A \r\n\x00", max_size=3).map(str.encode),
    st.text(alphabet="1 \t\r\n\x00", max_size=3).map(str.encode),
)
SECTIONS = st.tuples(
    st.just(GET) | st.just(WEBSOCKET) | st.lists(PSEUDO_FIELDS, max_size=5),
    st.lists(FIELDS | PSEUDO_FIELDS, max_size=3),
).map(lambda parts: [*parts[0], *parts[1]])


@given(SECTIONS, st.booleans())
def test_what_h2_refuses_to_take_or_to_send_is_refused(
    fields: Fields, ends: bool
) -> None:
    try:
        request = read(fields, complete=ends)
    except StreamFault:
        return
    if request.error is not None or same_host_otherwise_written(fields):
        return
    assert server_takes(fields, ends=ends), fields
    assert client_sends(fields, ends=ends), fields


@given(st.lists(FIELDS | PSEUDO_FIELDS, max_size=3))
def test_trailers_that_h2_refuses_are_refused(fields: Fields) -> None:
    flags = HeaderValidationFlags(
        is_client=False,
        is_trailer=True,
        is_response_header=False,
        is_push_promise=False,
    )
    try:
        kept = trailer_fields(fields)
    except StreamFault:
        return
    assert kept == fields
    assert list(validate_headers(fields, flags)) == fields
