"""Which record answers a request, and what is near one that none answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.origin.record_match import (
    EarlyAnswer,
    RecordIndex,
    comparable,
    difference,
    shared,
)
from proxy.record.format import ExchangeRecord, RecordedEnd, RequestComplete
from tests.support.records import got, head, record

CHAT = record(
    got(1, b'{"model": "a", "stream": true}'),
    RequestComplete(2),
    head(3),
    method="POST",
    target="/v1/chat",
)


@pytest.mark.parametrize(
    ("method", "target", "found"),
    [
        pytest.param("GET", "/events?x=1", True, id="the same"),
        pytest.param("GET", "http://h:1/events?x=1", True, id="absolute form"),
        pytest.param("GET", "/upstream?x=1", True, id="as the upstream got it"),
        pytest.param("HEAD", "/events?x=1", True, id="head"),
        pytest.param("POST", "/events?x=1", False, id="method"),
        pytest.param("GET", "/events", False, id="query"),
        pytest.param("GET", "/events?x=1&y", False, id="longer query"),
        pytest.param("GET", "/Events?x=1", False, id="case"),
    ],
)
def test_a_request_is_the_same_by_method_path_and_query(
    method: str, target: str, found: bool
) -> None:
    index = RecordIndex(
        [record(head(), target="/events?x=1", upstream_target="/upstream?x=1")]
    )
    assert bool(index.candidates(method, target)) is found


def test_what_is_masked_in_a_record_is_not_compared() -> None:
    index = RecordIndex([record(head(), target="/events?token=****&x=1")])
    assert index.candidates("GET", "/events?token=secret&x=1")
    assert not index.candidates("GET", "/events?token=secret&x=2")


def test_a_recorded_head_goes_before_a_get() -> None:
    index = RecordIndex([record(head()), record(head(), method="HEAD")])
    assert [each.name for each in index.candidates("HEAD", "/events")] == ["record 2"]


@pytest.mark.parametrize(
    ("sent", "may", "has"),
    [
        (b"", True, False),
        (b'{"mod', True, False),
        (b'{"model": "a", "stream": true}', True, True),
        (b'{"model": "b"', False, False),
        (b'{"model": "a", "stream": true} ', False, False),
    ],
)
def test_a_body_is_the_same_or_may_become_it(sent: bytes, may: bool, has: bool) -> None:
    (chat,) = RecordIndex([CHAT]).all
    assert (chat.may_have(sent), chat.has(sent)) == (may, has)


def test_an_upload_that_was_recorded_in_part_may_go_on() -> None:
    (part,) = RecordIndex([record(got(1, b"abc"), head(2), method="POST")]).all
    assert part.early == EarlyAnswer(2, 3)
    assert part.may_have(b"ab")
    assert part.may_have(b"abcd")
    assert part.has(b"abcd")
    assert not part.has(b"ab")


WAITS = ("Content-Length", "3")  # and no byte of it was recorded


@pytest.mark.parametrize(
    ("items", "end", "early"),
    [
        pytest.param((head(2), got(3, b"abc")), None, EarlyAnswer(2, 0), id="at once"),
        pytest.param(
            (got(1, b"a"), head(2), got(3, b"bc"), RequestComplete(4)), None,
            EarlyAnswer(2, 1), id="within the body",
        ),
        pytest.param((got(1, b"abc"), RequestComplete(2), head(3)), None, None,
                     id="behind it"),
        pytest.param((head(1, "", 100), got(2, b"abc"), RequestComplete(3), head(4)),
                     None, None, id="only asked for the body"),
        pytest.param((head(1, "", 103), head(2, "", 102), got(2, b"abc"),
                      RequestComplete(3), head(4)), None, None, id="only announced"),
        pytest.param((head(1, "", 100), got(2, b"a"), head(3), got(4, b"bc")), None,
                     EarlyAnswer(3, 1), id="asked, then answered"),
        pytest.param((got(1, b"a"), got(9, b"bc"), RequestComplete(9)),
                     RecordedEnd(5, "reset"), EarlyAnswer(5, 1), id="broke off"),
        pytest.param((got(1, b"abc"), RequestComplete(2)), RecordedEnd(5, "reset"),
                     None, id="broke off behind it"),
        pytest.param((got(1, b"a"),), RecordedEnd(5, "open"), None, id="client left"),
        pytest.param((head(2),), RecordedEnd(2, "complete"), EarlyAnswer(2, 0),
                     id="without its body"),
    ],
)  # fmt: skip
def test_an_answer_is_early_if_it_is_final_and_before_the_end_of_the_request(
    items: tuple[Any, ...], end: RecordedEnd | None, early: EarlyAnswer | None
) -> None:
    asked = record(*items, method="POST")
    request = replace(asked.request, fields=[WAITS])
    (one,) = RecordIndex([replace(asked, request=request, end=end)]).all
    assert one.early == early


def test_a_record_without_its_body_is_not_of_a_request_without_one() -> None:
    """An upstream that refused an upload by its head alone."""
    asked = record(head(2), method="POST")
    request = replace(asked.request, fields=[WAITS])
    (one,) = RecordIndex([replace(asked, request=request)]).all
    assert one.answers_unseen
    assert one.has(b"abc")


@given(st.binary(max_size=9), st.binary(max_size=9), st.binary(max_size=9))
def test_bodies_have_in_common_what_is_equal(
    both: bytes, one: bytes, other: bytes
) -> None:
    at = shared(both + one, both + other)
    assert at >= len(both)
    first, second = (both + one)[at:], (both + other)[at:]
    assert (both + one)[:at] == (both + other)[:at]
    assert not (first and second) or first[0] != second[0]


@given(st.binary(max_size=20), st.binary(max_size=20), st.booleans(), st.data())
def test_a_body_is_judged_the_same_piece_by_piece(
    recorded: bytes, asked: bytes, whole: bool, data: st.DataObject
) -> None:
    begun = data.draw(st.sampled_from([asked, recorded, recorded + asked]))
    at = data.draw(st.integers(0, len(begun)))
    end = [RequestComplete(2)] if whole else []
    played = record(got(1, recorded or b"x"), *end, head(3), method="POST")
    (one,) = RecordIndex([played]).all
    by_pieces = one.goes_on(0, begun[:at]) and one.goes_on(at, begun[at:])
    assert by_pieces is one.may_have(begun)
    assert one.has(begun) is (
        begun == one.body if whole else begun.startswith(one.body)
    )


def test_a_body_that_a_har_does_not_have_may_be_any() -> None:
    (form,) = RecordIndex([replace(record(head()), unknown=("request body",))]).all
    assert form.may_have(b"any")
    assert form.has(b"anything")


def with_credentials(played: ExchangeRecord, *, added: bool = False) -> ExchangeRecord:
    """The same with masked credentials: of the client, or that a route has added."""
    request = replace(played.request, fields=[("Authorization", "****")])
    return replace(played, **{"sent" if added else "request": request})


@pytest.mark.parametrize("added", [False, True])
def test_credentials_tell_two_requests_apart(added: bool) -> None:
    plain = record(head())
    index = RecordIndex([plain, with_credentials(plain), plain])
    for authorized, names in ((True, ["record 2"]), (False, ["record 1", "record 3"])):
        found = index.candidates("GET", "/events", authorized)
        assert [each.name for each in found] == names
    assert len(index.candidates("GET", "/events")) == 3
    for one in (plain, with_credentials(plain, added=added)):
        index = RecordIndex([one])  # who else should answer?
        for authorized in (True, False):
            assert index.candidates("GET", "/events", authorized)


def test_what_a_route_adds_is_asked_by_the_client_without_it() -> None:
    index = RecordIndex([with_credentials(record(head()), added=True), record(head())])
    found = index.candidates("GET", "/events", authorized=False)
    assert [each.name for each in found] == ["record 1", "record 2"]
    found = index.candidates("GET", "/events", authorized=True)
    assert [each.name for each in found] == ["record 1"]


def test_turns_are_taken_by_the_same_request_only() -> None:
    index = RecordIndex([record(head(), target=each) for each in ("/a", "/b", "/a")])
    names = [
        index.take_turn(index.candidates("GET", target)).name
        for target in ("/a", "/b", "/a", "/b", "/a")
    ]
    assert names == ["record 1", "record 2", "record 3", "record 2", "record 1"]


@pytest.mark.parametrize(
    ("method", "target", "body", "told"),
    [
        pytest.param(
            "POST", "/v1/chat", b'{"model": "b", "stream": true}',
            "no record answers POST /v1/chat, body of 30 bytes\n\n"
            "recorded with another body (--any, or any_body=True, ignores bodies):\n"
            "  chat.jsonl: differs at byte 11: recorded '{\"model\": \"a\", "
            "\"stream\": true}', asked '{\"model\": \"b\", \"stream\": true}'\n",
            id="body",
        ),
        pytest.param(
            "GET", "/v1/chat", b"",
            "no record answers GET /v1/chat\n\nrecorded with another method: POST\n",
            id="method",
        ),
        pytest.param(
            "GET", "/events?x=2", b"",
            "no record answers GET /events?x=2\n\nrecorded with another query:\n"
            "  GET /events?x=1\n",
            id="query",
        ),
        pytest.param(
            "GET", "/event", b"",
            "no record answers GET /event\n\nsimilar paths:\n  /events\n",
            id="similar",
        ),
        pytest.param(
            "GET", "/", b"",
            "no record answers GET /\n\nrecorded paths:\n  /events\n  /v1/chat\n",
            id="nothing like it",
        ),
        pytest.param(
            "GET", "/?key=secret", b"",
            "no record answers GET /?key=****\n\nrecorded paths:\n  /events\n"
            "  /v1/chat\n",
            id="credentials",
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_near(
    method: str, target: str, body: bytes, told: str
) -> None:
    index = RecordIndex()
    index.add(CHAT, "chat.jsonl")
    index.add(record(head(), target="/events?x=1"), "events.jsonl")
    assert index.refusal(method, target, body) == told


def test_of_what_is_near_the_first_are_named() -> None:
    index = RecordIndex([record(head(), target=f"/a?{n}") for n in range(20)])
    assert index.refusal("GET", "/a", b"").splitlines()[-1] == "  and 12 more"
    assert RecordIndex([]).refusal("GET", "/", b"").endswith("there are no records\n")


@pytest.mark.parametrize(
    ("recorded", "asked", "told"),
    [
        (b"abc", b"abc", "the same"),
        (b"abc", b"", "differs at byte 0: recorded 'abc', asked no body"),
        (b"", b"abc", "differs at byte 0: recorded no body, asked 'abc'"),
        (b"abcd", b"ab", "differs at byte 2: recorded 'abcd', asked ends there "
                         "(2 bytes)"),
        (b"x" * 99 + b"a" + b"y" * 99, b"x" * 99 + b"b" + b"y" * 99,
         f"differs at byte 99: recorded …{'x' * 24 + 'a' + 'y' * 23!r}…, "
         f"asked …{'x' * 24 + 'b' + 'y' * 23!r}…"),
        (b"\xff\x00", b"\xfe\x00", "differs at byte 0: recorded '\ufffd\\x00', "
                                   "asked '\ufffd\\x00'"),
    ],
)  # fmt: skip
def test_where_two_bodies_differ(recorded: bytes, asked: bytes, told: str) -> None:
    assert difference(recorded, asked) == told


def test_a_target_is_compared_by_path_and_query() -> None:
    assert comparable("https://h/a?b=c") == "/a?b=c"
    assert comparable("https://h") == "/"
    assert comparable("/a?u=http://h/b") == "/a?u=http://h/b"
    assert comparable("*") == "*"
