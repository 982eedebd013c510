"""The rows of the table: what each measures, under which load, in which unit."""

from __future__ import annotations

from bench.loads import Load
from bench.measures import (
    Row,
    decoded,
    delivered,
    per_body,
    per_kept_piece,
    per_kept_stream,
    per_life,
    per_piece,
    per_second,
    per_stream,
    told,
)
from bench.peers import BASE, BOTH, HUBS
from bench.tls_rows import HTTP2, TLS, http2_rows, tls_rows

CODINGS = ("gzip", "br", "zstd")
STORE = "store"  # a group of its own in the pages, too
LIVES = "lives"  # likewise
GROUPS = {
    "pieces": "processor time per piece",
    "latency": "latency per piece, and what the proxy adds",
    "memory": "memory per open stream",
    "requests": "small requests on kept-alive connections",
    "body": "large bodies",
    LIVES: "streams that are opened and ended within the run",
    "coded": "events that the upstream compresses",
    "growth": "processor time per piece as streams grow, 5,000 pieces/s in all",
    "workers": "two workers on two cores, which they share with the load program",
    "inspector": "the price of looking",
    TLS: "HTTP/1.1 over TLS",
    HTTP2: "HTTP/2 over TLS",
    "leaving": "how soon an upstream hears that its client has left",
    "resume": "streams that can be taken up again",
    "fanout": "one stream to many clients: processor time per piece and client",
    "kept": "memory of a stream that waits for its client",
    STORE: "streams that several processes keep in a Redis",
}


def piece_rows(seconds: float) -> list[Row]:
    load = Load("streams", 100, 50, seconds, direct=True)
    many = Load("streams", 1000, 20, seconds)
    name = "processor time per piece"
    added = "added latency per piece over direct"
    return [
        Row("piece-100", f"{name}, 100 × 50/s", "µs", load, per_piece, "pieces", 1.0),
        Row(
            "piece-1000", f"{name}, 1,000 × 20/s", "µs", many, per_piece, "pieces", 1.1
        ),
        Row("p50", "latency per piece p50", "µs", load, told("p50_us"), "latency"),
        Row("p99", "latency per piece p99", "µs", load, told("p99_us"), "latency"),
        Row(
            *("added-p50", f"{added}, p50", "µs", load, told("p50_us"), "latency"),
            target=1.05,
            over_direct=True,
        ),
        Row(
            *("added-p99", f"{added}, p99", "µs", load, told("p99_us"), "latency"),
            over_direct=True,
        ),
    ]


def cost_rows(seconds: float) -> list[Row]:
    idle = Load("idle", 2000)
    name = "processor time per small request"
    requests = Load("requests", 8, 0, seconds)
    paced = Load("requests", 8, 250, seconds)
    bulk = Load("bulk", 4, 256)
    memory = "memory per open stream, 2,000 streams"
    return [
        Row("memory-2000", memory, "KiB", idle, per_stream(2000), "memory", 1.0),
        Row("request", name, "µs", requests, per_piece, "requests", 3.5),
        Row(
            *("request-paced", f"{name}, 8 × 250/s", "µs", paced, per_piece),
            "requests",
        ),
        Row(
            *("body", "processor time per 100 MB of body", "ms", bulk, per_body),
            *("body", 0.36),
        ),
    ]


def coded_rows(seconds: float) -> list[Row]:
    name = "time for an event to get through, upstream sends "
    return [
        Row(
            *(f"coded-{coding}", name + coding, "µs"),
            Load("coded", 10, 20, min(seconds, 3.0), coding=coding, once=True),
            *(decoded, "coded"),
        )
        for coding in CODINGS
    ]


def growth_rows(seconds: float, most: int) -> list[Row]:
    """The same 5,000 pieces a second on more and more streams, up to `most`."""
    rows = []
    for count in (100, 1000, 5000, 9000):
        count = min(count, most)
        load = Load("streams", count, 5000 / count, seconds, once=True)
        if count == 100:
            load = Load("streams", 100, 50, seconds, direct=True)
        name = f"processor time per piece, {count:,} streams"
        rows.append(Row(f"growth-{count}", name, "µs", load, per_piece, "growth"))
        if count > 5000:
            name = f"memory per open stream, {count:,} streams"
            size = per_stream(count)
            rows.append(Row(f"memory-{count}", name, "KiB", load, size, "memory"))
    return list({row.key: row for row in rows}.values())


