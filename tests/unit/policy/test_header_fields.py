"""Which fields cross the proxy, and in what form."""

from __future__ import annotations

import pytest

from proxy.config.route import FieldRules
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.policy.header_fields import (
    HOP_BY_HOP,
    Rules,
    connection_names,
    request_fields,
    strip_hop_by_hop,
    via,
)
from tests.unit.http1.heads import request, response


def sent(
    head: RequestHead,
    *,
    authority: bytes = b"public",
    trust: bool = False,
    rules: FieldRules | None = None,
) -> Fields:
    """The fields that go to the upstream."""
    return request_fields(
        head,
        host=b"up:1",
        authority=authority,
        client=b"192.0.2.7",
        scheme=b"http",
        trust_forwarded=trust,
        rules=Rules(rules or FieldRules()),
    )


def named(fields: Fields, name: bytes) -> list[bytes]:
    """The values of a field, in order."""
    return [value for each, value in fields if each.lower() == name.lower()]


OURS = [
    (b"Accept-Encoding", b"identity"),
    (b"X-Forwarded-For", b"192.0.2.7"),
    (b"X-Forwarded-Proto", b"http"),
    (b"X-Forwarded-Host", b"public"),
    (b"X-Forwarded-Port", b"80"),
    (b"Via", b"1.1 unbuffered"),
]


# -- hop-by-hop fields (RFC 9110 §7.6.1)

HOP_BY_HOP_LINES = [
    b"Connection: keep-alive",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"TE: trailers",
    b"Transfer-Encoding: chunked",
    b"Upgrade: h2c",
    b"Proxy-Authenticate: Basic",
    b"Proxy-Authorization: Basic eDp5",
    b"Proxy-Authentication-Info: x",
    b"HTTP2-Settings: AAMAAABkAAQ",
]


@pytest.mark.parametrize("line", HOP_BY_HOP_LINES)
@pytest.mark.parametrize("change", [bytes, bytes.upper, bytes.lower])
def test_a_hop_by_hop_field_is_for_this_hop_only_both_ways(
    line: bytes, change: type[bytes]
) -> None:
    lines = (b"A: 1", change(line), b"B: 2")
    assert strip_hop_by_hop(request(*lines)) == [(b"A", b"1"), (b"B", b"2")]
    assert strip_hop_by_hop(response(*lines)) == [(b"A", b"1"), (b"B", b"2")]


def test_the_list_of_hop_by_hop_fields_is_tested_in_full() -> None:
    assert {line.partition(b":")[0].lower() for line in HOP_BY_HOP_LINES} == HOP_BY_HOP


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        pytest.param([b"Connection: X-A"], [b"X-B", b"X-C"], id="one name"),
        pytest.param([b"Connection: x-a,X-C"], [b"X-B"], id="two names, any case"),
        pytest.param([b"Connection: ,, X-A ,"], [b"X-B", b"X-C"], id="empty members"),
        pytest.param(
            [b"Connection: close", b"connection: X-B"], [b"X-A", b"X-C"], id="repeated"
        ),
        pytest.param([b"Connection: X-D"], [b"X-A", b"X-B", b"X-C"], id="not there"),
        pytest.param([b"Connection:"], [b"X-A", b"X-B", b"X-C"], id="empty"),
        pytest.param([], [b"X-A", b"X-B", b"X-C"], id="none"),
    ],
)
def test_a_field_that_connection_names_is_removed_both_ways(
    lines: list[bytes], left: list[bytes]
) -> None:
    fields = (b"X-A: 1", *lines, b"X-B: 2", b"X-C: 3")
    for head in (request(*fields), response(*fields)):
        assert [name for name, _ in strip_hop_by_hop(head)] == left


@pytest.mark.parametrize("name", [b"Host", b"Via", b"Close"])
def test_connection_cannot_name_what_is_meant_for_all(name: bytes) -> None:
    """Apache CVE-2022-31813: a field that a client can have removed is no guard."""
    head = response(b"Connection: X-A, " + name, name + b": 1", b"X-A: 2")
    assert strip_hop_by_hop(head) == [(name, b"1")]
    assert connection_names(head) == {b"x-a"}


