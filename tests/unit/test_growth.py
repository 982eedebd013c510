"""No input takes time out of proportion to its length, in anything that reads one.

One row for each reader and each kind of input that is likely to make it go back: a
fault behind a long run, separators alone, openings that nothing closes, the smallest
parts there are. Regular expressions are found and tried by `test_patterns.py` as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from tomllib import loads
from typing import NamedTuple

import pytest

from proxy.config.cidr import parse_network
from proxy.config.environment import expand
from proxy.config.fault_text import unknown
from proxy.config.route import FieldRules, Route
from proxy.config.syntax_fault import syntax_fault
from proxy.config.target import parse_target
from proxy.errors import ProxyError
from proxy.http1.chunked import ChunkedBody
from proxy.http1.framing import content_length, request_body
from proxy.http1.grammar import is_authority
from proxy.http1.head import (
    RequestHead,
    check_incomplete_request,
    parse_request_head,
    parse_response_head,
)
from proxy.http1.lenient import Lenient, LenientChunkedBody
from proxy.inspector.access_token import AccessToken, bearer_of, sessions_of
from proxy.observe.redaction import masked, masked_target
from proxy.policy.dot_segments import leaves_prefix
from proxy.policy.forwarded import public_address
from proxy.policy.header_fields import Rules, request_fields, strip_hop_by_hop
from proxy.policy.local_client import is_own_name
from proxy.policy.loop_detection import passes
from proxy.policy.path_rewrite import compile_rules, rewrite_path
from proxy.policy.response_rewrite import Public, ResponseRewrite
from proxy.policy.routing import Router, destination
from proxy.policy.set_cookie import CookieRules
from proxy.stream.event_stream import Boundary, EventReader
from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.probe.curl import read_curl
from proxy.tools.doctor.probe.request import AskError
from proxy.tools.doctor.record import Arrival, ProbeRecording
from proxy.tools.importers.draft import Unreadable
from proxy.tools.importers.nginx_syntax import parse as parse_nginx
from proxy.tools.importers.patterns import (
    prefixes_of_glob,
    prefixes_of_pattern,
    reach_of,
)
from proxy.tools.importers.references import is_secret
from proxy.tools.importers.rewrite_rules import SAME, from_source
from proxy.tools.migrate.sources import read_json
from tests.support.growth import assert_linear
from upstream_demo.answers import answer_to, split_tokens

Run = Callable[[bytes], object]
# What a reader may say of its text. Anything else would end a row that reads nothing.
REFUSALS = (ProxyError, ValueError, AskError, Unreadable)

TARGET = parse_target("http://up:9000/base")
ROUTE = Route(
    prefix="/p",
    targets=(TARGET,),
    change_origin=True,
    cookie_domain_rewrite={"*": "a"},
    cookie_path_rewrite={"*": "/"},
    cookie_secure="strip",
)


class Row(NamedTuple):
    """A reader, how a text for it begins, what fills it, and how it ends."""

    name: str
    run: Run
    head: bytes
    body: bytes
    end: bytes = b""


def with_text(run: Callable[[str], object]) -> Run:
    return lambda data: run(data.decode("latin-1"))


def feed(data: bytes) -> None:
    ChunkedBody().feed(data)


def feed_cut(data: bytes) -> None:
    """In pieces of three bytes, which cut every line and every CRLF."""
    body = ChunkedBody()
    for position in range(0, len(data), 3):
        body.feed(data[position : position + 3])


def feed_lenient(data: bytes) -> None:
    LenientChunkedBody().feed(data)


def feed_lenient_cut(data: bytes) -> None:
    body = LenientChunkedBody()
    for position in range(0, len(data), 3):
        body.feed(data[position : position + 3])


def lenient_head(data: bytes) -> None:
    Lenient().head(data, 0)


def read_events(data: bytes) -> None:
    reader, boundary = EventReader(), Boundary(at_beginning=True)
    for position in range(0, len(data), 3):
        boundary.observe(data[position : position + 3])
        for _ in reader.read(data[position : position + 3]):
            pass


def shown_token(line: bytes) -> None:
    """What a request shows to open the inspector; `line` is the line of a field."""
    name, _, value = line.partition(b": ")
    head = RequestHead(b"GET", b"/_unbuffered/", 1, [(name, value)])
    token = AccessToken("0123456789abcdef")
    token.is_right(bearer_of(head) or value)
    for session in sessions_of(head):
        token.opens(session, 0.0)


def fields_of(data: bytes) -> None:
    """All that is asked of the head of a request before it goes on."""
    head = parse_request_head(data)
    destination(head)
    request_body(head)
    passes(head)
    public_address(head, b"http", True)
    strip_hop_by_hop(head)
    request_fields(
        head,
        host=b"up",
        authority=b"a",
        client=b"192.0.2.7",
        scheme=b"http",
        trust_forwarded=True,
        rules=Rules(FieldRules(set={"X-New": "1"}, remove=["X-Gone"]), alike=True),
    )


def recording(kind: str, data: bytes) -> ProbeRecording:
    """One that brings a few bytes each time, all of them soon after one another."""
    arrivals = tuple(
        Arrival(position / 1e6, 4, data[position : position + 4])
        for position in range(0, len(data), 4)
    )
    return ProbeRecording(
        "http://a/", head=0.0, status=200, fields=(("content-type", kind),),
        arrivals=arrivals, ended=1.0, ending="complete",
    )  # fmt: skip


def faulty_toml(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        loads(text)
    except ValueError as error:
        syntax_fault(text, error)


ROUTER = Router({"/": 1, "/p": 2, "/p/q": 3})
RULES = compile_rules({"^/p/(?<all>.*)$".replace("?<", "?P<"): "/$1", "^/x": ""})
PUBLISHING = ResponseRewrite(ROUTE)
COOKIES = CookieRules(ROUTE)
OWN = Public(b"https", b"front")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
END = b"\r\n\r\n"
CHUNKED = b"1\r\na\r\n0\r\n"


def heads() -> list[Row]:
    """The faults of a head, behind what is long, in each place that has heads."""
    fills = [
        ("a name without an end", b"", b"A", END),
        ("names without a colon", b"", b"A\r\n", END),
        ("a control byte", b"X: ", b"a", b"\0" + END),
        ("a bare LF", b"X: ", b"a", b"\n" + END),
        ("a bare CR", b"X: ", b"a", b"\rb" + END),
        ("a folded line", b"X: ", b"a", b"\r\n b" + END),
        ("folded lines", b"X: a", b"\r\n b", END),
        ("white space before a colon", b"X", b" ", b": a" + END),
        ("white space", b"X:", b" \t", b"\0" + END),
        ("colons", b"", b":", END),
        ("many fields", b"", b"X: a\r\n", b"\0" + END),
        ("many good fields", b"", b"X: a\r\n", b"\r\n"),
        ("many members", b"Connection: a", b",b", END),
        ("empty members", b"Connection: ", b",", END),
        ("white space in members", b"Via: ", b" ", b"," + END),
        ("one long host", b"X-Forwarded-Host: ", b"a:", END),
        ("many proxies", b"Via: ", b"1.1 unbuffered, ", b"a" + END),
    ]
    rows = []
    for name, begin, body, end in fills:
        rows += [
            Row(f"request: {name}", fields_of, GET + begin, body, end),
            Row(f"response: {name}", parse_response_head, OK + begin, body, end),
        ]
    return rows


ROWS = [
    *heads(),
    Row("request line: method", parse_request_head, b"", b"A", END),
    Row("request line: target", parse_request_head, b"GET /", b"a", b"\0" + END),
    Row("request line: spaces", parse_request_head, b"GET", b" ", END),
    Row("status line: reason", parse_response_head, OK[:-2], b"a", b"\0" + END),
    Row("incomplete head", lambda d: check_incomplete_request(d, 0), GET, b"X: a\r\n"),
    Row("authority: address", is_authority, b"[", b":", b"]"),
    Row("authority: encoded", is_authority, b"", b"%41", b"/"),
    Row("authority: port", is_authority, b"a:", b"1", b"x"),
    Row("token of a program", shown_token, b"Authorization: Bearer ", b"a ", b","),
    Row("token after blanks", shown_token, b"Authorization: Bearer", b" ", b","),
    Row("cookies", shown_token, b"Cookie: ", b"unbuffered-session=a;"),
    Row("cookies without an end", shown_token, b"Cookie: unbuffered-session=", b"0"),
    Row("own name", lambda d: is_own_name(d, frozenset()), b"", b"a.", b":x"),
    Row("Content-Length: list", content_length, b"5", b", 5"),
    Row("Content-Length: digits", content_length, b"", b"1", b"x"),
    # -- chunks
    *[
        Row(f"{name}, {how}", run, head, body, end)
        for how, run in (("whole", feed), ("cut", feed_cut))
        for name, head, body, end in (
            ("chunks of one byte", b"", b"1\r\na\r\n", b""),
            ("chunks of two bytes", b"", b"2\r\nab\r\n", b""),
            ("chunks of three bytes in turn", b"", b"3\r\nabc\r\n01\r\na\r\n", b""),
            ("one long chunk", b"fffffff\r\n", b"a", b""),
            ("extension", b"1;", b"a", b"\0"),
            ("extensions", b"1", b";a", b"\0"),
            ("white space in an extension", b"1;a", b" ", b"\0"),
            ("quoted string without an end", b'1;a="', b"b", b""),
            ("quoted pairs", b'1;a="', b"\\\\", b"\\\r"),
            ("trailer without an end", CHUNKED, b"A", END),
            ("trailers", CHUNKED, b"A: b\r\n", b"\r\n"),
        )
    ],
    *[
        Row(f"lenient: {name}", run, head, body, end)
        for name, run, head, body, end in (
            ("chunks", feed_lenient, b"", b"1 \na\n", b""),
            ("chunks, cut", feed_lenient_cut, b"", b"1 \na\n", b""),
            ("one long chunk, cut", feed_lenient_cut, b"fffffff\n", b"a", b""),
            ("padding", feed_lenient_cut, b"", b" ", b""),
            ("trailers", feed_lenient_cut, b"0\n", b"A : b\n", b"\n"),
            ("lines", lenient_head, b"HTTP/1.1 200 OK\n", b"A : b\n", b"\n"),
            ("spaces", lenient_head, b"HTTP/1.1 200 OK\nA", b" ", b":b\n\n"),
            ("LFs", lenient_head, b"", b"a\n", b""),
            ("CRs", lenient_head, b"\n", b"\r", b"\n\n"),
        )
    ],
    # -- paths and addresses
    *[
        Row(f"path: {name}", leaves_prefix, b"/", body, end)
        for name, body, end in (
            ("dot segments", b"a/../", b"x"),
            ("encoded percent signs", b"%25", b"2e"),
            ("layers", b"%%25", b"."),
            ("backslashes", b"\\..\\a", b""),
            ("parameters", b";..", b"/.."),
        )
    ],
    Row("router", ROUTER.match, b"/p/", b"a/../", b""),
    Row("path_rewrite", lambda d: rewrite_path(RULES, d), b"/p/", b"a/", b""),
    *[
        Row(
            f"Location: {name}",
            lambda d: PUBLISHING.location(d, OWN, TARGET),
            head,
            body,
        )
        for name, head, body in (
            ("slashes", b"", b"/"),
            ("colons", b"//a", b":1"),
            ("schemes", b"", b"http://"),
            ("path", b"http://up:9000/base", b"/a"),
        )
    ],
    *[
        Row(f"Set-Cookie: {name}", COOKIES.rewrite, head, body, end)
        for name, head, body, end in (
            ("semicolons", b"a=b", b";", b""),
            ("white space", b"a=b;", b" ", b"x"),
            ("white space behind a name", b"a=b; path", b" ", b"x"),
            ("attributes", b"a=b", b"; path=/a", b""),
            ("secure", b"a=b", b"; secure", b"x"),
        )
    ],
    # -- event streams
    *[
        Row(f"events: {name}", read_events, head, body, end)
        for name, head, body, end in (
            ("blank lines", b"", b"\r", b""),
            ("CRLF", b"", b"\r\n", b""),
            ("one line", b"data:", b"a", b"\n\n"),
            ("lines of data", b"", b"data\n", b"\n"),
            ("comments", b"", b":\n", b""),
            ("marks", b"", b"\xef\xbb\xbf", b"\n\n"),
        )
    ],
    # -- masking
    *[
        Row(f"masked name of {body!r}", with_text(lambda t: masked(t, "a")), b"X", body)
        for body in (b"_", b"-", b"a-", b"aB", b"A", b"1", b"token_")
    ],
    *[
        Row(
            f"masked {name} of {body!r}",
            with_text(lambda t, name=name: masked(name, t)),  # type: ignore[misc]
            b"",
            body,
        )
        for name in ("Cookie", "Set-Cookie", "Link", "Location", "Authorization", "X",
                     "Sec-WebSocket-Protocol", "Forwarded")
        for body in (b";", b"=", b"a=b; ", b"<", b"</?a=", b"a ", b", ", b"a.", b"eyJ",
                     b"//a@", b">", b'a="', b'"\\', b'":', b'"" ', b"a[", b"{", b"x://")
    ],
    *[
        Row(f"masked target of {body!r}", with_text(masked_target), b"/", body, end)
        for body in (b"?a=", b"&a=", b";a=", b"?", b"%25", b"a=", b"?a=%3Fa%3D", b"#a=",
                     b"~a=", b"://a@", b"://", b"@", b'?a={"', b"?a=%7B", b";a={", b"[",
                     b"?[", b'":', b"=//", b"x://")
        for end in (b"", b"?token=x")
    ],
    # -- what a person gives
    *[
        Row(f"curl with {body!r}", with_text(lambda t: read_curl([t])), head, body)
        for head in (b"curl http://a -H '", b"curl http://a ")
        for body in (b"'", b'"', b"$'", b'"\\', b"\\", b"^", b'^"', b"\n", b"-H a:b ",
                     b"a")
    ],
    *[
        Row(f"JSON with {body!r}", with_text(lambda t: read_json(t, "a")), b"[", body)
        for body in (b'"', b'"\\', b"/*", b"//", b", ", b" ", b'"a", ', b"*/", b"[")
    ],
    *[
        Row(f"nginx with {body!r}", with_text(lambda t: parse_nginx(t, "a")), b"", body)
        for body in (b'"\\"', b"'", b"#", b" ", b"a{", b"a;", b"${", b"\\", b"\n",
                     b"a ")
    ],
    *[
        Row(f"{run.__name__} of {body!r}", with_text(run), head, body)
        for run in (prefixes_of_glob, prefixes_of_pattern, reach_of)
        for head, body in ((b"/", b"{a,b}"), (b"/", b"{a}"), (b"/{", b"a,"),
                           (b"^/", b"(a|b)"), (b"^/", b"\\."), (b"/", b"*"),
                           (b"/", b"{"))
    ],
    *[
        Row(f"rewrite with {body!r}", with_text(run), head, body, b"x")
        for run in (lambda t: from_source(t, "/a"), SAME.fullmatch)
        for head, body in ((b"", b" "), (b"function", b" "), (b"a", b" "),
                           (b"(a", b" "),
                           (b"path => path.replace(/a/", b" "), (b"a => ", b"("),
                           (b"path => path.replace('", b"\\'"), (b"(a,", b"a,"))
    ],
    Row("is it a secret", with_text(lambda t: is_secret("a", t)), b"", b"bearer "),
    *[
        Row(f"environment with {body!r}", with_text(lambda t: expand(t, {})), b"", body)
        for body in (b"${", b"$${", b"${A:-", b"${A}", b"$", b"${A:-b}")
    ],
    Row("unknown key", with_text(lambda t: unknown(t, ["target"], {"host": "server"})),
        b"", b"targetA"),
    Row("network", with_text(parse_network), b"", b"1."),
    Row("network of IPv6", with_text(parse_network), b"", b":"),
    Row("TOML", faulty_toml, b"[routes", b" "),
    # -- what a recording says
    *[
        Row(
            f"doctor: {kind} of {body!r}",
            lambda d, kind=kind: diagnose(recording(kind, d)),  # type: ignore[misc]
            b"",
            body,
        )
        for kind in ("text/event-stream", "text/plain", "application/x-ndjson")
        for body in (b"a", b"\n", b"data:a\n\n", b'{"n": 1}\n', b'"n": 1')
    ],
    # -- what is asked of the demo
    *[
        Row(f"demo: {body!r}", with_text(lambda t: (answer_to(t), split_tokens(t))),
            head, body, b"x")
        for head in (b"", b"who are you")
        for body in (b" ", b"?", b"a", b"\n", b" a")
    ],
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_time_is_in_proportion_to_what_is_read(row: Row) -> None:
    def run(data: bytes) -> None:
        with contextlib.suppress(*REFUSALS):  # to refuse takes time as well
            row.run(data)

    def make(size: int) -> bytes:
        return row.head + row.body * (size // len(row.body)) + row.end

    assert_linear(run, make)
