"""What a probe is told of the store and the targets, no reasons for anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from proxy.inspector.readiness import details_of
from proxy.kept.shared_store import StoreState

ZEROS = dict.fromkeys(StoreState._fields, 0)


def server(*upstreams: object, store: object = None) -> Any:
    return SimpleNamespace(
        compiled=SimpleNamespace(upstreams=upstreams),
        siblings=(),
        kept=SimpleNamespace(streams={}, shared=store),
        clients=[],
        under_way=0,
        leaving=False,
        lacks_descriptors=False,
    )


def upstream(name: str, *, down: bool = False, healthy: bool = True) -> object:
    health = SimpleNamespace(name=name, down_since=1.0 if down else None)
    return SimpleNamespace(health=health, is_healthy=healthy)


@pytest.mark.parametrize("up", [True, False])
def test_the_state_of_the_store_is_a_detail(up: bool) -> None:
    reason = "" if up else "connection refused"
    told = {"up": up, "reason": reason, "unwritten": 7, "owned": 2, "followed": 1}
    state = StoreState(**(ZEROS | told))  # type: ignore[arg-type]  # of all types
    store = SimpleNamespace(state=lambda: state)
    found = msgspec.to_builtins(details_of(server(store=store), []))
    assert found["ready"] is True
    del told["unwritten"]
    assert found["store"] == told | {"unwritten_bytes": 7}


def test_without_a_store_there_is_none() -> None:
    assert b"store" not in msgspec.json.encode(details_of(server(), []))


def test_targets_are_down_by_what_requests_and_by_what_checks_have_found() -> None:
    known = (
        upstream("http://a:1"),
        upstream("http://c:1", down=True),
        upstream("http://b:1", healthy=False),
        upstream("http://b:1", down=True),  # for another route, say
    )
    found = details_of(server(*known), [])
    assert (found.ready, found.upstreams_down) == (True, ["http://b:1", "http://c:1"])
