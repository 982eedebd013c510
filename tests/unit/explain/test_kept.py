"""What is told of streams that are kept or shared."""

from __future__ import annotations

import pytest

from proxy.tools.explain.result import Account
from proxy.tools.explain.text import render_text
from tests.unit.explain.conftest import Explain

CHAT = """
[routes."/chat"]
target = "http://one"
[routes."/chat".resume]
bind = ["cookie:s"]
key = "query:id"
path = "/chat/{key}/on"
stop = "/stop/{key}"
"""
FEED = """
[routes."/feed"]
target = "http://two"
resume = true
share = { by = ["X-Tenant"], replay = 3 }
"""
PLAIN = """
[routes."/"]
target = "http://three"
"""
ALL = CHAT + FEED + PLAIN
EVENTS = ("-H", "Accept: text/event-stream")
ID = "0-0123456789abcdef0123456789abcdef"


def resumed(told: Account) -> tuple[bool, str]:
    assert told.resume is not None
    return told.resume.kept, told.resume.reason


def shared(told: Account) -> tuple[bool, str]:
    assert told.share is not None
    return told.share.shared, told.share.reason


def test_a_route_without_them_says_that_they_are_off(account: Explain) -> None:
    told = account(ALL, "GET", "/x")
    assert resumed(told) == (False, "off (resume = false, default)")
    assert shared(told) == (False, "off (share = false, default)")


def test_a_request_whose_stream_is_kept_says_by_what_it_is_found(
    account: Explain,
) -> None:
    told = account(ALL, "POST", "/chat?id=c%201", "-H", "Idempotency-Key: k")
    assert told.resume is not None
    assert told.resume.kept
    assert "for 60 s" in told.resume.reason
    assert "whatever the response is" in told.resume.reason
    assert told.resume.looked_up == [
        "Idempotency-Key: the response to the same POST, running or just ended"
    ]
    stream_id, event_id, repeated, key, bound = told.resume.found_by
    assert stream_id.startswith("Stream-Id")
    assert event_id.startswith("Last-Event-ID")
    assert repeated.startswith("Idempotency-Key")
    assert key.startswith("key 'c 1', GET /chat/{key}/on (resume.key = ")
    assert bound.startswith("by clients with the same cookie:s (resume.bind = ")
    text = render_text(told)
    assert "\nresume\n  kept for 60 s when" in text
    assert "\n  looked up first\n    Idempotency-Key: " in text
    assert "\nshare\n  off (share = false, default)\n" in text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param(EVENTS, "added to each event", id="EventSource"),
        pytest.param((), "not added: it does not ask as", id="another client"),
        pytest.param(
            (*EVENTS, "-H", "MCP-Protocol-Version: 2025-06-18"),
            "not added: MCP has ids of its own",
            id="MCP",
        ),
    ],
)
def test_whether_events_get_ids(
    account: Explain, fields: tuple[str, ...], told: str
) -> None:
    resume = account(ALL, "GET", "/feed", *fields).resume
    assert resume is not None
    assert resume.ids is not None
    assert resume.ids.startswith(told)


def test_ids_can_be_switched_on_and_off(account: Explain) -> None:
    for value, told in (("true", "added to each"), ("false", "not added (resume.ids")):
        text = FEED.replace("resume = true", f"resume = {{ ids = {value} }}")
        resume = account(text, "GET", "/feed").resume
        assert resume is not None
        assert resume.ids is not None
        assert resume.ids.startswith(told)


@pytest.mark.parametrize(
    ("cursor", "told"),
    [
        (f"{ID}.4", "Last-Event-ID: event 4 of 0-01234567; if that stream is gone, "),
        ("77", "Last-Event-ID: an id of the upstream"),
    ],
)
def test_an_event_id_is_looked_up(account: Explain, cursor: str, told: str) -> None:
    found = account(ALL, "GET", "/feed", *EVENTS, "-H", f"Last-Event-ID: {cursor}")
    assert found.resume is not None
    assert found.resume.looked_up[0].startswith(told)
    assert found.sent  # if it is not there
    assert shared(found)[0] is False


