"""The clients of one kept stream, and how each is written to.

A piece is framed once for all who get it as a chunk. What writing to one of them raises
costs this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.errors import ProxyError
from proxy.exchange.subscriber import Subscriber, Write
from proxy.http1.chunked import chunk


class Audience:
    """All that have begun or wait, in their order; those that are live get pieces."""

    __slots__ = (
        "alike",
        "live",
        "only",
        "others",
        "stale",
        "subscribers",
        "waiting",
        "waiting_events",
    )

    def __init__(self) -> None:
        self.subscribers: dict[Subscriber, None] = {}
        self.waiting: list[Subscriber] = []  # for the head
        self.live: dict[Subscriber, None] = {}
        # Of those that are live, how each is written to: found out again when `stale`.
        self.alike: list[Subscriber] = []
        self.others: list[Subscriber] = []
        self.stale = False
        # How the only one is written to, if it is live. Found out by `refresh`.
        self.only: Write | None = None
        self.waiting_events: list[Callable[[], None]] = []

    # -- who they are

    def add(self, subscriber: Subscriber) -> None:
        """One more, which waits."""
        self.subscribers[subscriber] = None
        self.waiting.append(subscriber)
        self.changed()

    def add_first(self, subscriber: Subscriber) -> None:
        """The one for whom the stream was asked, before all others."""
        self.subscribers = {subscriber: None, **self.subscribers}
        self.waiting.insert(0, subscriber)
        self.changed()

    def remove(self, subscriber: Subscriber) -> None:
        """One is gone, or has all."""
        self.subscribers.pop(subscriber, None)
        if subscriber in self.waiting:
            self.waiting.remove(subscriber)
        self.lags(subscriber)
        self.changed()
        if not self.live:  # no more than the log of a stream is kept
            self.alike, self.others = [], []

    def live_again(self, subscriber: Subscriber) -> None:
        """One has all that there is."""
        self.live[subscriber] = None
        self.changed()

    def lags(self, subscriber: Subscriber) -> None:
        """One does not keep up."""
        if self.live.pop(subscriber, subscriber) is None:
            self.changed()
            if not self.live:  # those who are gone are freed at once
                self.alike, self.others = [], []

    def changed(self) -> None:
        """How they are written to has to be found out again."""
        self.stale = True
        self.only = None

    def behind(self, position: int) -> int:
        """How far back the slowest is, at most `position`."""
        for each in self.subscribers:
            if not each.live and each.position < position:
                position = each.position
        return position

    # -- what they get

    def begin(self) -> None:
        """The head is here: begin the responses that waited for it."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            if each.exchange.is_over:
                continue
            try:
                each.begin()
            except Exception as error:
                each.exchange.crashed("beginning the response of a kept stream", error)

    def send(self, piece: bytes, framed: bytes | None) -> None:
        """Write a piece to each that is live; `framed`: the chunk that it came as."""
        if self.stale:
            self.refresh()
        if self.alike:
            if framed is None:
                framed = chunk(piece)
            for each in self.alike:
                write = each.write
                if write is not None:
                    try:
                        write(framed)
                    except Exception as error:
                        each.exchange.crashed("sending a piece", error)
        for each in self.others:
            try:
                each.first.send_piece(piece)
            except Exception as error:
                each.exchange.crashed("sending a piece", error)

    def refresh(self) -> None:
        """Find out again how the live ones are written to."""
        self.stale = False
        self.alike = [each for each in self.live if each.write is not None]
        self.others = [each for each in self.live if each.write is None]
        if len(self.subscribers) == len(self.alike) == 1:
            self.only = self.alike[0].write

    def crashed(self, error: Exception) -> None:
        """Writing to the only one raised."""
        for each in tuple(self.subscribers):
            each.exchange.crashed("sending a piece", error)

    def send_aside(self, data: bytes) -> None:
        """A heartbeat: to those who have all that came before it."""
        for each in tuple(self.live):
            exchange = each.exchange
            try:
                exchange.heartbeat(data, exchange.compiled.clock())
                exchange.client.send_aside(data)
            except Exception as error:
                exchange.crashed("a heartbeat", error)

    def cut_those_behind(self, first: int) -> None:
        """The log begins here now: who was to get more than that cannot go on."""
        for each in tuple(self.subscribers):
            if each.begun and not each.live and each.position < first:
                try:
                    each.fell_behind()
                except Exception as error:
                    each.exchange.crashed("ending a response that fell behind", error)

    def cut_those_beyond(self, position: int, error: ProxyError) -> None:
        """What comes behind a position will never be complete: they have a part."""
        for each in tuple(self.subscribers):
            if each.begun and each.reached_position > position:
                try:
                    each.exchange.fail(error)
                except Exception as fault:
                    each.exchange.crashed("ending a response inside an event", fault)

    def tell_between_events(self) -> None:
        """The stream stands between two events: call those who wait for that."""
        callbacks, self.waiting_events = self.waiting_events, []
        for each in callbacks:
            asyncio.get_running_loop().call_soon(each)

    # -- the end

    def end(self, error: ProxyError | None) -> None:
        """The stream has ended: so do all of them, each when it has all."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:  # for a head that never came
            if error is not None:
                each.exchange.fail(error)
        for each in tuple(self.subscribers):
            try:
                each.stream_ended()
            except Exception as fault:
                each.exchange.crashed("ending the response of a kept stream", fault)

    def turn_away(self, error: ProxyError | None) -> None:
        """There is no stream: those who wait fail by `error`, or are answered else."""
        for each in tuple(self.waiting):
            self.remove(each)
            exchange = each.exchange
            exchange.kept = exchange.source = None
            try:
                if exchange.is_over:
                    continue
                if error is not None:
                    exchange.fail(error)
                elif each.declined is not None:
                    each.declined()
            except Exception as fault:
                exchange.crashed("answering without a kept stream", fault)
