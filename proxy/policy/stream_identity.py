"""Names of kept streams: IDs, cursors, keys, and the fingerprint of who asked.

Everything here comes from a client and is judged before a response head is sent.
Pure; which streams there are is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.config.route_hosts import WILDCARD, route_place
from proxy.errors import MalformedRequest
from proxy.http1.grammar import shown
from proxy.http1.head import RequestHead
from proxy.policy.head_values import (
    cookie_values,
    field_values,
    form_decoded,
    query_values,
)
from proxy.policy.routing import HOSTS, destination, is_for_host

# <worker>-<128 random bits>; with a store, the last 32 are the same for all streams of
# a node, which others know it by. Written in one way only, so that it can be compared.
STREAM_ID = re.compile(rb"(0|[1-9]\d{0,5})-[0-9a-f]{32}")
NUMBER = re.compile(rb"[1-9]\d{0,15}")
NODE_DIGITS = 8
MOST_EVENTS = 2**53  # what a number in JavaScript holds exactly
DIGITS = re.compile(rb"\d++")
MOST_BYTES = 2**63 - 1  # of a stream
MOST_ID_BYTES = 1024  # of an event id, and of a key
# What an `id` line may hold, but a field may not (RFC 9110 §5.5): passed on in
# Last-Event-ID, a line feed would begin a field of the client's choice.
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
CURSOR = b"lastEventID"
COOKIE = "cookie:"
KEY = b"{key}"
BOM = "\ufeff"


class EventId(NamedTuple):
    """An event id of ours: event `number`, from 1, of a stream."""

    stream: bytes
    number: int


class KeyPath(NamedTuple):
    """What a path with a key asks of a route: `kind` is `path` or `stop`."""

    prefix: str
    kind: bytes
    key: bytes


# -- IDs and cursors


def new_id(worker: int, node: str = "") -> bytes:
    """An ID that nobody can guess; it says which worker has the stream.

    `node`: the process among those that share a store, as 8 hex digits.
    """
    digits = token_hex(16 - len(node) // 2) + node
    return b"%d-%b" % (worker, digits.encode("ascii"))


def maker_of(id: bytes) -> bytes:
    """The node that made an ID, if it was made with a store."""
    return id[-NODE_DIGITS:]


def shown_id(id: bytes) -> str:
    """What may be told of an ID: enough to know streams apart, not to take one up."""
    worker, hyphen, digits = id.decode("ascii").partition("-")
    return f"{worker}{hyphen}{digits[:8]}"


def masked_cursor(target: bytes) -> bytes:
    """A target for logs, without the event id in its query: it may be one of ours."""
    path, mark, query = target.partition(b"?")
    parts = []
    for each in query.split(b"&"):
        key, equals, _ = each.partition(b"=")
        hides = equals and form_decoded(key) == b"lastEventID"
        parts.append(key + b"=****" if hides else each)
    return path + mark + b"&".join(parts)


def owner_of(id: bytes) -> int | None:
    """The worker that has the stream of an ID; None: not an ID of ours."""
    found = STREAM_ID.fullmatch(id)
    return int(found[1]) if found is not None else None


def parse_event_id(value: bytes) -> EventId | None:
    """Read an event id of ours, `<ID>.<n>`; None: it is not one."""
    stream, dot, number = value.rpartition(b".")
    if not dot or STREAM_ID.fullmatch(stream) is None:
        return None
    if NUMBER.fullmatch(number) is None or int(number) > MOST_EVENTS:
        return None
    return EventId(stream, int(number))


def last_event_id(head: RequestHead) -> bytes | None:
    """The last event that the client has (WHATWG HTML §9.2.4): ours or the upstream's.

    From the field Last-Event-ID, or else from the query parameter `lastEventID`, for
    clients that cannot send fields. An empty one says nothing: an EventSource whose
    last id is empty sends none.

    Raises:
        MalformedRequest: repeated, too long, not the value of a field, or an event id
            of ours whose number is not valid.
    """
    name = "Last-Event-ID"
    value = single(field_values(head, b"last-event-id"), name)
    if not value:
        name = "lastEventID"
        value = single(query_values(head.target, b"lastEventID"), name)
    if not value:
        return None
    if len(value) > MOST_ID_BYTES:
        raise MalformedRequest(
            f"{name} has {len(value)} bytes; at most {MOST_ID_BYTES} are allowed"
        )
    if CONTROL.search(value):
        raise MalformedRequest(f"{name} contains a control character")
    found = STREAM_ID.match(value)
    ours = found is not None and value.startswith(b".", found.end())
    if found is not None and ours and parse_event_id(value) is None:
        raise MalformedRequest(
            f"{name} is not a valid event id: what stands behind the dot of "
            f"{shown_id(found[0])} must be a number from 1 to {MOST_EVENTS}"
        )
    return value


def path_without_cursor(path: bytes) -> bytes:
    """A path and its query, without the parameter `lastEventID`."""
    bare, mark, query = path.partition(b"?")
    if CURSOR not in query:
        return path
    left = [each for each in query.split(b"&") if each.partition(b"=")[0] != CURSOR]
    return bare + mark + b"&".join(left) if left else bare


def without_cursor(head: RequestHead) -> RequestHead:
    """A request as it was, or would have been, without the last event."""
    target = path_without_cursor(head.target)
    if target == head.target and b"last-event-id" not in head.index:
        return head
    fields = [each for each in head.fields if each[0].lower() != b"last-event-id"]
    return RequestHead(head.method, target, head.minor, fields)


def byte_cursor(head: RequestHead) -> int | None:
    """From which byte on the client wants a stream: the query parameter `from`.

    Raises:
        MalformedRequest: repeated, or not a decimal number below 2^63.
    """
    value = single(query_values(head.target, b"from"), "from")
    if value is None:
        return None
    digits = value.lstrip(b"0") or b"0"
    if DIGITS.fullmatch(value) is None or len(digits) > 19 or int(digits) > MOST_BYTES:
        raise MalformedRequest(
            f"from={shown(value)} is not a valid position: it must be a number of "
            f"bytes from 0 to {MOST_BYTES}"
        )
    return int(digits)


def single(values: Sequence[bytes], name: str) -> bytes | None:
    """The only value, if there is one.

    Raises:
        MalformedRequest: there are more.
    """
    if len(values) > 1:
        raise MalformedRequest(f"{name} was sent {len(values)} times; send it once")
    return values[0] if values else None


# -- who asked


def fingerprint(head: RequestHead, names: Sequence[str], secret: bytes) -> bytes:
    """What stands for the values of the named fields; nobody can read them in it.

    `cookie:NAME` is one cookie. `secret`: up to 64 random bytes that all workers
    share; with another one no two fingerprints can be compared.
    """
    return blake2b(encoded_values(head, names), key=secret, digest_size=32).digest()


def encoded_values(head: RequestHead, names: Sequence[str]) -> bytes:
    """The values of the named fields as one text: of other values it is another one.

    Each name and value stands behind its length, and the values behind their number.
    So an absent field is not an empty one, and two fields are not one with a comma.
    """
    parts = []
    for name in names:
        values = bound_values(head, name)
        key = name.encode("utf-8")
        key = key if name.startswith(COOKIE) else key.lower()
        parts.append(b"%d:%b%d;" % (len(key), key, len(values)))
        parts += [b"%d:%b" % (len(value), value) for value in values]
    return b"".join(parts)


def bound_values(head: RequestHead, name: str) -> list[bytes]:
    """The values of a field, or of the cookie that `cookie:NAME` names.

    Cookie is one value, in whatever parts it came: HTTP/2 splits it for its
    compression, not always in the same way (RFC 9113 §8.2.3).
    """
    if name.startswith(COOKIE):
        return cookie_values(head, name.removeprefix(COOKIE).encode("utf-8"))
    key = name.lower().encode("utf-8")
    values = field_values(head, key)
    if key == b"cookie" and len(values) > 1:
        return [b"; ".join(values)]
    return values


# -- keys of the application


def key_of_head(head: RequestHead, source: str) -> bytes | None:
    """The key of a stream, for `header:NAME` and `query:NAME`.

    None: there is none, or more than one, so that nobody knows which one counts.
    """
    kind, _, name = source.partition(":")
    if kind == "header":
        values = field_values(head, name.lower().encode("utf-8"))
    elif kind == "query":
        values = query_values(head.target, name.encode("utf-8"))
    else:
        return None
    return usable(values[0]) if len(values) == 1 else None


def usable(key: bytes) -> bytes | None:
    """A key, unless it is empty or too long to keep."""
    return key if 0 < len(key) <= MOST_ID_BYTES else None


class Integer(NamedTuple):
    """A number without fraction and exponent, as it is written in JSON."""

    text: str


# An integer stays text: it may be longer than Python reads, and `1` is not `true`.
DECODER = json.JSONDecoder(parse_int=Integer)
# RFC 8259 §2: these four are white space, and no others.
MARKS = {mark: re.compile(rf"[ \t\n\r]*{re.escape(mark)}[ \t\n\r]*") for mark in "{:,"}
BEHIND_NUMBER = re.compile(r"[ \t\n\r,}]")


def key_of_body(body: bytes, member: str) -> bytes | None:
    """The key of a stream, for `body:NAME`: a member of the JSON object in a request.

    A string or an integer, at the top level. The end of the body may be missing; it
    is read as far as it goes. Of members with the same name the last one counts, as
    in most parsers (RFC 8259 §4).
    """
    text = valid_text(body)
    key = None
    try:
        at = behind("{", text, 0)
        while True:
            name, at = DECODER.raw_decode(text, at)
            if not isinstance(name, str):
                return key
            value, at = DECODER.raw_decode(text, behind(":", text, at))
            if name == member:
                key = key_of_value(value, text, at)
            at = behind(",", text, at)
    except (ValueError, RecursionError):  # the object ends, or the text does
        return key


def valid_text(body: bytes) -> str:
    """The text of a body up to its end, or to where it is not UTF-8 (RFC 8259 §8.1)."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        text = body[: fault.start].decode("utf-8")
    return text.removeprefix(BOM)


