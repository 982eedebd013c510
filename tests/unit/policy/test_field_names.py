"""Names that a back end may take for another name, and the Origin field."""

from __future__ import annotations

import pytest

from proxy.config.route import FieldRules
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.policy.header_fields import ALIKE, Rules, request_fields
from tests.unit.http1.heads import request


def kept(
    head: RequestHead,
    *,
    trust: bool = False,
    rules: FieldRules | None = None,
    origin: bytes | None = None,
) -> Fields:
    """The client's own fields among those that go to the upstream."""
    sent = request_fields(
        head,
        host=b"up:1",
        authority=b"public",
        client=b"192.0.2.7",
        scheme=b"http",
        trust_forwarded=trust,
        rules=Rules(rules or FieldRules(), alike=True),
        origin=origin,
    )
    return [field for field in sent if field in head.fields and field[0] != b"Host"]


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        b"X_Forwarded_For",
        b"x_forwarded-for",
        b"X-Forwarded_Proto",
        b"X_FORWARDED_HOST",
        b"X_Forwarded_Prefix",
        b"X.Forwarded.For",
        b"X!Forwarded~For",
        b"Content_Length",
        b"Transfer_Encoding",
        b"Accept_Encoding",
        b"Keep_Alive",
        b"Proxy_Authorization",
    ],
)
def test_a_twin_of_a_field_of_ours_does_not_pass(name: bytes, trust: bool) -> None:
    """RFC 3875 §4.1.18: CGI and its heirs make one variable of both."""
    assert kept(request(b"Host: a", name + b": forged"), trust=trust) == []


@pytest.mark.parametrize(
    "name",
    [
        b"X_Custom",
        b"x-custom_name",
        b"X.Y",
        b"_",
        b"!",
        b"Forwarded_",
        b"X_Forwarded",
        b"XForwardedFor",
        b"Content_Type",
        b"123",
    ],
)
def test_any_other_odd_name_passes_as_it_is(name: bytes) -> None:
    head = request(b"Host: a", name + b": 1", b"B: 2")
    assert kept(head) == [(name, b"1"), (b"B", b"2")]


def test_names_are_alike_in_letters_and_digits() -> None:
    assert b"aZ09-_.\xff".translate(ALIKE) == b"az09----"
    assert len(ALIKE) == 256


def test_a_field_that_a_route_sets_or_removes_takes_its_twins_with_it() -> None:
    rules = FieldRules(set={"X-User": "me"}, remove=["X_Role", "Cookie"])
    head = request(
        b"Host: a", b"X_User: forged", b"x-role: forged", b"X_ROLE: b", b"X-Use: c"
    )
    assert kept(head, rules=rules) == [(b"X-Use", b"c")]


def test_a_response_has_no_twins() -> None:
    """Nothing on the client's side folds names."""
    rules = Rules(FieldRules(remove=["X-Role"]))
    fields = [(b"X_Role", b"a"), (b"X-Role", b"b")]
    assert rules.apply(fields) == [(b"X_Role", b"a")]


@pytest.mark.parametrize("trust", [False, True])
def test_what_connection_names_goes_and_nothing_of_ours(trust: bool) -> None:
    """RFC 9110 §7.6.1: a client may declare any field of its own hop-by-hop."""
    head = request(
        b"Host: a",
        b"Connection: Cookie, Authorization, Content-Type, X_Odd, Host, Via",
        b"Connection: X-Forwarded-For, Forwarded, Content-Length, Accept-Encoding",
        b"Cookie: a=b",
        b"Authorization: Basic eA==",
        b"Content-Type: text/plain",
        b"X_Odd: 1",
        b"X-Odd: 2",
        b"Via: 1.1 other",
    )
    assert kept(head, trust=trust) == [(b"X-Odd", b"2"), (b"Via", b"1.1 other")]


def test_connection_takes_nothing_from_the_account_of_a_trusted_client() -> None:
    """What it hands on may be the words of whoever stands behind it."""
    head = request(
        b"Host: a",
        b"Connection: X-Forwarded-For, X-Forwarded-Port, Forwarded",
        b"X-Forwarded-For: 10.0.0.1",
        b"X-Forwarded-Port: 443",
        b"Forwarded: for=10.0.0.1",
    )
    sent = request_fields(
        head,
        host=b"up:1",
        authority=b"public",
        client=b"192.0.2.7",
        scheme=b"http",
        trust_forwarded=True,
        rules=Rules(FieldRules()),
    )
    told = {name: value for name, value in sent if b"orwarded" in name}
    assert told[b"X-Forwarded-For"] == b"10.0.0.1, 192.0.2.7"
    assert told[b"X-Forwarded-Port"] == b"443"
    assert told[b"Forwarded"].startswith(b"for=10.0.0.1, ")


@pytest.mark.parametrize(
    ("line", "origin", "seen"),
    [
        (b"Origin: http://public", b"http://up", (b"Origin", b"http://up")),
        (b"ORIGIN: https://other", b"http://up", (b"ORIGIN", b"http://up")),
        (b"Origin: null", b"http://up", (b"Origin", b"null")),
        (b"Origin: http://public", None, (b"Origin", b"http://public")),
        (b"Referer: http://a/b", b"http://up", (b"Referer", b"http://a/b")),
    ],
)
def test_origin_is_replaced_where_asked_for(
    line: bytes, origin: bytes | None, seen: tuple[bytes, bytes]
) -> None:
    sent = request_fields(
        request(b"Host: a", line),
        host=b"up",
        authority=b"a",
        client=b"",
        scheme=b"http",
        trust_forwarded=False,
        rules=Rules(FieldRules()),
        origin=origin,
    )
    assert sent[1] == seen


def test_origin_is_not_invented() -> None:
    assert kept(request(b"Host: a"), origin=b"http://up") == []
