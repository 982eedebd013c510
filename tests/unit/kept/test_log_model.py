"""The log of a stream against a list: whatever comes in between, in any order.

Every store runs the same tests: `STORES`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from proxy.kept.log import FallenOut, StreamLog
from proxy.kept.store import LogStore, MemoryStore
from proxy.stream.event_index import NO_EVENT, Cut
from tests.support.thorough import thorough

Make = Callable[[int, Callable[[], object]], LogStore]

STORES: dict[str, Make] = {"memory": MemoryStore}
LARGE = 10_000_000  # a budget that is never used up
PREFIX = b"1-ab."
ALLOWANCE = 16 * 1024  # what a log may be charged with beyond its contents

# Parts of a piece: bytes, and what ends there.
EVENT, COMMENT, PART = "event", "comment", "part"
PARTS = st.tuples(
    st.sampled_from([EVENT, EVENT, EVENT, COMMENT, PART]),
    st.sampled_from([2, 3, 9, 40, 700, 9000]),
    st.sampled_from(
        [None, None, None, b"1", b"2", b"7 ", b"i" * 60],
    ),
)
SIZES = st.sampled_from([0, 64, 500, 4000, 60_000, 1_000_000])


class Stream:
    """What a log has been given, as a list."""

    def __init__(self, log: StreamLog, max_bytes: int, prefix: bytes | None) -> None:
        self.log = log
        self.max_bytes = max_bytes
        self.prefix = prefix
        self.data = bytearray()
        self.cuts: list[Cut] = []
        self.numbered = prefix is None
        self.count = 0
        self.cost = 0  # at most, if nothing is forgotten
        self.trimmed = False
        self.closed = False
        self.first = 0
        self.clients: list[int] = []

    def piece(self, parts: list[tuple[str, int, bytes | None]]) -> None:
        """Append parts, and cuts as an index finds them."""
        piece = b""
        cuts: list[Cut] = []
        for kind, size, id in parts:
            # Every byte of it can be told from those nearby.
            start = len(self.data) + len(piece)
            piece += bytes((start + at) % 251 for at in range(size))
            self.cost += size + 8
            if kind == COMMENT:
                cuts.append((len(piece), NO_EVENT))
            elif kind == EVENT:
                cuts.append((len(piece), self.id(id)))
                self.cost += 1000 if id else 0
        self.cuts += [(len(self.data) + offset, id) for offset, id in cuts]
        self.data += piece
        if [part[0] for part in parts] == [EVENT] and len(piece) in (9, 700):
            id = cuts[0][1]
            if id is None or (self.prefix and id.startswith(self.prefix)):
                self.log.append_event(piece, id is not None)
                return
        self.log.append(piece, cuts)

    def id(self, id: bytes | None) -> bytes | None:
        """Of an event: the upstream's, or ours."""
        if id is not None:
            self.numbered = True
        if self.numbered or self.prefix is None:
            return id
        self.count += 1
        return b"%b%d" % (self.prefix, self.count)

    @property
    def known(self) -> list[int]:
        """The cuts that the log must know."""
        first = self.log.first
        beginning = [] if first else [0]
        if self.closed:
            return beginning
        return beginning + [at for at, _ in self.cuts if at >= first]

    def last_events(self, n: int) -> int | None:
        known = self.known
        events = [at for at, id in self.cuts if id != NO_EVENT and at in set(known)]
        if n == 0:
            return max(known, default=None)
        return events[-(n + 1)] if len(events) > n else min(known, default=None)

    def after_id(self, id: bytes) -> int | None:
        ends = [at for at, its in self.cuts if its and its.strip() == id.strip()]
        return ends[-1] if ends and ends[-1] in self.known else None


