"""The account of a dry run: plain values, for a person or for a program."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from proxy.config.effective import DEFAULT, as_toml, rewritten, without_query
from proxy.config.fault_text import key_name
from proxy.config.model import Config
from proxy.config.route_reader import table_name
from proxy.config.target import Target
from proxy.errors import ClientError, StreamUnknown
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.early_response import early_reason
from proxy.exchange.upstream_call import UpstreamCall
from proxy.http1.head import RequestHead
from proxy.inspector.access_rule import DRAIN, Asked
from proxy.observe.redaction import masked_target
from proxy.policy.delivery import asks_for_events
from proxy.policy.routing import destination
from proxy.policy.upgrade import is_upgrade
from proxy.tools.explain.choice import Choice, choice
from proxy.tools.explain.counted import CountedStream, counted
from proxy.tools.explain.dry_run import DryForward, DryRun
from proxy.tools.explain.kept import Resuming, Sharing, joined, resuming, sharing
from proxy.tools.explain.route_match import Matching, matchings
from proxy.tools.explain.sent_fields import Fields, LeftOut, SentField, text
from proxy.tools.explain.told_details import ErrorDetails, error_details

OWN_ANSWERS = {
    "health": "whether the proxy accepts requests",
    "ready": "whether the proxy is ready for requests",
    DRAIN: "the begin and the progress of a drain",
}


class Setting(Struct, frozen=True):
    """A key of a table, its effective value, and where that came from."""

    table: str
    key: str
    value: Any
    source: str


class Limit(Setting, frozen=True):
    """One that is also something where nobody says it."""

    default: float


class Sent(Struct, frozen=True):
    """The request as one target would get it."""

    target: str
    url: str
    line: str
    fields: list[SentField]
    left_out: list[LeftOut]


class Upgrade(Struct, frozen=True):
    """What becomes of a request to switch protocols, or would."""

    asked: str | None
    tunnelled: bool
    reason: str


class Heartbeats(Struct, frozen=True):
    """Whether the response may get heartbeats, and what it depends on."""

    sent: bool
    reason: str


class ProxyAnswer(Struct, frozen=True):
    """What the proxy answers itself, to whom, and whether to this client."""

    what: str
    answered: bool
    enabled: Setting | None  # the key that decides, if one does
    whom: str


class Account(Struct, frozen=True, kw_only=True):
    """What becomes of one request. Where it is refused, nothing is sent."""

    method: str
    path: str
    host: str | None
    client: str
    scheme: str
    routes: list[Matching] = []
    route: str | None = None
    path_rewrite: Setting | None = None
    sent: list[Sent] = []
    choice: Choice | None = None
    upgrade: Upgrade | None = None
    heartbeats: Heartbeats | None = None
    resume: Resuming | None = None
    share: Sharing | None = None
    client_streams: CountedStream | None = None
    faults: list[str] = []  # in words; never in production
    limits: list[Limit] = []
    own: ProxyAnswer | None = None
    error_details: ErrorDetails | None = None
    refused: dict[str, object] | None = None


def account(dry_run: DryRun) -> Account:
    """Put a dry run into words and numbers."""
    forward = dry_run.forward
    client = dry_run.client
    told: dict[str, Any] = {
        "method": "",
        "path": "",
        "host": None,
        "client": text(client.address),
        "scheme": text(client.scheme),
        "refused": dry_run.answer if dry_run.error else None,
    }
    if dry_run.own is not None and dry_run.head is not None:
        told |= of_own(dry_run, dry_run.own, dry_run.head)
    if dry_run.moved and dry_run.head is not None:
        told |= of_redirect(dry_run.head, dry_run.moved)
    if dry_run.at_stream and dry_run.head is not None:
        told |= of_stream_address(dry_run.head)
    if forward is not None:
        told |= of_request(dry_run, forward.exchange.head)
        if dry_run.error is None and forward.call is not None:
            told |= of_route(dry_run, forward, forward.call)
        elif (kept := of_kept(dry_run, forward)) is not None:
            told |= kept
        elif dry_run.error is None:  # neither refused nor for any route
            what = "OPTIONS with Max-Forwards: 0, answered with the allowed methods"
            told |= {"own": ProxyAnswer(what, True, None, "every client"), "routes": []}
    return Account(**told)


def of_request(dry_run: DryRun, head: RequestHead) -> dict[str, Any]:
    """What was asked for, and which prefixes match it."""
    told: dict[str, Any] = {
        "method": text(head.method),
        "path": masked_target(text(head.target)),
        "error_details": error_details(dry_run.config, dry_run.client.address, head),
    }
    try:
        where = destination(head)
    except ClientError:
        return told
    told["host"] = text(where.authority) if where.authority else None
    told["routes"] = matchings(dry_run.compiled.router.prefixes, where)
    return told


def of_own(dry_run: DryRun, own: Asked, head: RequestHead) -> dict[str, Any]:
    """What the proxy itself makes of a request below /_unbuffered/."""
    table = "metrics" if own.machine else "inspector"
    secret = "inspector" if own.path == DRAIN else table
    source = dry_run.config.sources.get(f"{table}.enabled", DEFAULT)
    if own.page:
        what = "a file of the inspector's page"
    elif own.path in OWN_ANSWERS:
        what = OWN_ANSWERS[own.path]
    else:
        what = "the metrics" if own.machine else "the exchanges of the proxy"
    whom = "everyone who can reach the listener"
    if not own.enabled:
        whom = "no one"
    elif dry_run.config.server.admin and not own.admin:
        whom = f"clients of the admin listener, {dry_run.config.server.admin}, alone"
        setting = dry_run.config.sources.get("server.admin", DEFAULT)
        key = Setting("server", "admin", dry_run.config.server.admin, setting)
        return {"own": ProxyAnswer(what, False, key, whom)}
    elif dry_run.needs_token:
        whom = f"everyone who has the token ([{secret}] token)"
    elif own.path == DRAIN or (
        own.enabled == "loopback" and not own.probe and not (own.admin and own.machine)
    ):
        whom = "clients on this machine that name it in Host and use no other proxy"
        if not own.machine or own.path == DRAIN:
            whom += ", and that send Connection: keep-alive"
    if own.enabled and not own.page:
        whom += "; never pages of another origin"
    enabled = Setting(table, "enabled", own.enabled, source)
    told: dict[str, Any] = {"own": ProxyAnswer(what, dry_run.answered, enabled, whom)}
    if dry_run.answered:
        status, reason = dry_run.denied
        host = head.get(b"host")
        told |= {
            "method": text(head.method),
            "path": masked_target(text(head.target)),
            "host": text(host) if host else None,
            "refused": {"status": status, "message": reason} if status else None,
        }
    return told


def of_redirect(head: RequestHead, place: bytes) -> dict[str, Any]:
    """What a listener with `https_redirect` answers."""
    what = f"308 to {masked_target(text(place))} (https_redirect in [[listen]])"
    host = head.get(b"host")
    return {
        "method": text(head.method),
        "path": masked_target(text(head.target)),
        "host": text(host) if host else None,
        "own": ProxyAnswer(what, True, None, "every client"),
    }


def of_stream_address(head: RequestHead) -> dict[str, Any]:
    """A kept stream, asked for by its ID."""
    whom = (
        "clients that have its ID, and the values of resume.bind that the first client "
        "of the stream had"
    )
    what = "a kept stream: GET takes it up, HEAD tells its state, DELETE stops it"
    return {
        "method": text(head.method),
        "path": masked_target(text(head.target)),
        "own": ProxyAnswer(what, True, None, whom),
    }


def of_kept(dry_run: DryRun, forward: DryForward) -> dict[str, Any] | None:
    """What comes from a kept stream, or from nowhere; None: the request does not."""
    route = forward.exchange.route
    resume = route.route.resume if route is not None else None
    if route is None or resume is None:
        return None
    table = table_name(route.prefix)
    bind = joined(resume.bind)
    whom = f"clients with the same {bind} as its first one" if bind else "everyone"
    if isinstance(dry_run.error, StreamUnknown):
        source = dry_run.config.sources.get(f"{table}.resume", DEFAULT)
        what = (
            "the rest of the stream of this Last-Event-ID; 404 if there is none, 410 "
            "if it is no longer kept"
        )
        key = Setting(table, "resume", True, source)
    elif dry_run.error is None and not forward.exchange.timeline.call.upstream:
        source = dry_run.config.sources.get(f"{table}.resume.path", DEFAULT)
        what = "the stream with this key from its beginning; 204 if there is none"
        key = Setting(table, "resume.path", resume.path, source)
    else:
        return None
    own = ProxyAnswer(what, True, key, f"{whom} (resume.bind)")
    return {"own": own, "refused": None, "route": route.prefix}


def of_route(
    dry_run: DryRun, forward: DryForward, call: UpstreamCall
) -> dict[str, Any]:
    """What a route makes of the request."""
    config, route = dry_run.config, call.route
    stream = forward.exchange.kept
    fields = Fields(config, route, call.head)
    rule = rule_that_applies(config, call)
    secret = rule is not None and "${" in rule.source
    sent = []
    for target, plan in forward.plans.items():
        path = as_written(target, text(plan.path))
        path = without_query(path) if secret else masked_target(path)
        sent.append(
            Sent(
                target=str(target),
                url=text(target.origin) + ("" if path == "*" else path),
                line=f"{text(plan.method)} {path} HTTP/1.1",
                fields=fields.sent(plan),
                left_out=list(fields.left_out(plan)),
            )
        )
    return {
        "route": route.prefix,
        "path_rewrite": rule,
        "sent": sent,
        "choice": choice(config, call),
        "upgrade": upgrade(config, call),
        "heartbeats": heartbeats(config, call),
        "resume": resuming(config, dry_run.compiled, call, stream),
        "share": sharing(config, call, stream),
        "client_streams": counted(config, call),
        "faults": [str(fault) for fault in route.route.fault],
        "limits": limits(config, route),
    }


def rule_that_applies(config: Config, call: UpstreamCall) -> Setting | None:
    """The first rule of path_rewrite that matches, if one does."""
    route, path = call.route, call.where.path
    if path == b"*":
        return None
    rules = zip(route.route.path_rewrite.items(), route.path_rules, strict=True)
    for (pattern, replacement), (expression, _) in rules:
        if expression.search(path.decode("latin-1")):
            table = table_name(route.prefix)
            key = f"path_rewrite.{key_name(pattern)}"
            source = config.sources.get(f"{table}.{key}", DEFAULT)
            told = {pattern: rewritten(replacement, source)}
            return Setting(table, "path_rewrite", told, source)
    return None


def as_written(target: Target, path: str) -> str:
    """The path with the variables of the target's own by name: they may be keys."""
    base = target.path.decode("ascii")
    if "${" not in target.text or not path.startswith(base):
        return path
    return urlsplit(target.text).path.rstrip("/") + path[len(base) :]


