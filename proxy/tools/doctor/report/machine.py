"""The report for a machine: one JSON object, times in seconds, sizes in bytes."""

from __future__ import annotations

import json
from itertools import pairwise

from proxy.credentials import is_secret_name, is_secret_value
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.comparison import Case
from proxy.tools.doctor.hop_comparison import Comparison
from proxy.tools.doctor.result import Result

STATES = {0: "streams", 1: "held", 2: "not measured"}


def render_json(result: Result, *, events: bool = False) -> str:
    """The whole result."""
    verdict = result.verdict
    return json.dumps(
        {
            "state": STATES[result.status],
            "kind": verdict.kind.value,
            "verdict": verdict.line,
            "certain": verdict.sure,
            "longest_hold_seconds": rounded(verdict.hold),
            "block_bytes": verdict.size,
            "timer_seconds": rounded(verdict.timer),
            "evidence": list(verdict.evidence),
            "mode": result.mode,
            "holder": result.holder.recording.url if verdict.held else None,
            "products": [
                {
                    "name": sign.product or None,
                    "title": sign.name,
                    "seen_by": sign.seen,
                    "guess": sign.guess,
                    "behind": sign.behind,
                }
                for sign in result.signs
            ],
            "cures": [
                {
                    "product": cure.product or None,
                    "where": cure.where,
                    "lines": cure.lines,
                    "condition": cure.when or None,
                    "reason": cure.reason,
                    "measured": cure.fact,
                    "tried_with": cure.freed or None,
                    "measured_on": cure.on or None,
                    "source": cure.source or None,
                }
                for cure in result.cures
            ],
            "measurements": [measurement(case, events) for case in result.cases],
        },
        indent=2,
    )


def measurement(case: Case, events: bool) -> dict[str, object]:
    """One request and what came back."""
    recording = case.recording
    shape = shape_of(recording)
    gaps = [after.at - before.at for before, after in pairwise(recording.arrivals)]
    table: dict[str, object] = {
        "label": case.label,
        "url": recording.url,
        "method": recording.method,
        "status": recording.status or None,
        "version": recording.version or None,
        "kind": case.verdict.kind.value,
        "verdict": case.verdict.line,
        "certain": case.verdict.sure,
        "hold_seconds": rounded(case.verdict.hold),
        "added_seconds": rounded(case.added),
        "compared": compared(case.compared),
        "head_seconds": rounded(recording.head),
        "first_byte_seconds": rounded(shape.first_byte),
        "longest_gap_seconds": rounded(max(gaps, default=None)),
        "events": len(shape.events),
        "arrivals": len(shape.bursts),
        "merged": shape.merged,
        "bytes": recording.size,
        "format": shape.kind,
        "ending": recording.ending,
        "fault": recording.fault or None,
        "request_fields": [masked(*field) for field in recording.request],
        "fields": [list(field) for field in recording.fields],
        "redirects": [[hop.status, hop.location] for hop in recording.redirects],
        "account": list(recording.account),
    }
    if events:
        table["event_list"] = [
            {
                "at_seconds": rounded(unit.at),
                "sent_seconds": rounded(unit.sent),
                "read": unit.arrival,
                "text": unit.label,
            }
            for unit in shape.units
        ]
    return table


def compared(found: Comparison | None) -> dict[str, object] | None:
    """A hop beside the one behind it."""
    if found is None:
        return None
    return {
        "by": found.by.name.lower(),
        "transit_seconds": rounded(found.transit),
        "head_seconds": rounded(found.head),
        "cut": found.cut or None,
        "notes": list(found.notes),
    }


def masked(name: str, value: str) -> list[str]:
    """A request field; a secret is not written down."""
    return [name, "…" if is_secret_name(name) or is_secret_value(value) else value]


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
