"""Whether the response to a request may be resumed or shared, and by which names.

What decides is what decides for clients: the request was looked up, in a registry
without streams, and given its names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from proxy.config.effective import DEFAULT, as_toml
from proxy.config.kept_options import Resume, Share
from proxy.config.model import Config
from proxy.config.route_reader import table_name
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.key_lookup import SAFE
from proxy.exchange.stream_lookup import METHODS
from proxy.exchange.upstream_call import UpstreamCall
from proxy.http1.head import RequestHead
from proxy.kept.registry import GROUP, IDEMPOTENCY_KEY
from proxy.policy.connection_auth import binds_request
from proxy.policy.delivery import reconnects, skips_comments
from proxy.policy.resumption import is_mcp, mcp_forbids
from proxy.policy.stream_identity import (
    key_of_head,
    last_event_id,
    parse_event_id,
    shown_id,
)
from proxy.policy.upgrade import is_upgrade
from proxy.tools.explain.sent_fields import text

OF_THE_CONNECTION = "its credentials belong to one connection (NTLM, Negotiate)"


class Resuming(Struct, frozen=True):
    """Whether the stream of a request is kept when its client leaves.

    `looked_up`: by what it may take up a stream of before. `found_by`: what its own
    stream could be taken up by. `ids`: whether its events get ids.
    """

    kept: bool
    reason: str
    looked_up: list[str]
    found_by: list[str]
    ids: str | None


class Sharing(Struct, frozen=True):
    """Whether the stream of a request may be that of other clients, too."""

    shared: bool
    reason: str


class Settings:
    """The keys of one route, as they are told."""

    def __init__(self, config: Config, route: CompiledRoute) -> None:
        self.sources = config.sources
        self.table = table_name(route.prefix)

    def told(self, key: str, value: object) -> str:
        """A key, its value, and where that came from."""
        source = self.sources.get(f"{self.table}.{key}", DEFAULT)
        return f"{key} = {as_toml(value)}, {source}"


def resuming(
    config: Config, compiled: CompiledRoutes, call: UpstreamCall, stream: object
) -> Resuming:
    """Of a request that is forwarded. `stream`: what it may become."""
    told = Settings(config, call.route)
    resume = call.route.route.resume
    stopped = list(stops(config, compiled, call))
    if resume is None:
        reason = f"off ({told.told('resume', False)})"
        return Resuming(False, reason, stopped, [], None)
    against = against_resuming(call.head)
    if against is not None or not isinstance(stream, KeptStream):
        reason = f"not kept: {against or OF_THE_CONNECTION}"
        return Resuming(False, reason, stopped, [], None)
    kinds = {name.kind for name, _ in stream.names}
    whole = IDEMPOTENCY_KEY in kinds
    condition = (
        "whatever the response is, since it has an Idempotency-Key"
        if whole
        else "if the response is 200 and a stream by its type, or of unknown length "
        "and neither a page, nor a file, nor compressed"
    )
    reason = (
        f"kept for {resume.keep_seconds:g} s when its client leaves, and after its "
        f"end, {condition} ({told.told('resume', True)})"
    )
    return Resuming(
        True,
        reason,
        [*stopped, *looked_up(call.head, whole=whole)],
        list(found_by(told, call.head, resume, whole=whole)),
        ids(told, call.head, resume),
    )


def stops(
    config: Config, compiled: CompiledRoutes, call: UpstreamCall
) -> Iterator[str]:
    """Which stream the request ends before it is forwarded, if any."""
    paths = compiled.key_paths
    found = None
    if paths is not None:
        found = paths.match(call.where.path, call.where.authority)
    route = compiled.find(found.prefix) if found is not None else None
    if found is None or route is None or route.route.resume is None:
        return
    if found.kind == b"stop" and call.head.method not in SAFE:
        stop = Settings(config, route).told("resume.stop", route.route.resume.stop)
        yield f"key {text(found.key)!r}: its stream is ended ({stop})"


def against_resuming(head: RequestHead) -> str | None:
    """Why nothing of a request can be kept, if so."""
    if head.method not in METHODS:
        return f"the response to {text(head.method)} is never a stream"
    if is_upgrade(head):
        return "it asks for an upgrade"
    if mcp_forbids(head):
        return (
            "in MCP of revision 2026-07-28 and later, closing the stream cancels the "
            "request"
        )
    return OF_THE_CONNECTION if binds_request(head) else None


def looked_up(head: RequestHead, *, whole: bool) -> Iterator[str]:
    """By what a stream is looked for before an upstream is asked."""
    cursor = last_event_id(head)
    if cursor is not None:
        ours = parse_event_id(cursor)
        if ours is not None:
            yield (
                f"Last-Event-ID: event {ours.number} of {shown_id(ours.stream)}; if "
                "that stream is gone, a new one begins with a comment that says so"
            )
        else:
            yield "Last-Event-ID: an id of the upstream, in streams of the same path"
    if whole:
        yield "Idempotency-Key: the response to the same POST, running or just ended"


def found_by(
    told: Settings, head: RequestHead, resume: Resume, *, whole: bool
) -> Iterator[str]:
    """By what the stream could be taken up, and by whom."""
    yield "Stream-Id, which the response tells: GET /_unbuffered/streams/ID"
    yield "Last-Event-ID, on the same path, if its events have ids"
    if whole:
        yield "Idempotency-Key, on a repeated POST"
    if resume.key:
        yield key(told, head, resume)
    names = f"the same {joined(resume.bind)}" if resume.bind else "no field in common"
    yield f"by clients with {names} ({told.told('resume.bind', list(resume.bind))})"


def key(told: Settings, head: RequestHead, resume: Resume) -> str:
    """The application's key, as far as the head has it."""
    if resume.key.startswith("body:"):
        found = "once the body has come"
    else:
        value = key_of_head(head, resume.key)
        found = "this request has none" if value is None else repr(text(value))
    where = f", GET {resume.path}" if resume.path else ""
    return f"key {found}{where} ({told.told('resume.key', resume.key)})"


