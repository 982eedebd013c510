"""What a person should know of targets: which fail their health checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from proxy.exchange.compiled_routes import CompiledRoute

UNHEALTHY = "unhealthy target"


def unhealthy_targets(routes: Iterable[CompiledRoute]) -> list[dict[str, object]]:
    """A warning for each target of each route that fails its health checks."""
    warnings: list[dict[str, object]] = []
    for route in routes:
        left = sum(upstream.is_healthy for upstream in route.upstreams)
        for upstream in route.upstreams:
            verdict = upstream.verdict
            if verdict is None or verdict.healthy:
                continue
            gets = "gets no requests"
            if not left:
                gets = "still gets requests, since no target of the route is healthy"
            text = (
                f"{verdict.name}, a target of {route.prefix}, is unhealthy and {gets}: "
                f"{verdict.explained}"
            )
            warnings.append({"kind": UNHEALTHY, "text": text, "ids": []})
    return warnings


def without_repetitions(warnings: Sequence[Any]) -> list[Any]:
    """The warnings of all workers, each of a target once: each worker checks it."""
    told: set[str] = set()
    found = []
    for each in warnings:
        if each["kind"] == UNHEALTHY:
            if each["text"] in told:
                continue
            told.add(each["text"])
        found.append(each)
    return found
