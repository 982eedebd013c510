"""Which record answers a request; and if none does, which ones are near it.

A request is the same as a recorded one if method, path and query are, and its body.
Its other fields are not compared. Credentials in a query are masked in a record, so
they are in what is asked before the two are compared. Whether there are credentials
tells the two halves of a login by HTTP apart. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.observe.redaction import masked_target
from proxy.quantities import counted
from proxy.record.format import (
    ExchangeRecord,
    RecordedHead,
    RequestComplete,
)

SHOWN = 8  # of each kind of what is near
CONTEXT = 24  # bytes on both sides of where two bodies differ
CONTINUE = 100
SIMILAR = 0.6  # of 1; difflib's own default


@dataclass(frozen=True, slots=True)
class EarlyAnswer:
    """An answer that came before the request was complete."""

    at: int  # microseconds
    behind: int  # so many bytes of the request body


@dataclass(frozen=True, slots=True)
class Playable:
    """A record that can be played, and what is compared of it."""

    record: ExchangeRecord
    position: int  # among all of them
    name: str
    method: str
    targets: tuple[str, ...]  # as the client asked, and as the upstream was asked
    body: bytes
    whole: bool  # is the recorded request complete?
    any_body: bool  # is it not known which body it had?
    early: EarlyAnswer | None
    # Has the request credentials? The client's may have none, where a route adds them.
    authorized: frozenset[bool]
    # Before the request is complete: they ask for its body, or announce a response.
    interim: tuple[RecordedHead, ...]

    def may_have(self, begun: bytes) -> bool:
        """Can the request whose body has begun like this still be the recorded one?"""
        return self.goes_on(0, begun)

    def goes_on(self, behind: int, data: bytes) -> bool:
        """Can the body go on like this behind so many bytes?"""
        if self.any_body:
            return True
        expected = self.body[behind : behind + len(data)]
        return data.startswith(expected) if not self.whole else data == expected

    def ends(self, size: int) -> bool:
        """Can a body that has gone on like the recorded one have this size?"""
        if self.any_body:
            return True
        return size == len(self.body) if self.whole else size >= len(self.body)

    def has(self, body: bytes) -> bool:
        """Is the whole body of a request the recorded one?"""
        return self.may_have(body) and self.ends(len(body))

    @property
    def answers_unseen(self) -> bool:
        """Does the upstream answer without having asked for the body, or seen it?"""
        early = self.early
        return early is not None and not early.behind and not self.asks_for_body

    @property
    def asks_for_body(self) -> bool:
        """Does the upstream send 100 (Continue) before it has the body?"""
        return any(head.status == CONTINUE for head in self.interim)


class RecordIndex:
    """Records by what they answer. Several of the same request take turns."""

    def __init__(
        self, records: Sequence[ExchangeRecord] = (), *, any_body: bool = False
    ) -> None:
        self.any_body = any_body
        self.all: list[Playable] = []
        self.plays: list[int] = []  # how often each was played
        for record in records:
            self.add(record, f"record {len(self.all) + 1}")

    def add(self, record: ExchangeRecord, name: str) -> Playable:
        """One more; it comes behind the others."""
        self.all.append(playable(record, len(self.all), name))
        self.plays.append(0)
        return self.all[-1]

    def candidates(
        self, method: str, target: str, authorized: bool | None = None
    ) -> list[Playable]:
        """The records of a method and a target; a HEAD may be answered by a GET.

        `authorized`: has the request credentials? If there are records of such
        requests, and of others, it is one of these.
        """
        asked = comparable(target)
        for wanted in (method, "GET") if method == "HEAD" else (method,):
            found = [
                each
                for each in self.all
                if each.method == wanted and asked in each.targets
            ]
            if found:
                alike = [each for each in found if authorized in each.authorized]
                return alike or found
        return []

    def next_of(self, candidates: Sequence[Playable]) -> Playable:
        """Whose turn it is: the one that was played least, the first of several."""
        return min(candidates, key=lambda each: self.plays[each.position])

    def take_turn(self, candidates: Sequence[Playable]) -> Playable:
        """The one whose turn it is, which it has had then."""
        chosen = self.next_of(candidates)
        self.plays[chosen.position] += 1
        return chosen

    # -- what is near

    def refusal(
        self, method: str, target: str, body: bytes, size: int | None = None
    ) -> str:
        """Why no record answers a request: what there is instead, one thing a line.

        `size`: of the body, if `body` is only how it begins.
        """
        asked = comparable(target)
        size = len(body) if size is None else size
        length = f", body of {counted(size, 'byte')}" if size else ""
        lines = [f"no record answers {method} {asked}{length}", ""]
        near = [
            *self.other_bodies(method, asked, body),
            *self.other_methods(method, asked),
            *self.other_queries(method, asked),
        ]
        lines += near or self.similar_paths(asked)
        return "\n".join([*lines, ""])

    def other_bodies(self, method: str, target: str, body: bytes) -> list[str]:
        """Records of the same request with another body."""
        found = [
            f"  {each.name}: {difference(each.body, body)}"
            for each in self.candidates(method, target)
        ]
        if not found:
            return []
        return [
            "recorded with another body (--any, or any_body=True, ignores bodies):",
            *shown(found),
        ]

    def other_methods(self, method: str, target: str) -> list[str]:
        found = {
            each.method
            for each in self.all
            if target in each.targets and each.method != method
        }
        return [f"recorded with another method: {', '.join(sorted(found))}"] * bool(
            found
        )

    def other_queries(self, method: str, target: str) -> list[str]:
        """Targets with the same path."""
        found = sorted({
            f"  {each.method} {recorded}"
            for each in self.all
            for recorded in each.targets
            if recorded != target and path_of(recorded) == path_of(target)
        })  # fmt: skip
        return ["recorded with another query:", *shown(found)] if found else []

    def similar_paths(self, target: str) -> list[str]:
        """Paths that are like it; if none is, those that there are."""
        paths = sorted({path_of(each) for one in self.all for each in one.targets})
        if not paths:
            return ["there are no records"]
        found = difflib.get_close_matches(path_of(target), paths, SHOWN, SIMILAR)
        if found:
            return ["similar paths:", *(f"  {path}" for path in found)]
        return ["recorded paths:", *shown([f"  {path}" for path in paths])]


def playable(record: ExchangeRecord, position: int, name: str) -> Playable:
    """What is compared of a record."""
    requests = [record.request, *([] if record.sent is None else [record.sent])]
    body = record.request_body
    any_body = "request body" in record.unknown
    announced = bool(body) or announces_body(record)
    return Playable(
        record,
        position,
        name,
        record.request.method,
        tuple(dict.fromkeys(comparable(each.target) for each in requests)),
        body,
        whole=not announced or has_whole_request(record),
        any_body=any_body,
        early=early_answer(record) if announced and not any_body else None,
        authorized=frozenset(
            each.get("authorization") is not None for each in requests
        ),
        interim=tuple(interim_heads(record)),
    )


def announces_body(record: ExchangeRecord) -> bool:
    """Does the head of the request say that it has a body?"""
    length = record.request.get("content-length") or "0"
    return length.strip() != "0" or bool(record.request.get("transfer-encoding"))


def has_whole_request(record: ExchangeRecord) -> bool:
    """Was the request complete before the record ended?"""
    return any(isinstance(item, RequestComplete) for item in record.items)


def early_answer(record: ExchangeRecord) -> EarlyAnswer | None:
    """When the upstream answers, or breaks off, before the request is complete.

    An interim response is not an answer: the request is read on behind it.
    """
    end, behind = record.end, 0
    breaks = end is not None and end.end not in ("open", "complete")
    for item in record.items:
        if isinstance(item, RecordedHead):
            if item.is_final:
                return EarlyAnswer(item.at, behind)
        elif breaks and end is not None and item.at > end.at:
            break
        elif isinstance(item, RequestComplete):
            return None
        elif item.side == "client":
            behind += len(item.data)
    return EarlyAnswer(end.at, behind) if breaks and end is not None else None


def interim_heads(record: ExchangeRecord) -> Iterator[RecordedHead]:
    """The interim responses that come before the request is complete."""
    for item in record.items:
        if isinstance(item, RequestComplete):
            return
        if isinstance(item, RecordedHead):
            if item.is_final:
                return
            yield item


def in_common(candidates: Sequence[Playable]) -> list[RecordedHead]:
    """The interim responses that come whichever of them is played, when they may."""
    common = []
    for heads in zip(*(each.interim for each in candidates), strict=False):
        if len({(head.status, str(head.fields)) for head in heads}) > 1:
            break
        common.append(min(heads, key=lambda head: head.at))
    return common


def comparable(target: str) -> str:
    """A target as it is compared: path and query, without credentials."""
    if "://" in target and not target.startswith("/"):  # RFC 9112 §3.2.2
        parts = urlsplit(target)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return masked_target(target)


def path_of(target: str) -> str:
    return target.partition("?")[0]


def shown(lines: Sequence[str]) -> list[str]:
    """The first of them, and how many more there are."""
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"  and {more} more"] if more > 0 else [])]


def difference(recorded: bytes, asked: bytes) -> str:
    """Where two bodies begin to differ, with what stands there."""
    at = shared(recorded, asked)
    if at == len(recorded) == len(asked):
        return "the same"
    return (
        f"differs at byte {at}: recorded {excerpt(recorded, at)}, "
        f"asked {excerpt(asked, at)}"
    )


def shared(one: bytes, other: bytes) -> int:
    """How many bytes two bodies have in common, from the first one on."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def excerpt(body: bytes, at: int) -> str:
    """What stands around a place in a body."""
    if at >= len(body):
        return f"ends there ({counted(len(body), 'byte')})" if body else "no body"
    begin, end = max(at - CONTEXT, 0), at + CONTEXT
    text = body[begin:end].decode("utf-8", "replace")
    return f"{'…' if begin else ''}{text!r}{'…' if end < len(body) else ''}"