def test_who_is_no_event_source_gets_the_rest_or_is_refused(account: Explain) -> None:
    told = account(ALL, "GET", "/feed", "-H", f"Last-Event-ID: {ID}.4")
    assert told.refused is None
    assert told.own is not None
    assert told.own.what.startswith("the rest of the stream of this Last-Event-ID; 404")
    assert told.own.whom == (
        "clients with the same Authorization as its first one (resume.bind)"
    )
    assert not told.sent
    told = account(ALL, "GET", "/feed", "-H", f"Last-Event-ID: {ID}.x")
    assert told.refused is not None
    assert told.refused["status"] == 400


def test_the_paths_of_a_key(account: Explain) -> None:
    told = account(ALL, "GET", "/chat/c1/on")
    assert told.own is not None
    assert told.own.answered
    assert told.own.what.startswith("the stream with this key from its beginning; 204")
    assert told.own.enabled is not None
    assert (told.own.enabled.key, told.route) == ("resume.path", "/chat")
    assert '[routes."/chat"] resume.path = "/chat/{key}/on"' in render_text(told)
    # Below another route, which keeps nothing.
    told = account(ALL, "POST", "/stop/c1")
    assert told.resume is not None
    assert told.resume.looked_up[0].startswith("key 'c1': its stream is ended (")
    assert (told.route, bool(told.sent)) == ("/", True)
    told = account(ALL, "GET", "/stop/c1")
    assert told.resume is not None
    assert told.resume.looked_up == []


@pytest.mark.parametrize(
    ("method", "fields", "resume", "share"),
    [
        pytest.param("HEAD", (), "the response to HEAD", "HEAD is not GET", id="HEAD"),
        pytest.param("POST", (), "", "POST is not GET", id="POST"),
        pytest.param(
            "GET", ("-H", "MCP-Protocol-Version: 2026-07-28"),
            "in MCP of revision 2026-07-28 and later", "in MCP each message", id="MCP",
        ),
        pytest.param(
            "GET", ("-H", "Upgrade: websocket"), "it asks for an upgrade",
            "it asks for an upgrade", id="upgrade",
        ),
        pytest.param(
            "GET", ("-H", "Authorization: Negotiate x"), "its credentials belong to",
            "its credentials belong to", id="connection",
        ),
        pytest.param("GET", ("-H", "Range: bytes=1-"), "", "it asks for a part",
                     id="part"),
    ],
)  # fmt: skip
def test_why_not(
    account: Explain, method: str, fields: tuple[str, ...], resume: str, share: str
) -> None:
    told = account(ALL, method, "/feed", *fields)
    kept, reason = resumed(told)
    assert kept is (resume == "")
    assert reason.startswith(f"not kept: {resume}" if resume else "kept for 60 s")
    kept, reason = shared(told)
    assert kept is False
    assert reason.startswith(f"not shared: {share}")


def test_with_whom_a_stream_is_shared(account: Explain) -> None:
    kept, reason = shared(account(ALL, "GET", "/feed"))
    assert kept
    assert reason.startswith(
        "with clients that have the same Host, path, query and X-Tenant (share.by = "
    )
    assert "who joins begins with the last 3 events (share.replay = 3, " in reason


def test_the_address_of_a_stream_is_the_proxys_own(account: Explain) -> None:
    told = account(ALL, "GET", f"/_unbuffered/streams/{ID}")
    assert told.own is not None
    assert told.own.what.startswith("a kept stream: GET takes it up")
    assert "unbuffered/streams" in render_text(told)
    told = account(PLAIN, "GET", f"/_unbuffered/streams/{ID}", "-H", "Via: 1.1 a")
    assert told.route == "/"
