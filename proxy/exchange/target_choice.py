"""How a route chooses one of its targets for a request.

A route has one choice, made with it, so that one that balances by open exchanges alone
pays for nothing else. Where a value of the request decides, whoever chooses also
listens to the response: the target may hand out a session there, which is its own from
then on.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from proxy.config.route import Route
from proxy.exchange.call_listener import CallListener
from proxy.http1.grammar import Remembered
from proxy.http1.head import RequestHead, ResponseHead
from proxy.kept.session_table import SessionTable, session_key
from proxy.policy.load_balancing import pick_by_value, pick_target, seed
from proxy.policy.request_value import ADDRESS, HEADER, IsTrusted, RequestValue
from proxy.timeline import Clock
from proxy.transport.client_stream import ClientStream
from proxy.transport.upstream import Upstream
from proxy.transport.upstream_connection import UpstreamConnection

# The one session of which it is known how it ends: MCP 2025-11-25, "Session
# Management". Elsewhere 404 and DELETE say nothing about the session.
MCP_SESSION = b"mcp-session-id"
PATH_BYTES = 8  # of the digest of a path


class TargetSeeker(Protocol):
    """The call for which a target is chosen, more than once if it cannot be reached."""

    head: RequestHead
    client: ClientStream
    clock: Clock
    trusted: bool
    owner: Any  # a `CallOwner`

    def pick_once(
        self, finding: Coroutine[Any, Any, None], upstreams: Sequence[Upstream]
    ) -> None:
        """Choose again, once what decides is known."""


class TargetChoice:
    """How one route chooses."""

    __slots__ = ()

    def pick(
        self, asking: TargetSeeker, upstreams: Sequence[Upstream]
    ) -> Upstream | None:
        """The one of `upstreams` that is asked now; None: that is not known yet."""
        raise NotImplementedError

    @property
    def by_value(self) -> ByValue | None:
        """The choice by a value, if it is one."""
        return None


class LeastOpen(TargetChoice):
    """The target with the fewest open exchanges."""

    __slots__ = ("turn",)

    def __init__(self) -> None:
        self.turn = 0

    def pick(self, asking: TargetSeeker, upstreams: Sequence[Upstream]) -> Upstream:
        self.turn += 1
        return pick_target(upstreams, self.turn, asking.clock())


class ByValue(TargetChoice):
    """The target that a value of the request decides; without one, as above.

    A session that a target has handed out belongs to it, whatever its value decides.
    """

    __slots__ = (
        "is_trusted",
        "of_target",
        "otherwise",
        "seeds",
        "sessions",
        "source",
        "wanted",
    )

    def __init__(
        self,
        source: str,
        upstreams: Iterable[Upstream],
        is_trusted: IsTrusted,
        sessions: SessionTable,
    ) -> None:
        self.otherwise = LeastOpen()
        self.wanted = RequestValue(source)
        self.source = b"%b:%b" % (self.wanted.kind.encode("ascii"), self.wanted.name)
        self.is_trusted = is_trusted
        self.seeds = {each: seed(each.target.identity) for each in upstreams}
        self.of_target = {each.target.identity: each for each in self.seeds}
        self.sessions = sessions

    @property
    def by_value(self) -> ByValue | None:
        return self

    @property
    def learns(self) -> bool:
        """May targets hand the value out themselves? Not an address."""
        return self.wanted.kind != ADDRESS

    def pick(
        self, asking: TargetSeeker, upstreams: Sequence[Upstream]
    ) -> Upstream | None:
        value = self.value_of(asking)
        made_by = None
        if self.learns:
            first = not isinstance(asking.owner, SessionListener)
            if first:
                asking.owner = SessionListener(self, value, asking.owner)
            if value is not None:
                session = session_key(self.source, value)
                if first and self.sessions.must_ask(session):
                    asking.pick_once(self.sessions.ask(session), upstreams)
                    return None
                made_by = self.made_by(session)
        if value is None:
            return self.otherwise.pick(asking, upstreams)
        return pick_by_value(upstreams, self.seeds, value, made_by, asking.clock())

    def value_of(self, asking: TargetSeeker) -> bytes | None:
        """What decides for a request."""
        return self.wanted.of(
            asking.head, asking.client.address, asking.trusted, self.is_trusted
        )

    def made_by(self, session: bytes) -> Upstream | None:
        """The target that has handed a value out, if it is known, and of the route."""
        found = self.sessions.find(session)
        return None if found is None else self.of_target.get(target_in(found))

    def learn(
        self,
        value: bytes | None,
        request: RequestHead,
        head: ResponseHead,
        upstream: Upstream,
    ) -> None:
        """A target has answered: does it hand sessions out, or has one ended?"""
        target, sessions = upstream.target.identity, self.sessions
        if value is not None and self.has_ended(request, head):
            session = session_key(self.source, value)
            # At another path it is not the session that is unknown, or deleted. While
            # its target rests another one is asked, and knows nothing of its sessions.
            if sessions.find(session) == origin(request, target):
                sessions.forget(session)
        elif head.status < 400:
            for each in self.wanted.given_by(head):
                session = session_key(self.source, each)
                # Some hand it out in all responses: the first one counts.
                if target_in(sessions.find(session)) != target:
                    sessions.learn(session, origin(request, target))

    def has_ended(self, request: RequestHead, head: ResponseHead) -> bool:
        """Has the session of a request ended, or is it unknown where it was asked?"""
        if self.wanted.kind != HEADER or self.wanted.name != MCP_SESSION:
            return False
        return head.status == 404 or (
            request.method == b"DELETE" and 200 <= head.status <= 299
        )


def origin(request: RequestHead, target: bytes) -> bytes:
    """What is noted of a session: the path at which it is handed out, and by whom."""
    path, _, _ = request.target.partition(b"?")
    return ORIGINS[blake2b(path, digest_size=PATH_BYTES).digest() + target]


def target_in(origin: bytes | None) -> bytes:
    """The target that has handed a session out; empty: nobody knows."""
    return b"" if origin is None else origin[PATH_BYTES:]


ORIGINS = Remembered(bytes)  # thousands of sessions have the same


class SessionListener(CallListener):
    """The owner of a call up to its response, which it looks at, and passes on."""

    __slots__ = ("choice", "value")

    def __init__(self, choice: ByValue, value: bytes | None, owner: Any) -> None:
        super().__init__(owner)
        self.choice = choice
        self.value = value

    def response(
        self, call: Any, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        """Learn before the client has the response: its next request may be near."""
        owner = call.owner = self.owner
        self.choice.learn(self.value, call.head, head, call.upstream)
        owner.response(call, head, connection)


class OnlyHealthy(TargetChoice):
    """A choice among the targets that pass their checks; if none does, among all.

    If all fail, the check is more likely to be at fault than each of them, and to ask
    nobody could not go well.
    """

    __slots__ = ("choice",)

    def __init__(self, choice: TargetChoice) -> None:
        self.choice = choice

    @property
    def by_value(self) -> ByValue | None:
        return self.choice.by_value

    def pick(
        self, asking: TargetSeeker, upstreams: Sequence[Upstream]
    ) -> Upstream | None:
        healthy = [each for each in upstreams if each.is_healthy]
        return self.choice.pick(asking, healthy or upstreams)


def target_choice(
    route: Route,
    upstreams: Sequence[Upstream],
    is_trusted: IsTrusted,
    sessions: SessionTable,
) -> TargetChoice:
    """The choice of a route, as it is configured."""
    choice: TargetChoice = LeastOpen()
    if route.balance != "least_open" and len(upstreams) > 1:
        choice = ByValue(route.balance, upstreams, is_trusted, sessions)
    return OnlyHealthy(choice) if route.health_path else choice
