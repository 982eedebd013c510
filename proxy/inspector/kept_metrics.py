"""What is measured of streams that are kept or shared, by one worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.exchange.kept_stream import NO_HEAD, KeptStream
from proxy.exchange.stream_request import WAYS
from proxy.kept.registry import KeptStreams
from proxy.observe.prometheus_text import Family, Kind

# Said to be 0 from the start, so that the first one is a rise.
REASONS = ("bind", "memory")
FAMILIES: tuple[tuple[str, Kind, str], ...] = (
    ("kept_streams_total", "counter", "Streams that were kept or shared."),
    ("kept_streams", "gauge", "Streams that are kept or shared now, by state."),
    (
        "kept_followed_streams",
        "gauge",
        "Of these, streams of other processes, that are read from the store.",
    ),
    (
        "kept_readers",
        "gauge",
        "Other processes that read streams of this one from the store.",
    ),
    ("kept_clients", "gauge", "Clients of streams that are kept or shared now."),
    ("kept_resumptions_total", "counter", "Clients that resumed a stream, by way."),
    ("kept_expired_total", "counter", "Streams that no client came back for."),
    (
        "kept_refused_total",
        "counter",
        "Streams that were not kept, and clients that did not get one, by reason.",
    ),
    ("kept_bytes", "gauge", "Memory that kept streams use."),
    ("kept_max_bytes", "gauge", "Memory that kept streams may use."),
    ("shared_joins_total", "counter", "Clients that joined the stream of another."),
    ("shared_streams", "gauge", "Running streams that several clients may share."),
    ("shared_clients", "gauge", "Clients of running streams that may be shared."),
)


def kept_families(
    registry: KeptStreams[KeptStream], compiled: CompiledRoutes
) -> list[Family]:
    """All of them; without samples while no route keeps, and none ever did."""
    told = {
        name: Family(f"unbuffered_{name}", metric, text, [])
        for name, metric, text in FAMILIES
    }
    counts = registry.counts
    if not (counts.kept or counts.refused or keeps(compiled)):
        return list(told.values())
    for name, value in (
        ("kept_streams_total", counts.kept),
        ("kept_expired_total", counts.expired),
        ("kept_bytes", registry.store.used),
        ("kept_max_bytes", registry.store.max_bytes),
        ("shared_joins_total", counts.shared),
    ):
        told[name].add(float(value))
    add_counts(told["kept_resumptions_total"], "way", WAYS, counts.resumed)
    add_counts(told["kept_refused_total"], "reason", REASONS, counts.refused)
    with_store = registry.shared is not None
    add_streams(told, registry.streams.values(), with_store=with_store)
    return list(told.values())


def keeps(compiled: CompiledRoutes) -> bool:
    """Does any route keep or share streams?"""
    return any(each.keeping is not None for each in compiled.by_prefix.values())


def add_counts(
    family: Family, label: str, known: tuple[str, ...], counts: Mapping[str, int]
) -> None:
    """A count for each value of a label."""
    for each in dict.fromkeys((*known, *counts)):
        family.add(float(counts.get(each, 0)), (label, each))


def add_streams(
    told: dict[str, Family], streams: Collection[KeptStream], *, with_store: bool
) -> None:
    """What there is now, route by route."""
    sums: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def count(name: str, number: int, *labels: tuple[str, str]) -> None:
        sums[name, labels] = sums.get((name, labels), 0) + number

    for stream in streams:
        if stream.state == NO_HEAD:
            continue
        clients = len(stream.audience.subscribers)
        route = ("route", stream.route.prefix)
        count("kept_streams", 1, route, ("state", standing(stream, clients)))
        count("kept_clients", clients, route)
        if with_store:
            count("kept_followed_streams", int(stream.is_followed), route)
            count("kept_readers", stream.readers, route)
        if stream.shares and not stream.is_ended:
            count("shared_streams", 1, route)
            count("shared_clients", clients, route)
    for (name, labels), number in sums.items():
        told[name].add(float(number), *labels)


def standing(stream: KeptStream, clients: int) -> str:
    """ended, or running: with clients, or while they may come back."""
    if stream.is_ended:
        return "ended"
    return "running" if clients or stream.readers else "without client"
