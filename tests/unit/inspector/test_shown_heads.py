"""The heads of an exchange are shown as they were sent, in either protocol."""

from __future__ import annotations

import pytest

from proxy.http1.head import HTTP2, RequestHead, ResponseHead
from proxy.inspector.shown_heads import shown
from proxy.policy.response_plan import STREAM, TERMS, ResponsePlan

FIELDS = [(b"Content-Type", b"text/event-stream"), (b"Connection", b"keep-alive")]


@pytest.mark.parametrize(
    ("minor", "line", "sent"),
    [
        (
            1,
            "HTTP/1.1 200 OK",
            [
                ["Content-Type", "text/event-stream"],
                ["Connection", "keep-alive"],
                ["Transfer-Encoding", "chunked"],
            ],
        ),
        (HTTP2, "HTTP/2 200", [["content-type", "text/event-stream"]]),
    ],
    ids=["HTTP/1.1", "HTTP/2"],
)
@pytest.mark.parametrize("written", [False, True])
def test_a_response_is_shown_as_its_client_got_it(
    minor: int, line: str, sent: list[list[str]], written: bool
) -> None:
    plan = ResponsePlan(200, b"OK", list(FIELDS), STREAM, TERMS[1][1].options)
    if written:  # for another client, of HTTP/1.1
        assert plan.text
    head = RequestHead(b"GET", b"/", minor, [(b"Host", b"a")])
    response = shown((head, None, None, plan))["response"]
    assert response["line"] == line
    assert response["sent"] == sent


def test_what_came_is_shown_with_its_status_and_version() -> None:
    request = RequestHead(b"GET", b"/", HTTP2, [(b"Host", b"a")])
    came = ResponseHead(404, b"Not F\xf6und", 0, [(b"X-A", b"1")])
    sides = shown((request, None, came, None))
    assert sides["request"]["version"] == "2.0"
    response = sides["response"]
    assert (response["status"], response["reason"]) == (404, "Not F\xf6und")
    assert response["version"] == "1.0"
