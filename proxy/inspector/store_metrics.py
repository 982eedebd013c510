"""What is measured of the store that several processes share, by one worker."""

from __future__ import annotations

from proxy.kept.shared_store import SharedStore
from proxy.observe.prometheus_text import Family, Kind

FAMILIES: tuple[tuple[str, Kind, str], ...] = (
    ("store_up", "gauge", "Whether the shared store answers: 1 or 0."),
    (
        "store_outages_total",
        "counter",
        "How often the shared store has stopped answering.",
    ),
    (
        "store_streams",
        "gauge",
        "Streams in the shared store now: owned by this process, or followed.",
    ),
    (
        "store_unwritten_bytes",
        "gauge",
        "Bytes of owned streams that are not in the shared store yet.",
    ),
    ("store_written_bytes_total", "counter", "Bytes of streams that were written."),
    ("store_read_bytes_total", "counter", "Bytes of streams that were read."),
    (
        "store_rewritten_total",
        "counter",
        "Streams that were written again because the shared store had lost them.",
    ),
    (
        "store_taken_total",
        "counter",
        "Streams of processes that had died and were taken up by this one.",
    ),
    (
        "store_lost_total",
        "counter",
        "Streams of this process that another one has taken up.",
    ),
)


def store_families(store: SharedStore | None) -> list[Family]:
    """All of them; without samples where there is no store."""
    told = {
        name: Family(f"unbuffered_{name}", metric, text, [])
        for name, metric, text in FAMILIES
    }
    if store is None:
        return list(told.values())
    state = store.state()
    for name, value in (
        ("store_up", int(state.up)),
        ("store_outages_total", state.outages),
        ("store_unwritten_bytes", state.unwritten),
        ("store_written_bytes_total", state.written),
        ("store_read_bytes_total", state.read),
        ("store_rewritten_total", state.rewritten),
        ("store_taken_total", state.taken),
        ("store_lost_total", state.lost),
    ):
        told[name].add(float(value))
    told["store_streams"].add(float(state.owned), ("role", "owned"))
    told["store_streams"].add(float(state.followed), ("role", "followed"))
    return list(told.values())
