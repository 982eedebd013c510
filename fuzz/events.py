"""Event streams: the same events and boundaries however the stream is cut."""

from __future__ import annotations

from proxy.stream.event_stream import Boundary, EventReader, Item

LIMIT = 64  # bytes of a line; small, so that it is reached


def check(data: bytes) -> None:
    """The first byte says where it is cut; the rest is an event stream."""
    if not data:
        return
    place, data = data[0], data[1:]
    by_byte = [data[n : n + 1] for n in range(len(data))]
    for limit in (LIMIT, 1 << 20):
        whole = read([data], limit)
        assert read([data[:place], data[place:]], limit) == whole
        assert read(by_byte, limit) == whole
    assert between([data]) == between([data[:place], data[place:]]) == between(by_byte)
    check_boundary(data)


def read(parts: list[bytes], limit: int) -> list[Item]:
    reader = EventReader(limit)
    return [item for part in parts if part for item in reader.read(part)]


def between(parts: list[bytes]) -> bool:
    boundary = Boundary(at_beginning=True)
    for part in parts:
        if part:
            boundary.observe(part)
    return boundary.reached


def check_boundary(data: bytes) -> None:
    """At a boundary one more event is read as itself, and spoils none before."""
    if not between([data]):
        return
    more = b"event: last\ndata: x\n\n"
    before = read([data], 1 << 20)
    after = read([data, more], 1 << 20)
    assert after[: len(before)] == before
    (added,) = after[len(before) :]
    assert (getattr(added, "type", ""), getattr(added, "data", "")) == ("last", "x")
