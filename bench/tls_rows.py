"""The rows over TLS, of HTTP/1.1 and of HTTP/2."""

from __future__ import annotations

from collections.abc import Callable

from bench.loads import Load, Outcome
from bench.measures import (
    Row,
    Value,
    per_body,
    per_life,
    per_piece,
    per_resumption,
    per_stream,
    told,
)
from bench.peers import BASE, BOTH

TLS = "tls"  # a group of its own in the pages, too
HTTP2 = "http2"  # likewise
Target = float | None


def http2_rows(seconds: float) -> list[Row]:
    """Clients that share connections, of which some peers take 100 at the most."""
    few = Load("streams", 100, 50, seconds, sessions=10)
    many = Load("streams", 1000, 20, seconds, sessions=10)
    idle = Load("idle", 2000, sessions=20)
    requests = Load("requests", 8, 0, seconds, sessions=2)
    bulk = Load("bulk", 4, 64, sessions=1)
    leaving = Load("leaving", 100, sessions=1)
    loads: list[tuple[str, str, str, Load, Callable[[Outcome], Value]]] = [
        ("piece-100", "processor time per piece, 100 × 50/s", "µs", few, per_piece),
        ("piece-1000", "processor time per piece, 1,000 × 20/s", "µs", many, per_piece),
        ("request", "processor time per small request", "µs", requests, per_piece),
        ("body", "processor time per 100 MB of body", "ms", bulk, per_body),
        (
            "memory",
            "memory per open stream, 2,000 streams",
            "KiB",
            idle,
            per_stream(2000),
        ),
        (
            "leaving",
            "RST_STREAM to upstream closed, idle stream, p50",
            "µs",
            leaving,
            told("p50_us"),
        ),
    ]
    return [
        Row(
            *(f"http2-{key}", f"HTTP/2, {name}", unit, load, value, HTTP2),
            target=2.0 if load in (few, many) else None,
            pure=3.0 if load in (few, many) else None,
        )
        for key, name, unit, load, value in loads
    ]


def tls_rows(seconds: float) -> list[Row]:
    """HTTP/1.1 over TLS 1.3, beside those that are used to terminate it."""
    able, name = (BASE, *BOTH, "haproxy"), "processor time per"
    few = Load("streams", 100, 50, seconds, tls="tls", only=able)
    many = Load("streams", 500, 20, seconds, tls="tls", only=able)
    requests = Load("requests", 8, 0, seconds, tls="tls", only=able)
    paced = Load("requests", 8, 250, seconds, tls="tls", only=able)
    bulk = Load("bulk", 4, 64, tls="tls", only=able)
    idle = Load("idle", 1000, tls="tls", only=able)
    loads: list[
        tuple[str, str, str, Load, Callable[[Outcome], Value], Target, Target]
    ] = [
        ("piece-100", "piece, 100 × 50/s", "µs", few, per_piece, 1.1, 1.2),
        ("piece-500", "piece, 500 × 20/s", "µs", many, per_piece, 1.2, 1.35),
        ("request", "small request", "µs", requests, per_piece, 2.5, 4.0),
        ("paced", "small request, 8 × 250/s", "µs", paced, per_piece, None, None),
        ("body", "100 MB of body", "ms", bulk, per_body, 0.55, 0.6),
    ]
    found = [
        Row(
            *(f"tls-{key}", f"TLS, {name} {what}", unit, load, value, TLS),
            target=target,
            pure=pure,
        )
        for key, what, unit, load, value, target, pure in loads
    ]
    for key, kind, what, judge in (
        ("handshake", "tls", "handshake with one small request", per_life),
        ("resumption", "resumed", "the same, resumed", per_resumption),
    ):
        load = Load("connects", 8, 0, seconds, tls=kind, only=able)
        found.append(Row(f"tls-{key}", f"TLS, {name} {what}", "µs", load, judge, TLS))
    size = per_stream(1000)
    memory = "TLS, memory per open stream, 1,000 streams"
    found.append(Row("tls-memory", memory, "KiB", idle, size, TLS))
    return found