def ids(told: Settings, head: RequestHead, resume: Resume) -> str:
    """Whether events get ids of the proxy."""
    setting = told.told("resume.ids", resume.ids)
    if resume.ids is False:
        return f"not added ({setting})"
    if is_mcp(head):
        return f"not added: MCP has ids of its own ({setting})"
    if not skips_comments(head):
        return f"not added: clients of Gemini's API fail on other lines ({setting})"
    if resume.ids == "auto" and not reconnects(head):
        return f"not added: it does not ask as an EventSource does ({setting})"
    return (
        "added to each event of an event stream without Content-Length and digest, "
        f"unless the upstream sends ids ({setting})"
    )


def sharing(config: Config, call: UpstreamCall, stream: object) -> Sharing:
    """Of a request that is forwarded. `stream`: what it may become."""
    told = Settings(config, call.route)
    share = call.route.route.share
    if share is None:
        return Sharing(False, f"off ({told.told('share', False)})")
    names = stream.names if isinstance(stream, KeptStream) else []
    if GROUP not in {name.kind for name, _ in names}:
        return Sharing(False, f"not shared: {against_sharing(call.head)}")
    return Sharing(True, sharing_reason(told, share))


def against_sharing(head: RequestHead) -> str:
    """Why a request may not get the stream of another."""
    if head.method != b"GET":
        return f"{text(head.method)} is not GET"
    if is_upgrade(head):
        return "it asks for an upgrade"
    if is_mcp(head):
        return "in MCP each message goes over one stream only"
    if binds_request(head):
        return OF_THE_CONNECTION
    return "it asks for a part of its own (Range, Last-Event-ID), or has a body"


def sharing_reason(told: Settings, share: Share) -> str:
    """With whom, and under which conditions."""
    same = joined(("Host", "path", "query", *share.by))
    begins = "the next event"
    if share.replay:
        begins = f"the last {share.replay} events"
    return (
        f"with clients that have the same {same} "
        f"({told.told('share.by', list(share.by))}); who joins begins with {begins} "
        f"({told.told('share.replay', share.replay)}). Not if the response is not 200, "
        "not text/event-stream or NDJSON that the proxy can read, sets a cookie, has a "
        "digest, or varies by a field that is not in share.by"
    )


def joined(names: Sequence[str]) -> str:
    """A list of names in words."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
