"""A hop's buffer, counted on the connection: the frames of chunks are in it, too."""

from __future__ import annotations

import random
from dataclasses import replace

from proxy.http1.chunked import ChunkedBody, chunk
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.blocks import block_of
from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.record import Arrival, ProbeRecording, dump, load
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
