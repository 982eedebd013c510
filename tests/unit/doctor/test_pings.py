"""The test origin in silence: comments, or ping frames, as often as it is asked to.

Over real sockets, in simulated time.
"""

from __future__ import annotations

import asyncio

import pytest

from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.events import units_of
from proxy.tools.doctor.probe.fetch import FetchedResponse, Limits, fetch
from proxy.tools.doctor.probe.origin import OriginServer
from proxy.tools.doctor.probe.request import Ask, complete
from proxy.tools.doctor.probe.websocket_body import WebSocketBody
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind
from tests.support.simulated_time import run_simulated


async def asked(query: str, scheme: str = "http") -> tuple[ProbeRecording, int]:
    """What came, and how many pings of a WebSocket."""
    clock = asyncio.get_running_loop().time
    origin = OriginServer(clock=clock)
    port = await origin.start("127.0.0.1", 0)
    seen: list[FetchedResponse] = []
    try:
        url = f"{scheme}://127.0.0.1:{port}/?stream=silent&silent=4&{query}"
        ask = complete(Ask(url))
        limits = Limits(20.0)
        recording = await fetch(ask, limits, clock=clock, opened=seen.append)
    finally:
        await origin.stop()
    body = seen[-1].body
    return recording, body.pings if isinstance(body, WebSocketBody) else 0


def comments(recording: ProbeRecording) -> int:
    return sum(unit.comment for unit in units_of(recording))


def test_comments_come_at_their_interval() -> None:
    recording, _ = run_simulated(asked("ping=1"))
    assert 4 <= comments(recording) <= 5
    assert diagnose(recording).kind is Kind.STREAMS


def test_none_comes_unless_asked_for() -> None:
    recording, _ = run_simulated(asked("every=0.25"))
    assert comments(recording) == 0


@pytest.mark.parametrize("other", ["type=ndjson", "framing=length&size=300"])
def test_none_comes_where_it_would_be_content(other: str) -> None:
    recording, _ = run_simulated(asked(f"ping=1&{other}"))
    assert recording.ending == "complete"
    assert b"ping" not in recording.content


def test_a_websocket_gets_ping_frames() -> None:
    recording, pings = run_simulated(asked("ping=1", "ws"))
    assert 4 <= pings <= 5
    assert diagnose(recording).kind is Kind.STREAMS


@pytest.mark.parametrize(
    ("type", "sent"), [("events", b": hello\n\n"), ("ndjson", b"\n"), ("text", b"\n")]
)
def test_what_clients_ignore_comes_with_the_head_if_asked_for(
    type: str, sent: bytes
) -> None:
    recording, _ = run_simulated(asked(f"quiet=2&hello=1&type={type}"))
    first = recording.arrivals[0]
    assert (first.data, first.at < 2) == (sent, True)
    assert diagnose(recording).kind is Kind.STREAMS
    recording, _ = run_simulated(asked(f"quiet=2&type={type}"))
    assert recording.arrivals[0].at >= 2


def test_nothing_comes_before_a_body_whose_length_was_declared() -> None:
    recording, _ = run_simulated(asked("hello=1&framing=length&size=300"))
    assert recording.ending == "complete"
    assert recording.content[:1] != b"\n"
