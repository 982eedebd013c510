"""Which product answered: by its fields, by its pages, by its fingerprint.

Pure. A sign is never more than a sign: a hop can hide, or pass on the fields
of the one behind it. So each is told with what it was seen by.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.products.caches import CACHES
from proxy.products.fastcgi import FASTCGI
from proxy.products.load_balancers import LOAD_BALANCERS
from proxy.products.proxies import PROXIES
from proxy.products.recognition import Sign, named_products
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind, Verdict

# What they send may come from behind them.
PASSING = tuple(each.key for each in (*FASTCGI, *CACHES, *PROXIES, *LOAD_BALANCERS))
INSIDE = (
    "express",
    "http-proxy-middleware",
    "http-proxy-3",
)  # what dev servers are made of


def recognise(
    recording: ProbeRecording, verdict: Verdict, behind: ProbeRecording | None = None
) -> tuple[Sign, ...]:
    """The products that show, the likeliest first.

    `behind`: the same stream one hop further back; what shows there too is
    not this hop's, unless it is the same proxy twice: a guess.
    """
    there = set()
    if behind is not None:
        there = {each.seen for each in named_products(behind.fields)}
    found = named_products(recording.fields)
    signs = [each for each in found if each.seen not in there]
    if recording.product:
        own = Sign(recording.product, "it answers with its own pages")
        others = [each for each in signs if each.product not in (own.product, *INSIDE)]
        return (own, *others)
    if not any(each.product for each in signs):
        twice = [each for each in found if each.product in PASSING]
        signs = [
            *by_fingerprint(recording, verdict),
            *(replace(each, guess=True) for each in twice if each not in signs),
            *signs,
        ]
    return tuple(signs)


def by_fingerprint(recording: ProbeRecording, verdict: Verdict) -> list[Sign]:
    """Who behaves like that, where no field tells."""
    small = all(name == name.lower() for name, _ in recording.fields)
    timer = verdict.timer or verdict.hold or 0.0
    # What waits for the next event, HAProxy's compression holds, and no timer.
    timed = bool(recording.coding) or not verdict.waits
    timed = timed and verdict.kind in (Kind.DELAYED, Kind.RHYTHM)
    if timed and 0.15 < timer < 0.3 and small and recording.get("server") is None:
        seen = "200 ms of delay, lower-case field names"
        return [Sign("haproxy", seen, guess=True)]
    if verdict.kind is Kind.RHYTHM and 0.08 < timer < 0.12:
        return [Sign("traefik", "a flush every 100 ms", guess=True)]
    return []
