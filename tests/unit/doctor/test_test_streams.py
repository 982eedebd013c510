"""The test origin's programs."""

from __future__ import annotations

import pytest

from proxy.tools.doctor.events import units_of
from proxy.tools.doctor.test_streams import PROGRAMS, ProgramError, chosen
from tests.unit.doctor.recordings import recorded


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_event_says_its_number_and_when_it_was_sent(name: str) -> None:
    program = PROGRAMS[name]
    kind = "text/plain" if program.type == "text" else "application/x-ndjson"
    if program.type in ("events", "openai"):
        kind = "text/event-stream"
    sent = [program.event(n, n * 0.5) for n in range(1, 4)]
    units = units_of(
        recorded(*((1.0, each) for each in sent), fields=(("Content-Type", kind),))
    )
    assert [(each.number, each.sent, each.of) for each in units] == [
        (1, 0.5, program.count), (2, 1.0, program.count), (3, 1.5, program.count)
    ]  # fmt: skip
    assert program.size * 0.7 < len(sent[0]) < program.size * 1.5 + 80


def test_a_declared_length_is_kept() -> None:
    program = PROGRAMS["length"]
    body = b"".join(program.event(n, n * 1000.0) for n in range(1, program.count + 1))
    assert len(body + program.end()) == program.length


def test_a_program_is_chosen_by_the_query_or_the_end_of_the_path() -> None:
    assert chosen("/api/v1/fast", {}) == PROGRAMS["fast"]
    assert chosen("/any", {"stream": "slow"}) == PROGRAMS["slow"]
    changed = chosen("/", {"stream": "steady", "count": "3", "every": "0.1"})
    assert changed is not None
    assert (changed.count, changed.every) == (3, 0.1)
    assert chosen("/favicon.ico", {}) is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"stream": "x"}, "no stream 'x'"),
        ({"count": "many"}, "count=many: not a number"),
        ({"count": "0"}, "from 1 to"),
        ({"type": "xml"}, "one of events"),
        ({"framing": "length", "size": "10"}, "at least 250"),
    ],
)
def test_a_parameter_that_cannot_be_is_told(query: dict[str, str], said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        chosen("/", query)
