"""A fault that changes nothing of what is played is refused: it would test nothing."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.fault_options import Fault
from proxy.library.broken_origin import BrokenOrigin, record_of
from proxy.origin.replay_origin import ReplayOrigin
from proxy.origin.response_text import event_bytes

EVENTS = [f"event {number}" for number in range(1, 6)]
IN_PLACE: list[tuple[dict[str, Any], int]] = [  # and the last event with an effect
    ({"kind": "fin"}, 5),
    ({"kind": "fin", "inside": True}, 5),
    ({"kind": "reset"}, 5),
    ({"kind": "reset", "inside": True}, 5),
    ({"kind": "clean_end"}, 4),  # behind the last one it is the end that there is
    ({"kind": "clean_end", "inside": True}, 5),
    ({"kind": "stall"}, 5),
    ({"kind": "stall", "seconds": 1.0}, 5),
    ({"kind": "error_event"}, 5),
    ({"kind": "duplicate"}, 5),
    ({"kind": "drip"}, 4),
    ({"kind": "coalesce"}, 3),  # one event alone is together already
]


def named(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("keys", "last"), IN_PLACE, ids=named)
def test_a_fault_has_its_place_within_the_stream(
    keys: dict[str, Any], last: int
) -> None:
    for after in range(1, last + 1):
        BrokenOrigin(EVENTS, [Fault(after=after, **keys)])
    for after in (last + 1, 99):
        with pytest.raises(ValueError, match=r"changes nothing: .* has 5 events; "):
            BrokenOrigin(EVENTS, [Fault(after=after, **keys)])


@pytest.mark.parametrize(
    ("fault", "without", "having"),
    [
        pytest.param(Fault(kind="no_terminal"), "a", "[DONE]", id="no terminal"),
        pytest.param(Fault(kind="split"), "a", "你", id="split"),
        pytest.param(Fault(kind="drip", size=50), "a", "a" * 50, id="drip"),
    ],
)
def test_a_fault_finds_something_to_do_in_the_stream(
    fault: Fault, without: str, having: str
) -> None:
    BrokenOrigin([having], [fault])
    with pytest.raises(ValueError, match=r"the stream has 1 event; "):
        BrokenOrigin([without], [fault])


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="late_head", seconds=1.0),
        Fault(kind="wrong_length", size=4),
        Fault(kind="status"),
        Fault(kind="compress"),
    ],
    ids=str,
)
def test_a_fault_of_the_head_always_has_an_effect(fault: Fault) -> None:
    BrokenOrigin(EVENTS, [fault])


def test_one_record_that_has_the_place_is_enough() -> None:
    short, long = (record_of([event_bytes("a")] * count) for count in (1, 3))
    fault = Fault(kind="fin", after=3)
    ReplayOrigin([short, long], faults=[fault])
    with pytest.raises(ValueError, match="fin after 3 events changes nothing of any"):
        ReplayOrigin([short], faults=[fault])
