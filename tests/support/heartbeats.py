"""The heartbeats of an exchange, at the time of the test."""

from __future__ import annotations

from proxy.exchange.exchange import Exchange
from proxy.transport.heartbeat import HeartbeatSlot
from proxy.transport.pipeline import Slot
from tests.conftest import ManualClock


def heartbeat_of(exchange: Exchange) -> HeartbeatSlot | None:
    """What sends the heartbeats of an exchange, if anything does."""
    assert exchange.response_pipeline is not None
    each = exchange.response_pipeline.first
    while isinstance(each, Slot):
        if isinstance(each, HeartbeatSlot):
            return each
        each = each.next
    return None


def let_pass(exchange: Exchange, clock: ManualClock, seconds: float) -> None:
    """Let time pass, and then the timer of the heartbeats ring."""
    clock.advance(seconds)
    slot = heartbeat_of(exchange)
    assert slot is not None
    assert slot.timer is not None
    slot.timer.cancel()
    slot.rang()
