"""What a client is told when it gets no response from an upstream."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from proxy.errors import (
    FirstByteTimeout,
    MalformedRequest,
    NoRoute,
    Overloaded,
    ProxyError,
    UpstreamRefused,
    UpstreamUnresolved,
)
from proxy.http1.framing import response_body
from proxy.http1.head import RequestHead, ResponseHead, parse_response_head
from proxy.policy.error_response import (
    ADVICE,
    Failure,
    plan_failure,
    wants_page,
)
from proxy.policy.response_plan import TERMS
from tests.unit.http1.heads import request

DATE = b"Thu, 01 Jan 1970 00:00:00 GMT"
NAVIGATION = (b"Host: a", b"Sec-Fetch-Mode: navigate")
PROGRAM = (b"Host: a", b"Accept: */*")


def failure(error: ProxyError) -> Failure:
    return Failure(
        error=error,
        elapsed=1.23456,
        route="/sse",
        target="http://up:8002",
        routes=("/sse", "/a"),
    )


def answered(
    told: Failure, head: RequestHead | None = None, *, keep_alive: bool = True
) -> tuple[ResponseHead, bytes]:
    """Head and body of the whole response, read as a client would."""
    method = b"GET" if head is None else head.method
    terms = TERMS[head is None or head.minor >= 1][keep_alive]
    plan, rest = plan_failure(told, head, terms, DATE)
    answer = parse_response_head(plan.text)
    body = response_body(answer, method)
    payload = body.feed(rest) if rest else b""
    assert body.complete
    assert not body.excess
    return answer, payload


# -- for programs


def test_a_program_is_told_in_json_what_went_wrong_where_and_after_how_long() -> None:
    told = failure(UpstreamRefused("nothing listens at 127.0.0.1:8002"))
    head, body = answered(told, request(*PROGRAM))
    assert (head.status, head.reason) == (502, b"Bad Gateway")
    assert head.get(b"content-type") == b"application/json"
    assert json.loads(body) == {
        "error": {
            "status": 502,
            "type": "connection_refused",
            "message": "nothing listens at 127.0.0.1:8002",
            "route": "/sse",
            "target": "http://up:8002",
            "elapsed_seconds": 1.235,
            "advice": "Start the upstream, or correct the target of the route.",
        }
    }


def test_what_is_not_known_is_left_out() -> None:
    _, body = answered(Failure(error=MalformedRequest("x"), elapsed=0.0))
    assert json.loads(body)["error"] == {
        "status": 400,
        "type": "http_request_error",
        "message": "x",
        "elapsed_seconds": 0.0,
    }


def test_a_path_without_a_route_is_told_the_configured_prefixes() -> None:
    _, body = answered(failure(NoRoute("no route for '/x'")), request(*PROGRAM))
    assert json.loads(body)["error"]["routes"] == ["/sse", "/a"]


def test_only_a_path_without_a_route_is_told_of_the_others() -> None:
    assert "routes" not in failure(UpstreamRefused("x")).to_dict()


def test_text_of_any_script_stays_readable() -> None:
    _, body = answered(failure(UpstreamUnresolved("名字 'a\"b\\'")))
    assert "名字".encode() in body
    assert json.loads(body)["error"]["message"] == "名字 'a\"b\\'"


@pytest.mark.parametrize("kind", sorted(ADVICE))
def test_advice_is_one_sentence_or_two_for_a_type_that_exists(kind: str) -> None:
    kinds, known = [ProxyError], set()
    while kinds:
        each = kinds.pop()
        known.add(each.type)
        kinds += each.__subclasses__()
    assert kind in known
    assert ADVICE[kind].endswith(".")


# -- for persons


@pytest.mark.parametrize(
    ("lines", "page"),
    [
        pytest.param([b"Sec-Fetch-Mode: navigate"], True, id="navigation"),
        pytest.param(
            [b"Sec-Fetch-Mode: cors", b"Accept: text/html"], False, id="fetch"
        ),
        pytest.param([b"Sec-Fetch-Mode: no-cors"], False, id="image or script"),
        pytest.param([b"Sec-Fetch-Mode: websocket"], False, id="WebSocket"),
        pytest.param([b"Accept: text/html,*/*;q=0.8"], True, id="older browser"),
        pytest.param([b"Accept: text/event-stream"], False, id="EventSource"),
        pytest.param([b"Accept: */*"], False, id="curl"),
        pytest.param([b"Accept: application/json"], False, id="API client"),
        pytest.param([], False, id="says nothing"),
    ],
)
def test_a_page_is_for_who_navigates(lines: list[bytes], page: bool) -> None:
    """Fetch Metadata §2.2; Accept where a browser does not send it."""
    head = request(b"Host: a", *lines)
    assert wants_page(head) is page
    answer, _ = answered(failure(UpstreamRefused("x")), head)
    kind = b"text/html; charset=utf-8" if page else b"application/json"
    assert answer.get(b"content-type") == kind


def test_bytes_that_were_no_request_get_json() -> None:
    assert wants_page(None) is False


class Page(HTMLParser):
    """The tags and the text of a page, its style left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(re.sub(r"<style>.*?</style>", "", page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert "src" not in given
        assert given.get("href", "") in ("", "data:,")

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def test_a_person_gets_a_page_that_says_the_same() -> None:
    _, body = answered(
        failure(FirstByteTimeout("no head in time")), request(*NAVIGATION)
    )
    page = Page(body.decode())
    for words in (
        "504 Gateway Timeout",
        "no head in time",
        "Find out why the upstream is silent",
        "/sse",
        "http://up:8002",
        "elapsed seconds",
        "1.235",
        "http_response_timeout",
    ):
        assert words in page.text
    assert body.startswith(b"<!doctype html>")
    assert "script" not in page.tags


def test_a_page_lists_the_routes() -> None:
    _, body = answered(failure(NoRoute("x")), request(*NAVIGATION))
    assert "/sse, /a" in Page(body.decode()).text


def test_a_page_without_advice_or_route_is_a_page_too() -> None:
    told = Failure(error=MalformedRequest("x"), elapsed=0.0)
    _, body = answered(told, request(*NAVIGATION))
    assert "400 Bad Request" in Page(body.decode()).text


@pytest.mark.parametrize(
    "markup", ["<script>alert(1)</script>", '"><img src=x>', "&lt;"]
)
def test_nothing_of_a_request_becomes_markup(markup: str) -> None:
    told = Failure(
        error=NoRoute(markup),
        elapsed=0.0,
        route=markup,
        target=markup,
        routes=(markup,),
    )
    plain = Page(answered(failure(NoRoute("x")), request(*NAVIGATION))[1].decode())
    page = Page(answered(told, request(*NAVIGATION))[1].decode())
    assert page.tags == plain.tags
    assert page.text.count(markup) == 4


# -- the message around it


@pytest.mark.parametrize("error", [UpstreamRefused, FirstByteTimeout, NoRoute])
@pytest.mark.parametrize("lines", [NAVIGATION, PROGRAM])
def test_the_kind_of_failure_stands_in_proxy_status(
    error: type[ProxyError], lines: tuple[bytes, ...]
) -> None:
    """RFC 9209 §2: our name, and a type from its registry."""
    head, _ = answered(failure(error("x")), request(*lines))
    proxy_status = b"unbuffered; error=" + error.type.encode()
    assert head.get(b"proxy-status") == proxy_status
    assert head.status == error.status
    assert head.get(b"cache-control") == b"no-store"
    assert head.get(b"date") == DATE


def test_a_client_that_comes_too_early_is_told_when_to_come_back() -> None:
    """RFC 9110 §10.2.3."""
    head, _ = answered(failure(Overloaded("draining")))
    assert (head.status, head.get(b"retry-after")) == (503, b"1")
    assert answered(failure(UpstreamRefused("x")))[0].get(b"retry-after") is None


@pytest.mark.parametrize(
    ("minor", "keep_alive", "connection"),
    [
        (1, True, None),
        (1, False, b"close"),
        (0, True, b"keep-alive"),
        (0, False, b"close"),
    ],
)
def test_connection_says_whether_it_stays_open(
    minor: int, keep_alive: bool, connection: bytes | None
) -> None:
    head = request(b"Host: a", start=b"GET / HTTP/1.%d" % minor)
    answer, _ = answered(failure(UpstreamRefused("x")), head, keep_alive=keep_alive)
    assert answer.get(b"connection") == connection


def test_bytes_that_were_no_request_are_answered_and_the_connection_closed() -> None:
    head, _ = answered(failure(MalformedRequest("x")), None, keep_alive=False)
    assert head.get(b"connection") == b"close"
    assert answered(failure(MalformedRequest("x")))[0].get(b"connection") is None


@pytest.mark.parametrize("lines", [NAVIGATION, PROGRAM])
def test_head_gets_the_head_of_get_and_no_body(lines: tuple[bytes, ...]) -> None:
    """RFC 9110 §9.3.2."""
    told = failure(UpstreamRefused("x"))
    head, body = answered(told, request(*lines, start=b"HEAD / HTTP/1.1"))
    full, full_body = answered(told, request(*lines))
    assert (body, head.fields) == (b"", full.fields)
    assert head.get(b"content-length") == b"%d" % len(full_body)


def test_no_traceback_reaches_a_client() -> None:
    try:
        raise UpstreamRefused("short and clear") from ZeroDivisionError("secret")
    except UpstreamRefused as error:
        told = failure(error)
    for lines in (NAVIGATION, PROGRAM):
        _, body = answered(told, request(*lines))
        for words in (b"Traceback", b"secret", b"ZeroDivision", b".py"):
            assert words not in body
