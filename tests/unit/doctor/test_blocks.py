"""A hop's buffer, counted on the connection: the frames of chunks are in it, too."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proxy.http1.chunked import ChunkedBody, chunk
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.blocks import block_of
from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.record import Arrival, ProbeRecording, dump, load
from proxy.tools.doctor.result import judge_one
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import event, recorded

SIZE = 4096


def cut_on_the_connection(size: int = SIZE) -> ProbeRecording:
    """Events in chunks, many or few of each, and a hop that sends its full buffer.

    What is a chunk has nothing to do with an event: its content is of any size.
    """
    chooser = random.Random(3)
    written = b""
    for number in range(70):
        left = event(number, chooser.randrange(300))
        while left:
            part = chooser.choice((3, 20, len(left)))
            written += chunk(left[:part])
            left = left[part:]
    body = ChunkedBody()
    arrivals = []
    for number, start in enumerate(range(0, len(written), size)):
        raw = written[start : start + size]
        content = body.feed(raw)
        at = round(0.5 + number * (0.6 + chooser.uniform(0, 0.3)), 3)
        arrivals.append(Arrival(at, len(content), content, len(raw)))
    assert len(arrivals) > 3
    return replace(recorded((0.5, b"")), arrivals=tuple(arrivals), ended=9.0)


def uncounted(recording: ProbeRecording) -> ProbeRecording:
    """As an older file has it."""
    arrivals = tuple(replace(each, wire=0) for each in recording.arrivals)
    return replace(recording, arrivals=arrivals)


def test_a_buffer_is_counted_with_the_frames_of_its_chunks() -> None:
    recording = cut_on_the_connection()
    verdict = diagnose(recording)
    assert (verdict.kind, verdict.size) == (Kind.BLOCKS, SIZE)
    assert "bytes on the connection in each arrival: 4096, 4096" in verdict.evidence[1]


def test_by_its_content_alone_that_buffer_has_no_size() -> None:
    assert diagnose(uncounted(cut_on_the_connection())).kind is not Kind.BLOCKS


def test_a_size_that_no_buffer_has_is_none_on_the_connection() -> None:
    assert diagnose(cut_on_the_connection(3300)).kind is not Kind.BLOCKS


def test_what_was_not_counted_is_estimated_by_its_content() -> None:
    """A buffer behind the hop: its frames do not come here."""
    content = b"".join(event(number, 200) for number in range(100))
    parts = [content[at : at + SIZE] for at in range(0, len(content), SIZE)]
    estimated = recorded(*((1.0 + n, part) for n, part in enumerate(parts)))
    found = block_of(shape_of(estimated))
    assert found == (SIZE, False)
    framed = tuple(replace(e, wire=e.size + 30) for e in estimated.arrivals)
    assert block_of(shape_of(replace(estimated, arrivals=framed))) == (SIZE, False)


def test_one_arrival_that_was_not_counted_leaves_the_estimate() -> None:
    counted = cut_on_the_connection()
    first, *rest = counted.arrivals
    mixed = replace(counted, arrivals=(replace(first, wire=0), *rest))
    assert block_of(shape_of(mixed)) is None


def test_a_file_keeps_what_was_counted_and_an_older_one_is_read() -> None:
    counted = cut_on_the_connection()
    older = uncounted(counted)
    assert load(dump([counted, older])) == [counted, older]
    assert dump([older]).count(", 4096]") == 0 < dump([counted]).count(", 4096]")


# -- a buffer of whole events: what does not fit is written with the next ones


def filled(texts: list[bytes], buffer: int, pace: float = 0.1) -> ProbeRecording:
    """What a program writes that has a buffer of so many bytes."""
    writes, held, now = [], b"", 0.0
    for text in texts:
        now += pace
        if len(held) + len(text) > buffer:
            writes.append((now, held))
            held = b""
        held += text
    return recorded(*writes, (now, held))


def of_sizes(seed: int) -> list[bytes]:
    """Events of 80 to 220 bytes."""
    chooser = random.Random(seed)
    return [event(n, chooser.randrange(65, 205)) for n in range(90)]


@pytest.mark.parametrize("size", [1024, 2048])
def test_a_buffer_of_whole_events_has_its_size(size: int) -> None:
    for seed in range(20):
        verdict = diagnose(filled(of_sizes(seed), size))
        assert (verdict.kind, verdict.size) == (Kind.BLOCKS, size), seed


def test_a_buffer_of_whole_events_is_none_of_a_sender_by_chance() -> None:
    """The groups end at other events each time, since the texts are others."""
    result = judge_one([filled(of_sizes(seed), 2048) for seed in range(3)])
    assert (result.verdict.kind, result.verdict.size) == (Kind.BLOCKS, 2048)


def test_groups_of_one_number_are_no_buffer_of_their_size() -> None:
    """Fourteen events of 140 bytes fit into 2 KiB, and a fifteenth does not."""
    groups = [(n * 1.0 + 0.9, event(n, 125) * 14) for n in range(6)]
    assert diagnose(recorded(*groups)).kind is Kind.RHYTHM