def upgrade(config: Config, call: UpstreamCall) -> Upgrade:
    """Whether the request, or one that asked for an upgrade, is tunnelled."""
    options, head = call.route.route, call.head
    source = config.sources.get(f"{table_name(call.route.prefix)}.ws", DEFAULT)
    ws = f"ws = {as_toml(options.ws)}, {source}"
    field = head.get(b"upgrade")
    asked = text(field) if field else None
    if call.upgrade:
        reason = f"tunnelled if the upstream accepts ({ws})"
    elif is_upgrade(head):
        reason = f"forwarded as plain HTTP ({ws}); ws = true would tunnel it"
    elif asked is not None and b"upgrade" in head.members(b"connection"):
        reason = "removed: h2c is not supported (RFC 9113 has no upgrade to it)"
    elif asked is not None:
        reason = (
            "removed: Connection does not list Upgrade, so it is not an upgrade request"
        )
    elif options.ws:
        reason = f"not requested; an upgrade would be tunnelled ({ws})"
    else:
        reason = f"not requested; an upgrade would be forwarded as plain HTTP ({ws})"
    return Upgrade(asked, call.upgrade, reason)


def heartbeats(config: Config, call: UpstreamCall) -> Heartbeats:
    """Whether the response to the request may get heartbeats."""
    options = call.route.route
    table = table_name(call.route.prefix)
    source = config.sources.get(f"{table}.heartbeat_seconds", DEFAULT)
    setting = f"heartbeat_seconds = {as_toml(options.heartbeat_seconds)}, {source}"
    if not options.heartbeat_seconds:
        return Heartbeats(False, f"none ({setting})")
    if call.head.method == b"HEAD":
        return Heartbeats(False, "none: the response to HEAD has no body")
    readable = "is not compressed" if options.decode == "never" else "can be decoded"
    condition = (
        "if the response is text/event-stream without Content-Length, is not 206, "
        f"has no digest, and {readable}"
    )
    if call.upgrade:
        condition = f"if the upstream does not accept the upgrade, and {condition[3:]}"
    every = f"after each {options.heartbeat_seconds:g} s of silence"
    reason = f"behind the head and {every}, {condition} ({setting})"
    if options.heartbeat_before_head:
        source = config.sources.get(f"{table}.heartbeat_before_head", DEFAULT)
        against = early_reason(call)
        what = f"not before it: {against}" if against else "and before it, as 200"
        if against is None and not asks_for_events(call.head):
            what += ', if the body has "stream": true'
        reason += f"; {what} (heartbeat_before_head = true, {source})"
    return Heartbeats(True, reason)


def limits(config: Config, route: CompiledRoute) -> list[Limit]:
    """Every time limit and every size limit of the route and of the listener."""
    place, options = table_name(route.prefix), route.route
    tables: list[tuple[str, str, Struct]]
    tables = [(place, "", options), ("server", "", config.server)]
    if options.resume is not None:
        tables.insert(1, (place, "resume.", options.resume))
    return [
        Limit(
            name,
            path + each.encode_name,
            getattr(table, each.name),
            config.sources.get(f"{name}.{path}{each.encode_name}", DEFAULT),
            each.default,
        )
        for name, path, table in tables
        for each in msgspec.structs.fields(table)
        if is_limit(each.encode_name)
    ]


def is_limit(key: str) -> bool:
    if key.startswith(("heartbeat_", "health_")):
        return False
    return key.startswith("max_") or key.endswith(("_seconds", "_bytes"))