def key_of_value(value: object, text: str, end: int) -> bytes | None:
    """A member's value as a key, if it is a string or an integer.

    `end`: behind it in `text`. If the text ends there, digits may be missing.
    """
    if isinstance(value, Integer):
        whole = BEHIND_NUMBER.match(text, end) is not None
        digits = "0" if value.text == "-0" else value.text
        return usable(digits.encode("ascii")) if whole else None
    if not isinstance(value, str):
        return None
    try:
        return usable(value.encode("utf-8"))
    except UnicodeEncodeError:  # half of a surrogate pair (RFC 8259 §8.2)
        return None


def behind(mark: str, text: str, at: int) -> int:
    """Where the next name or value begins: behind a mark that stands at `at`.

    Raises:
        ValueError: it does not.
    """
    found = MARKS[mark].match(text, at)
    if found is None:
        raise ValueError(mark)
    return found.end()


class KeyShape(NamedTuple):
    """What paths with a key have in common: how many segments, and which has it."""

    segments: int
    at: int


class KeySegment(NamedTuple):
    """What stands before and behind the key in its segment, and whose it is."""

    before: bytes
    after: bytes
    prefix: str
    kind: bytes


class KeyPaths:
    """Finds the key in a path, for all routes at once.

    Each template is a route's prefix, `path` or `stop`, and a path in which `{key}`
    stands once; an empty one is skipped. A path is looked up by its other segments,
    so that a path that has no key costs little, however many routes there are.
    """

    __slots__ = ("shapes", "table")

    def __init__(self, templates: Iterable[tuple[str, bytes, str]]) -> None:
        self.shapes: dict[int, list[KeyShape]] = {}  # by the number of segments
        self.table: dict[tuple[KeyShape, bytes, bytes], list[KeySegment]] = {}
        for prefix, kind, template in templates:
            if template:
                self.add(prefix, kind, template.encode("utf-8").split(b"/"))
        for segments in self.table.values():  # the most specific first
            segments.sort(key=precedence)

    def add(self, prefix: str, kind: bytes, parts: list[bytes]) -> None:
        """Take in a template, by its segments."""
        (at,) = [number for number, part in enumerate(parts) if KEY in part]
        before, _, after = parts[at].partition(KEY)
        shape = KeyShape(len(parts), at)
        known = self.shapes.setdefault(shape.segments, [])
        if shape not in known:
            known.append(shape)
        place = (shape, b"/".join(parts[:at]), b"/".join(parts[at + 1 :]))
        self.table.setdefault(place, []).append(KeySegment(before, after, prefix, kind))

    def match(self, path: bytes, authority: bytes | None = None) -> KeyPath | None:
        """What a raw path asks for, of routes for its host; its query does not count.

        The other segments are compared as they came, as in routes. A slash in the key
        is `%2F`.
        """
        bare = path.partition(b"?")[0]
        shapes = self.shapes.get(bare.count(b"/") + 1)
        if shapes is None:
            return None
        parts = bare.split(b"/")
        for shape in shapes:
            at = shape.at
            place = (shape, b"/".join(parts[:at]), b"/".join(parts[at + 1 :]))
            for each in self.table.get(place, ()):
                key = key_between(each, parts[at])
                if key is not None and (
                    each.prefix.startswith("/") or is_named(each.prefix, authority)
                ):
                    return KeyPath(each.prefix, each.kind, key)
        return None


def precedence(each: KeySegment) -> tuple[int, int, int]:
    """The most exact host first, then who leaves the least to the key."""
    host = route_place(each.prefix).host
    kind = 2 if not host else 1 if host.startswith(WILDCARD) else 0
    return kind, -len(host), -len(each.before) - len(each.after)


def is_named(route: str, authority: bytes | None) -> bool:
    """Is the route of that name for the host that is asked for?"""
    return authority is not None and is_for_host(route, HOSTS[authority])


def of_host(route: str, head: RequestHead, value: bytes) -> bytes:
    """What can be guessed, in a name of a stream: of one host, where a route has many.

    `*.example.com` may be many tenants.
    """
    if not route.startswith(WILDCARD):
        return value
    authority = destination(head).authority
    return b"%b/%b" % (b"" if authority is None else HOSTS[authority], value)


def key_between(segment: KeySegment, part: bytes) -> bytes | None:
    """The key in a segment of a path (RFC 3986 §2.1), if it can be one."""
    length = len(segment.before) + len(segment.after)
    if (
        len(part) < length
        or not part.startswith(segment.before)
        or not part.endswith(segment.after)
    ):
        return None
    return usable(
        unquote_to_bytes(part[len(segment.before) : len(part) - len(segment.after)])
    )