def test_trailer_says_what_is_lost_unless_it_is_for_this_hop() -> None:
    """RFC 9110 §6.6.2: it goes on where the trailers do not."""
    for head in (request(b"Trailer: X-Sum"), response(b"trailer: X-Sum")):
        assert [value for _, value in strip_hop_by_hop(head)] == [b"X-Sum"]
    named = (b"Trailer: X-Sum", b"Connection: trailer")
    assert strip_hop_by_hop(request(*named)) == strip_hop_by_hop(response(*named)) == []


def test_the_framing_of_a_message_stays_with_this_hop() -> None:
    head = response(b"A: 1", b"content-LENGTH: 7", b"Transfer-Encoding: chunked")
    assert strip_hop_by_hop(head) == [(b"A", b"1")]


@pytest.mark.parametrize("trust", [False, True])
def test_connection_cannot_remove_what_we_add(trust: bool) -> None:
    """Go CVE-2022-32148, CVE-2021-33197."""
    names = b", ".join(name for name, _ in OURS) + b", Host, Forwarded"
    fields = sent(request(b"Host: a", b"Connection: " + names), trust=trust)
    assert fields == [(b"Host", b"up:1"), *OURS]


# -- the request to the upstream


def test_fields_keep_their_order_case_repetition_and_bytes() -> None:
    head = request(
        b"x-B:2",
        b"Cookie: a=1",
        b"Host: public",
        b"x-b: 1",
        b"COOKIE: b=2",
        b"X-Latin: caf\xe9",
        b"X-Empty:",
        b"Authorization: Bearer x",
        b"User-Agent: me",
        b"Expect: 100-continue",
    )
    assert sent(head) == [
        (b"Host", b"up:1"),
        (b"x-B", b"2"),
        (b"Cookie", b"a=1"),
        (b"x-b", b"1"),
        (b"COOKIE", b"b=2"),
        (b"X-Latin", b"caf\xe9"),
        (b"X-Empty", b""),
        (b"Authorization", b"Bearer x"),
        (b"User-Agent", b"me"),
        (b"Expect", b"100-continue"),
        *OURS,
    ]


def test_no_field_is_invented() -> None:
    """No User-Agent, Accept or Content-Type that the client did not send."""
    assert sent(request(b"Host: a")) == [(b"Host", b"up:1"), *OURS]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"Accept-Encoding: gzip, br", id="a stream is not compressed"),
        pytest.param(b"accept-encoding: identity;q=0", id="in any case"),
        pytest.param(b"Content-Length: 5", id="framing is our own"),
        pytest.param(b"X-Forwarded-For: 10.0.0.1", id="forged address"),
        pytest.param(b"x-forwarded-proto: https", id="forged scheme"),
        pytest.param(b"X-Forwarded-Host: evil", id="forged host"),
        pytest.param(b"X-Forwarded-Port: 443", id="forged port"),
        pytest.param(b"X_Forwarded_Port: 443", id="forged port, CGI's twin"),
        pytest.param(b"Proxy: http://evil", id="httpoxy, CVE-2016-5385"),
        pytest.param(b"PROXY: http://evil", id="httpoxy in any case"),
        pytest.param(b"X-Forwarded-Prefix: /evil", id="any other forged one"),
        pytest.param(b"Forwarded: for=10.0.0.1", id="RFC 7239"),
    ],
)
def test_what_a_client_may_not_say_is_replaced(line: bytes) -> None:
    fields = sent(request(b"Host: a", b"A: 1", line, b"B: 2"))
    assert fields == [(b"Host", b"up:1"), (b"A", b"1"), (b"B", b"2"), *OURS]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([b"accept-encoding: br , gzip"], [b"br , gzip"], id="as it came"),
        pytest.param(
            [b"Accept-Encoding: br", b"Accept-Encoding: gzip"], [b"br", b"gzip"],
            id="twice",
        ),
        pytest.param([b"Accept-Encoding:"], [b""], id="empty"),
        pytest.param([], [b"identity"], id="none: ours"),
        pytest.param([b"Accept_Encoding: br"], [b"identity"], id="a twin is none"),
        pytest.param(
            [b"Accept-Encoding: br", b"Connection: accept-encoding"], [b"identity"],
            id="for one connection only",
        ),
    ],
)  # fmt: skip
def test_the_clients_own_accept_encoding_goes_on_where_the_route_says_so(
    lines: list[bytes], expected: list[bytes]
) -> None:
    fields = request_fields(
        request(b"Host: a", *lines),
        host=b"up:1",
        authority=b"public",
        client=b"192.0.2.7",
        scheme=b"http",
        trust_forwarded=False,
        rules=Rules(FieldRules()),
        accept_encoding="client",
    )
    assert named(fields, b"Accept-Encoding") == expected
    assert named(fields, b"Accept_Encoding") == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            [], [b"192.0.2.7", b"http", b"public"], id="nothing to continue: our own"
        ),
        pytest.param(
            [
                b"X-Forwarded-For: 10.0.0.1",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: shop.example",
            ],
            [b"10.0.0.1, 192.0.2.7", b"https", b"shop.example"],
            id="the address is appended, the rest stays",
        ),
        pytest.param(
            [b"X-Forwarded-For: 10.0.0.1", b"x-forwarded-for: 10.0.0.2"],
            [b"10.0.0.1, 10.0.0.2, 192.0.2.7", b"http", b"public"],
            id="repeated: joined in order",
        ),
        pytest.param(
            [b"X-Forwarded-For:", b"X-Forwarded-Host: "],
            [b"192.0.2.7", b"http", b"public"],
            id="empty: our own",
        ),
    ],
)
def test_a_trusted_client_is_continued(
    lines: list[bytes], expected: list[bytes]
) -> None:
    fields = sent(request(b"Host: a", *lines), trust=True)
    for name, value in zip((b"For", b"Proto", b"Host"), expected, strict=True):
        assert named(fields, b"X-Forwarded-" + name) == [value]


