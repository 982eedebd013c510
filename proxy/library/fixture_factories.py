"""What the fixtures of the pytest plugin hand out: factories of servers for one test.

Everything runs in threads of its own and listens on 127.0.0.1, on a free port.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from proxy.config.fault_options import HEEDED, Fault, FaultKind
from proxy.library.broken_origin import BrokenOrigin
from proxy.library.given_config import Routes
from proxy.library.loop_thread import LoopThread
from proxy.library.proxy import Proxy
from proxy.origin.record_files import read_records
from proxy.origin.replay_origin import AskedRequest, ReplayOrigin
from proxy.origin.script_values import as_integer
from proxy.record.format import ExchangeRecord

EVENTS = 5  # of a stream of which nothing else is said
REWRITES = ("drip", "split", "coalesce")  # the writes of all that follows a place
MOST_EVENTS = 10_000  # of a stream of which only the number is said
RecordSource = str | os.PathLike[str] | ExchangeRecord


class StartProxy:
    """The fixture `unbuffered_proxy`: starts proxies, and stops them after the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(
        self,
        routes: str | Routes,
        *,
        host: str | None = None,
        port: int | None = None,
        **tables: Mapping[str, object],
    ) -> Proxy:
        """Start a proxy: `unbuffered_proxy(url)`, or with routes as in `Proxy`."""
        if isinstance(routes, str):
            routes = {"/": routes}
        proxy = Proxy(routes, host=host, port=port, **tables).start()
        self._stack.callback(proxy.stop, 0)
        return proxy


class RunningOrigin:
    """An upstream that answers by itself."""

    def __init__(self, thread: LoopThread, origin: ReplayOrigin) -> None:
        self._thread = thread
        self._origin = origin

    def __repr__(self) -> str:
        return f"<RunningOrigin {self.url}>"

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return self._origin.url

    @property
    def port(self) -> int:
        """Its port, on 127.0.0.1."""
        return self._origin.port

    @property
    def requests(self) -> list[AskedRequest]:
        """What was asked, the oldest first."""
        return self._thread.call("requests", lambda: list(self._origin.requests))

    def stop(self) -> None:
        """Close the port and all connections; again: nothing happens."""
        self._thread.begin("stop", self._origin.stop).result()


class StartOrigins:
    """Starts upstreams, and stops them after the test."""

    def __init__(self, thread: LoopThread, stack: ExitStack) -> None:
        self._thread = thread
        self._stack = stack

    def _start(self, origin: ReplayOrigin) -> RunningOrigin:
        self._thread.begin("start", origin.start).result()
        running = RunningOrigin(self._thread, origin)
        self._stack.callback(running.stop)
        return running


class StartReplay(StartOrigins):
    """The fixture `replay`: answers requests with recorded exchanges."""

    def __init__(
        self, thread: LoopThread, stack: ExitStack, folders: Sequence[Path]
    ) -> None:
        super().__init__(thread, stack)
        self._folders = folders  # in which the files of a test may be

    def __call__(
        self,
        *records: RecordSource,
        speed: float | None = 1.0,
        any_body: bool = False,
        in_step: bool = False,
        faults: Sequence[Fault] = (),
        seed: int = 0,
    ) -> RunningOrigin:
        """Replay files, folders or records: `replay("events.jsonl", speed=None)`.

        A relative path is looked for beside the test, then in the root folder of
        pytest. `speed`: 2 is twice as fast as recorded; None waits for nothing.

        Raises:
            FileNotFoundError: there is no such file in either place.
            RecordFault: a file is not a record, or cannot be played. An entry of a
                HAR that cannot be read is a warning, if others can.
            ValueError: there is no record, or `speed` or `faults` are wrong, or a
                fault changes nothing of any record.
        """
        found: list[ExchangeRecord] = []
        for each in records:
            if isinstance(each, ExchangeRecord):
                found.append(each)
            else:
                files = read_records([self._path(Path(each))], warn)
                found += [file.record for file in files]
        if not found:
            raise ValueError("replay(): expected a record to answer with, got none")
        return self._start(
            ReplayOrigin(
                found,
                speed=speed,
                any_body=any_body,
                in_step=in_step,
                faults=faults,
                seed=seed,
            )
        )

    def _path(self, path: Path) -> Path:
        places = [folder / path for folder in self._folders]
        for place in places:
            if place.exists():
                return place
        looked = ", nor ".join(str(place) for place in dict.fromkeys(places))
        raise FileNotFoundError(f"no such file or folder: {looked}")


def warn(text: str) -> None:
    """Show a line in the summary of pytest."""
    warnings.warn(text, stacklevel=4)  # the line of the test


class StartBroken(StartOrigins):
    """The fixture `broken`: an upstream whose event stream breaks."""

    def __call__(
        self,
        kind: FaultKind = "fin",
        *,
        after: int | None = None,
        inside: bool = False,
        seconds: float = 0.0,
        size: int = 0,
        status: int = 500,
        times: int = 1,
        events: int | Sequence[str] = EVENTS,
    ) -> RunningOrigin:
        """Start an event stream that breaks: `broken(after=3, inside=True)`.

        Each response begins behind the event of the request's `Last-Event-ID`; behind
        the last event 204 ends an EventSource. The first `times` requests get the
        fault, later ones what is left of the stream. With `times=0` each request gets
        it, where what is left is that long: with `after=3` and five events, who comes
        back with the id 3 gets the last two whole. `events` is how many there are
        ("event 1" to "event 5"; with "split" they end with "…"), or what is in them;
        their ids are 1, 2, 3 ….

        `after`: how many events of the response are complete by then; by default 3
        where something happens at a place, and 0 where all writes are others: drip,
        split, coalesce. `inside`: in the middle of the last one of them. "reset"
        overtakes what the client has not read: it may lose events that were sent.

        Raises:
            ValueError: says what is wrong with the fault, or why nothing would break.
        """
        if after is None:
            has_place = "after" in HEEDED.get(kind, ()) and kind not in REWRITES
            after = 3 if has_place else 0
        fault = Fault(
            kind=kind,
            after=after,
            inside=inside,
            seconds=seconds,
            size=size,
            status=status,
            times=times,
        )
        return self._start(BrokenOrigin(event_texts(events, kind), [fault]))


def event_texts(events: int | Sequence[str], kind: FaultKind) -> list[str]:
    """What is in the events of a stream.

    Raises:
        ValueError: it is neither a number of them nor a list of texts.
    """
    number = as_integer(events)
    if number is not None and 1 <= number <= MOST_EVENTS:
        mark = "…" if kind == "split" else ""  # three bytes to split
        return [f"event {each}{mark}" for each in range(1, number + 1)]
    if number is None and isinstance(events, Sequence) and not isinstance(events, str):
        texts = list(events)
        if texts and all(isinstance(each, str) for each in texts):
            return texts
    raise ValueError(
        f"events: expected a number from 1 to {MOST_EVENTS}, or a list of texts, got "
        f"{events!r:.60}"
    )