def worker_rows(seconds: float) -> list[Row]:
    able = ("nginx", *BOTH, "haproxy", "envoy", "caddy")
    small = Load("requests", 64, 0, seconds, workers=2, once=True, only=able)
    lockstep = Load("lockstep", 200, 0, seconds, workers=2, once=True, only=able)
    name = "two workers, "
    return [
        Row(
            *("workers-requests", name + "small requests in all", "/s", small),
            *(per_second, "workers"),
            more_is_better=True,
        ),
        Row(
            *("workers-request", name + "processor time per request", "µs", small),
            *(per_piece, "workers"),
        ),
        Row(
            *("workers-pieces", name + "pieces in all, lock-step", "/s", lockstep),
            *(per_second, "workers"),
            more_is_better=True,
        ),
        Row(
            *("workers-piece", name + "processor time per piece", "µs", lockstep),
            *(per_piece, "workers"),
        ),
    ]


def other_rows(seconds: float) -> list[Row]:
    watched = Load("streams", 100, 50, seconds, watched=True, only=("unbuffered",))
    alone = Load("streams", 100, 50, seconds, record="off", only=BOTH)
    recorded = Load("streams", 100, 50, seconds, record="streams", only=BOTH)
    leaving = Load("leaving", 100, once=True)
    name = "processor time per piece"
    return [
        Row(
            *("piece-unrecorded", f"{name}, nothing is recorded", "µs", alone),
            *(per_piece, "inspector"),
        ),
        Row(
            *("piece-recorded", f"{name}, an inspector that nobody looks at", "µs"),
            *(recorded, per_piece, "inspector"),
            target=1.2,
            base="piece-unrecorded",
            own=True,
        ),
        Row(
            *("piece-watched", "processor time per piece, inspector open", "µs"),
            *(watched, per_piece, "inspector"),
            base="piece-100",
        ),
        Row(
            *("leaving", "client gone to upstream closed, idle stream, p50", "µs"),
            *(leaving, told("p50_us"), "leaving"),
        ),
    ]


def resume_rows(seconds: float) -> list[Row]:
    """One client for each stream; the dearer one gets an ID in each event."""
    able = (BASE, *BOTH)
    resume = "resume = true"
    plain = Load("streams", 100, 50, seconds, only=able)
    name = "100 × 50/s"
    found = [Row("plain-100", f"{name}, plain", "µs", plain, per_piece, "resume")]
    for key, mode, kind in (
        ("kept-100", "streams", "kept"),
        ("numbered-100", "eventsource", "kept and numbered"),
    ):
        load = Load(mode, 100, 50, seconds, route=resume, only=BOTH)
        found += [
            Row(
                *(key, f"{name}, {kind}", "µs", load, per_kept_piece, "resume"),
                base="plain-100",
            ),
            Row(
                *(f"{key}-own", f"{name}, {kind}, × its own plain route", "µs"),
                *(load, per_kept_piece, "resume"),
                target=1.3,
                base="plain-100",
                own=True,
            ),
        ]
    return found


def fanout_rows(seconds: float) -> list[Row]:
    """Compared with nginx, which relays a stream to each client."""
    found = []
    for count, rate in ((100, 20), (1000, 5), (1000, 20)):
        relay = Load("streams", count, rate, seconds, only=(BASE,))
        shared = Load(
            *("fanout", count, rate, seconds),
            route="share = true",
            only=(*BOTH, *HUBS),
        )
        pace, many = f"{count:,} × {rate}/s", "each from a stream of its own"
        base = f"relay-{count}-{rate}"
        found += [
            Row(base, f"{pace}, {many}", "µs", relay, per_piece, "fanout"),
            Row(
                *(f"fanout-{count}-{rate}", f"{pace}, all from one stream", "µs"),
                *(shared, delivered(per_piece), "fanout"),
                target=0.6,
                base=base,
            ),
        ]
        if (count, rate) == (1000, 5):  # no hub is saturated by that
            name, last = f"{pace}, latency p99, ", told("p99_us")
            found += [
                Row(f"{base}-p99", name + many, "µs", relay, last, "fanout"),
                Row(
                    *("fanout-p99", name + "all from one stream", "µs", shared),
                    *(delivered(last), "fanout"),
                    base=f"{base}-p99",
                ),
            ]
    return found


