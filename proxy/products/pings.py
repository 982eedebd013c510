"""What a back end sends in silence, and the products whose timeouts that resets."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.hold_kind import CUT
from proxy.products.product import Cure

DAY = "2026-11-29"  # of the measurements
FROM = "the back end"

COMMENTS = Cure(
    CUT,
    FROM,
    ": ping  (a comment line and an empty line, every 15 s)",
    "most hops have an idle timeout, which a comment resets, and clients ignore "
    "comments; a limit on the whole response it does not move",
)
FRAMES = Cure(
    CUT,
    FROM,
    "a ping frame every 15 s",
    "most hops have an idle timeout, which a ping resets, and browsers answer it by "
    "themselves",
    websocket=True,
)

# With their timeout at 2 s, 4 s of silence, and a ping every half second.
RESET_BY_COMMENTS = {
    "nginx": "nginx 1.22",
    "apache": "Apache 2.4",
    "haproxy": "HAProxy 2.6",
    "h2o": "h2o 2.2",
}
RESET_BY_FRAMES = {
    "nginx": "nginx 1.22",
    "haproxy": "HAProxy 2.6",
    "h2o": "h2o 2.2",
}


def pings_at(key: str) -> tuple[Cure, ...]:
    """What was measured to keep a stream alive at a product."""
    return tuple(
        replace(cure, freed=versions[key], on=DAY, product=key)
        for cure, versions in ((COMMENTS, RESET_BY_COMMENTS), (FRAMES, RESET_BY_FRAMES))
        if key in versions
    )
