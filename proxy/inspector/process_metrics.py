"""What is measured beside the exchanges: upstreams, clients, the process."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from proxy import __version__
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.internal_errors import INTERNAL_ERRORS
from proxy.line_writer import WRITERS
from proxy.observe.prometheus_text import Family
from proxy.record.record_counts import RECORD_COUNTS
from proxy.transport.client_host import ClientHost
from proxy.transport.http2_counts import HTTP2_COUNTS
from proxy.transport.upstream import Upstream


def surroundings(
    upstreams: Iterable[Upstream],
    clients: Iterable[ClientHost],
    *,
    draining: bool,
    loop: str,
) -> list[Family]:
    """Gauges of one worker."""
    told = upstream_families(upstreams)
    draining_family = Family(
        "unbuffered_draining",
        "gauge",
        "1 from the start of a drain, its delay included.",
        [],
    )
    draining_family.add(float(draining))
    told += [*protocol_families(clients), draining_family]
    info = Family("unbuffered_info", "gauge", "Version information; always 1.", [])
    info.add(
        1,
        ("version", __version__),
        ("loop", loop),
        ("python", sys.version.split()[0]),
    )
    return [*told, info, *fault_families(), *process_families()]


def protocol_families(clients: Iterable[ClientHost]) -> list[Family]:
    """Connections by protocol, and what only HTTP/2 has."""
    connections = Family(
        "unbuffered_client_connections", "gauge", "Open client connections.", []
    )
    counts = Counter({"http/1.1": 0, "h2": 0})
    counts.update(client.protocol for client in clients)
    for protocol, count in counts.items():
        connections.add(float(count), ("protocol", protocol))
    requests = Family(
        "unbuffered_http2_requests_total", "counter", "Requests over HTTP/2.", []
    )
    requests.add(float(HTTP2_COUNTS.requests))
    resets = Family(
        "unbuffered_http2_resets_total",
        "counter",
        "Requests over HTTP/2 that their clients reset.",
        [],
    )
    resets.add(float(HTTP2_COUNTS.resets))
    ended = Family(
        "unbuffered_http2_connections_ended_total",
        "counter",
        "HTTP/2 connections ended because of an error, by its code.",
        [],
    )
    for code, count in HTTP2_COUNTS.ended.items():
        ended.add(float(count), ("code", code))
    return [connections, requests, resets, ended]


def fault_families() -> list[Family]:
    """What went wrong in this process itself."""
    dropped = Family(
        "unbuffered_log_lines_dropped_total",
        "counter",
        "Log lines dropped because the reader was slow or gone.",
        [],
    )
    for key in ("access", "events"):
        writer = WRITERS.get(key)
        dropped.add(float(writer.dropped) if writer else 0.0, ("log", key))
    errors = Family(
        "unbuffered_internal_errors_total",
        "counter",
        "Unexpected exceptions; see the log.",
        [],
    )
    errors.add(float(INTERNAL_ERRORS.counts.total()))
    return [dropped, errors, *record_families()]


def record_families() -> list[Family]:
    """What is recorded of exchanges, and what is not."""
    records = Family(
        "unbuffered_records_total", "counter", "Exchanges that were recorded.", []
    )
    records.add(float(RECORD_COUNTS.records))
    missing = Family(
        "unbuffered_record_lines_dropped_total",
        "counter",
        "Lines of records dropped because the disk was slow or full.",
        [],
    )
    missing.add(float(RECORD_COUNTS.dropped))
    return [records, missing]


def upstream_families(upstreams: Iterable[Upstream]) -> list[Family]:
    """Whether each target can be reached, and what is open to it."""
    up = Family(
        "unbuffered_upstream_up", "gauge", "1 if the target is reachable, 0 if not.", []
    )
    opened = Family(
        "unbuffered_upstream_exchanges_open", "gauge", "Open exchanges of a target.", []
    )
    idle = Family(
        "unbuffered_upstream_connections_idle",
        "gauge",
        "Idle upstream connections kept for reuse.",
        [],
    )
    seen: dict[str, list[float]] = {}
    for upstream in upstreams:  # one target may be there twice, treated differently
        name = upstream.health.name
        sums = seen.setdefault(name, [1.0, 0, 0])
        sums[0] = min(sums[0], upstream.health.down_since is None)
        sums[1] += upstream.open
        sums[2] += len(upstream.idle)
    for name, sums in seen.items():
        for family, value in zip((up, opened, idle), sums, strict=True):
            family.add(float(value), ("upstream", name))
    return [up, opened, idle]


def health_families(routes: Iterable[CompiledRoute]) -> list[Family]:
    """Whether each target of a route passes its health checks; where it has none,
    nothing.
    """
    healthy = Family(
        "unbuffered_target_healthy",
        "gauge",
        "1 if the target passes its health checks, 0 if not.",
        [],
    )
    for route in routes:
        for upstream in route.upstreams:
            if upstream.verdict is not None:
                healthy.add(
                    float(upstream.verdict.healthy),
                    ("route", route.prefix),
                    ("target", upstream.verdict.name),
                )
    return [healthy]


def certificate_families(expiries: Iterable[tuple[str, float]]) -> list[Family]:
    """When the certificate of each listener expires."""
    family = Family(
        "unbuffered_tls_certificate_expiry_timestamp_seconds",
        "gauge",
        "When the certificate of a listener expires, in seconds since the epoch.",
        [],
    )
    for listener, expires in expiries:
        family.add(expires, ("listener", listener))
    return [family]


def restart_families(restarts: Mapping[int, int]) -> list[Family]:
    """How often workers were replaced, by their number; without workers, nothing."""
    family = Family(
        "unbuffered_worker_restarts_total", "counter", "Workers that were replaced.", []
    )
    for number, count in restarts.items():
        family.add(float(count), ("worker", str(number)))
    return [family]


def process_families() -> list[Family]:
    """The process, by the names that every Prometheus client has for it."""
    told = []
    for name, kind, text, value in (
        ("cpu_seconds", "counter", "CPU time of the process.", sum(os.times()[:2])),
        ("resident_memory_bytes", "gauge", "Resident memory.", resident_bytes()),
        ("open_fds", "gauge", "Open file descriptors.", open_descriptors()),
        ("max_fds", "gauge", "File descriptor limit.", most_descriptors()),
    ):
        if value is not None:
            suffix = "_total" if kind == "counter" else ""
            family = Family(f"process_{name}{suffix}", "gauge", text, [])
            if kind == "counter":
                family.kind = "counter"
            family.add(float(value))
            told.append(family)
    return told


def resident_bytes() -> float | None:
    """Linux only: elsewhere nothing short of a library tells the present value."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return float(pages * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError):
        return None


def open_descriptors() -> float | None:
    try:
        return float(len(os.listdir("/proc/self/fd")))
    except OSError:
        return None


def most_descriptors() -> float | None:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return None
    return float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