def test_a_trusted_client_keeps_what_else_was_forwarded() -> None:
    head = request(
        b"Host: a",
        b"X-Forwarded-Prefix: /p",
        b"x-forwarded-port: 443",
        b"Forwarded: for=10.0.0.1",
    )
    fields = sent(head, trust=True)
    assert named(fields, b"X-Forwarded-Prefix") == [b"/p"]
    assert named(fields, b"X-Forwarded-Port") == [b"443"]
    assert named(fields, b"Forwarded")[0].startswith(b"for=10.0.0.1, for=192.0.2.7;")


def test_the_forwarded_host_is_what_was_asked_for_not_what_host_says() -> None:
    """RFC 9112 §3.2.2: the Host beside an absolute target is ignored."""
    head = request(b"Host: evil", start=b"GET http://good/ HTTP/1.1")
    assert named(sent(head, authority=b"good"), b"X-Forwarded-Host") == [b"good"]


def test_without_a_host_none_is_forwarded() -> None:
    fields = sent(request(start=b"GET / HTTP/1.0"), authority=b"")
    assert named(fields, b"X-Forwarded-Host") == []


@pytest.mark.parametrize("minor", [0, 1])
def test_via_tells_the_version_that_came_in(minor: int) -> None:
    """RFC 9110 §7.6.3."""
    own = (b"Via", b"1.%d unbuffered" % minor)
    assert via(request(start=b"GET / HTTP/1.%d" % minor)) == own
    assert via(response(start=b"HTTP/1.%d 200 OK" % minor)) == own


def test_via_of_earlier_hops_stays_before_ours() -> None:
    fields = sent(request(b"Host: a", b"Via: 1.0 fred", b"Via: 2 p.example"))
    assert named(fields, b"Via") == [b"1.0 fred", b"2 p.example", b"1.1 unbuffered"]


# -- the rules of a route


def test_rules_set_and_remove_fields_of_any_case_last_of_all() -> None:
    rules = FieldRules(
        set={"authorization": "Bearer ü", "X-New": "1", "VIA": "x"},
        remove=["COOKIE", "accept-encoding", "X-Forwarded-For"],
    )
    head = request(b"Host: a", b"Authorization: mine", b"Cookie: a", b"cookie: b")
    assert sent(head, rules=rules) == [
        (b"Host", b"up:1"),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Host", b"public"),
        (b"X-Forwarded-Port", b"80"),
        (b"authorization", "Bearer ü".encode()),
        (b"X-New", b"1"),
        (b"VIA", b"x"),
    ]


def test_rules_may_set_the_host() -> None:
    fields = sent(request(b"Host: a"), rules=FieldRules(set={"Host": "own"}))
    assert named(fields, b"Host") == [b"own"]
