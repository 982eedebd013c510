"""What is measured of limits that each client has."""

from __future__ import annotations

from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.observe.prometheus_text import Family


def limit_families(compiled: CompiledRoutes) -> list[Family]:
    """Of each route that counts the streams of clients, or did."""
    family = Family(
        "unbuffered_streams_refused_total",
        "counter",
        "Requests refused because their client had as many streams as it may have.",
        [],
    )
    refusals = compiled.counts.refusals
    limited = [
        prefix
        for prefix, route in compiled.by_prefix.items()
        if route.stream_limit is not None
    ]
    for prefix in dict.fromkeys((*limited, *refusals)):
        found = refusals.get(prefix)
        family.add(float(found.count if found is not None else 0), ("route", prefix))
    return [family]