def kept_rows() -> list[Row]:
    """2,000 streams that their clients have left, of one event or of 100."""
    count, resume = 2000, "resume = true"
    idle = Load("idle", count, once=True, only=(BASE, *BOTH))
    size = per_stream(count)
    found = [Row("kept-open", "open, with its client", "KiB", idle, size, "kept")]
    for key, mode, events, name in (
        ("kept-live", "kept", 1, "client gone, 1 event"),
        ("kept-ended", "ended", 1, "ended, 1 event"),
        ("kept-ended-100", "ended", 100, "ended, 100 events of 64 bytes"),
    ):
        load = Load(mode, count, events, once=True, route=resume, only=BOTH)
        found.append(
            Row(key, name, "KiB", load, per_kept_stream, "kept", base="kept-open")
        )
    return found


def store_rows(seconds: float) -> list[Row]:
    """The process that has the streams, and one that only has clients of another's."""
    plain = Load("streams", 100, 50, seconds, only=(BASE, *BOTH))
    name = "100 × 50/s"
    found = [Row("store-plain", f"{name}, plain", "µs", plain, per_piece, STORE)]
    for key, mode, kind in (
        ("store-kept", "streams", "stored"),
        ("store-numbered", "eventsource", "stored and numbered"),
    ):
        load = Load(
            *(mode, 100, 50, seconds), route="resume = true", stored=True, only=BOTH
        )
        found.append(
            Row(
                *(key, f"{name}, {kind}, × its own plain route", "µs"),
                *(load, per_kept_piece, STORE),
                target=1.6,
                base="store-plain",
                own=True,
            )
        )
    relay = Load("streams", 1000, 20, seconds, only=(BASE,))
    followed = Load(
        *("fanout", 1000, 20, seconds),
        route="share = true",
        stored=True,
        follows=True,
        only=BOTH,
    )
    pace = "1,000 × 20/s"
    found += [
        Row(
            *("store-relay", f"{pace}, each from a stream of its own", "µs"),
            *(relay, per_piece, STORE),
        ),
        Row(
            *(
                "store-follower",
                f"{pace}, all from one stream of another process",
                "µs",
            ),
            *(followed, delivered(per_piece), STORE),
            target=0.7,
            base="store-relay",
        ),
    ]
    return found


def life_rows(seconds: float) -> list[Row]:
    """What a stream takes beside its pieces: connect, request, log line, close."""
    name = "processor time per"
    pieces = Load("lives", 1000, 20, seconds)
    none = Load("lives", 50, 0, seconds)
    connects = Load("connects", 8, 0, seconds)
    return [
        Row(
            *("lives-piece", f"{name} piece, 1,000 × 20/s, with both ends", "µs"),
            *(pieces, per_piece, LIVES),
            target=1.05,
            pure=1.2,
        ),
        Row("life", f"{name} stream of one piece", "µs", none, per_life, LIVES),
        Row(
            *("connect", f"{name} small request on a connection of its own", "µs"),
            *(connects, per_life, LIVES),
        ),
    ]


def all_rows(seconds: float, most: int) -> list[Row]:
    """Every row; `most` streams are possible here."""
    rows = piece_rows(seconds) + cost_rows(seconds) + growth_rows(seconds, most)
    rows += coded_rows(seconds) + other_rows(seconds) + worker_rows(seconds)
    rows += (
        http2_rows(seconds) + resume_rows(seconds) + fanout_rows(seconds) + kept_rows()
    )
    rows += store_rows(seconds) + life_rows(seconds) + tls_rows(seconds)
    order = list(GROUPS)
    return sorted(rows, key=lambda row: order.index(row.group))


def loads_of(rows: list[Row]) -> list[Load]:
    """Each load once: rows of one load share its runs."""
    return list(dict.fromkeys(row.load for row in rows))