class LogMachine(RuleBasedStateMachine):
    """Streams come and go, and clients of them."""

    make: Make
    budget = LARGE

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[Stream] = []
        self.ended: list[Stream] = []
        self.most = 0  # what all may have cost together
        self.store = self.make(self.budget, self.evict)

    def evict(self) -> None:
        if self.ended:
            self.close(self.ended.pop(0))

    def close(self, stream: Stream) -> None:
        stream.log.close()
        stream.closed = True

    @property
    def open(self) -> list[Stream]:
        return [stream for stream in self.streams if not stream.closed]

    def pick(self, data: st.DataObject) -> Stream:
        return data.draw(st.sampled_from(self.streams))

    @rule(max_bytes=SIZES, prefix=st.sampled_from([None, PREFIX]))
    def begin(self, max_bytes: int, prefix: bytes | None) -> None:
        if len(self.streams) < 6:
            log = self.store.open(max_bytes, prefix)
            if log is not None:
                self.streams.append(Stream(log, max_bytes, prefix))
            else:
                assert self.store.used > self.budget // 2

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), parts=st.lists(PARTS, min_size=1, max_size=8))
    def append(
        self, data: st.DataObject, parts: list[tuple[str, int, bytes | None]]
    ) -> None:
        stream = self.pick(data)
        if stream not in self.ended:
            stream.piece(parts)
        assert self.store.used <= self.budget

    @precondition(lambda self: self.streams)
    @rule(
        data=st.data(), part=PARTS.filter(lambda part: part[1] < 99),
        times=st.sampled_from([50, 400]),
    )  # fmt: skip
    def many(
        self, data: st.DataObject, part: tuple[str, int, bytes | None], times: int
    ) -> None:
        stream = self.pick(data)
        if stream not in self.ended:
            for _ in range(times):
                stream.piece([part])

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), n=st.integers(0, 5))
    def join_with_last(self, data: st.DataObject, n: int) -> None:
        stream = self.pick(data)
        found = stream.log.last_events(n)
        assert found == stream.last_events(n)
        if found is not None:
            stream.clients.append(found)

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), upstream=st.sampled_from([b"1", b"7", b"i" * 60, b"x", b""]))
    def join_by_id(self, data: st.DataObject, upstream: bytes) -> None:
        stream = self.pick(data)
        own = data.draw(st.integers(max(0, stream.count - 9), stream.count + 1))
        for id in (upstream, b"%b%d" % (PREFIX, own), PREFIX + b"x", PREFIX):
            found = stream.log.after_id(id)
            assert found == stream.after_id(id), id
            if found is not None:
                stream.clients.append(found)

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def join_at(self, data: st.DataObject) -> None:
        stream = self.pick(data)
        position = data.draw(st.integers(0, len(stream.data) + 1))
        found = stream.log.cut_at_or_after(position)
        assert found == min((at for at in stream.known if at >= position), default=None)
        assert stream.log.is_cut(position) is (position in stream.known)
        stream.clients.append(position)

    @precondition(lambda self: any(stream.clients for stream in self.streams))
    @rule(data=st.data(), most=st.sampled_from([1, 10, 1000, 1 << 20]))
    def read(self, data: st.DataObject, most: int) -> None:
        stream = data.draw(
            st.sampled_from([each for each in self.streams if each.clients])
        )
        which = data.draw(st.integers(0, len(stream.clients) - 1))
        at = stream.clients[which]
        if at < stream.log.first:
            with pytest.raises(FallenOut, match=f"byte {at} .* is {stream.log.first}$"):
                stream.log.read(at, most)
            del stream.clients[which]
            return
        piece = stream.log.read(at, most)
        assert piece == stream.data[at : at + most]
        assert piece or at >= stream.log.end
        stream.clients[which] += len(piece)

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        stream = self.pick(data)
        needed = min([*stream.clients, stream.log.end])
        first = stream.log.first
        stream.log.trim(needed)
        if stream.log.first != first:
            stream.trimmed = True
            assert stream.log.first <= needed
            assert stream.log.is_cut(stream.log.first)
        elif not stream.closed:
            cuts = [at for at in stream.known if at <= needed]
            spare = max(cuts, default=first) - first
            assert (
                spare == 0
                or spare <= max(4096, (stream.log.end - first) // 2)
                or (needed - first < 4096)
            )

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        stream = self.pick(data)
        expected = max(stream.known, default=stream.log.first)
        assert stream.log.roll_back() == stream.log.end == expected
        del stream.data[expected:]
        stream.clients = [min(at, expected) for at in stream.clients]

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(self.open))
        if stream not in self.ended:
            self.ended.append(stream)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(self.open))
        if stream in self.ended:
            self.ended.remove(stream)
        self.close(stream)
        assert stream.log.bytes_used == 0

    @invariant()
    def the_logs_are_the_ends_of_the_streams(self) -> None:
        self.most = max(self.most, sum(each.cost + ALLOWANCE for each in self.open))
        for stream in self.streams:
            log = stream.log
            assert stream.first <= log.first <= log.end == len(stream.data)
            stream.first = log.first
            assert log.read(log.first, 1 << 30) == stream.data[log.first :]
            if log.first:
                with pytest.raises(FallenOut):
                    log.read(log.first - 1, 1)
            if stream.closed:
                assert log.first == log.end
            elif stream.cost <= stream.max_bytes and self.most < self.budget * 7 // 8:
                assert log.first == 0 or stream.trimmed

    @invariant()
    def the_memory_is_accounted(self) -> None:
        used = sum(stream.log.bytes_used for stream in self.open)
        assert used <= self.store.used <= self.budget
        for stream in self.open:
            # A cut, and an id of it, at the end of a log stay whatever the bound is.
            assert stream.log.bytes_used <= stream.max_bytes * 5 // 4 + 8192

    def teardown(self) -> None:
        for stream in self.open:
            self.close(stream)
        assert self.store.used == 0


@pytest.mark.parametrize("budget", [LARGE, 200_000, 40_000])
@pytest.mark.parametrize("store", STORES)
def test_a_log_is_the_end_of_its_stream(store: str, budget: int) -> None:
    machine = type(
        "Machine",
        (LogMachine,),
        {"make": staticmethod(STORES[store]), "budget": budget},
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=300 if thorough() else 40,
            stateful_step_count=50,
            deadline=None,
            # To shrink an example takes minutes.
            phases=[Phase.reuse, Phase.generate],
        ),
    )
