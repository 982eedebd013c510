"""Limits on the bytes a second, which hold a stream that has more: how to end them."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.hold_kind import HELD, PACED
from proxy.products.product import Cure

TODAY = "2026-11-30"  # of the measurements

RATE_LIMITS = {
    "apache": Cure(
        PACED,
        "httpd.conf",
        '<Location "/api">\n  UnsetEnv rate-limit\n</Location>',
        "mod_ratelimit sends every 200 ms what may be sent until then, and holds "
        "what is below its limit as long",
        when="it has SetOutputFilter RATE_LIMIT",
        freed="Apache 2.4",
        on=TODAY,
        rate=True,
    ),
    "squid": Cure(
        PACED,
        "squid.conf, behind the lines of its delay_pools",
        "delay_pools 0",
        "a pool has so many bytes a second for all who use it",
        when="it has delay_pools",
        freed="Squid 5.7",
        on=TODAY,
        rate=True,
    ),
    "haproxy": Cure(
        PACED,
        "haproxy.cfg, in the frontend and in the backend",
        "# no http-response set-bandwidth-limit for the stream",
        "a filter bwlim-out limits the rate, since 2.7",
        when="it has a filter bwlim-out",
        source="its documentation, bandwidth limitation",
        rate=True,
    ),
}

# Of a response in which a limit shows, by whom nobody knows.
LIMITED = Cure(
    HELD,
    "the hop that limits the rate",
    "# without limit_rate (nginx), RATE_LIMIT (Apache httpd), delay_pools (Squid),\n"
    "# bwlim-out (HAProxy)",
    "as many bytes come each time, whatever the events: a limit on the rate, or a "
    "full buffer before a sender with a pace",
    rate=True,
)


def rate_limits_at(key: str) -> tuple[Cure, ...]:
    """What ends the limit of a product."""
    cure = RATE_LIMITS.get(key)
    return () if cure is None else (replace(cure, product=key),)


def by_rate(
    cures: list[Cure], rate: float | None, names: tuple[str, ...]
) -> list[Cure]:
    """The cures of a hold, by whether it shows a limit on the rate.

    Where one does, neither a timer nor a buffer holds it. `names`: of the products that
    were recognised.
    """
    if rate is None:
        return [cure for cure in cures if not cure.rate or cure.measured]
    ending = [cure for cure in cures if cure.rate] or [LIMITED]
    own = [cure for cure in cures if not cure.rate and cure.product in names]
    return ending + own
