"""What a back end sends in silence, and the products whose timeouts that resets."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.hold_kind import CUT
from proxy.products.product import Cure

DAY = "2026-11-29"  # of the measurements
FROM = "the back end"
OFTEN = "every 15 s"  # against the time-outs that hops have by default
STEPS = (10, 5, 4, 3, 2, 1, 0.5)  # seconds between two, where those are shorter

COMMENTS = Cure(
    CUT,
    FROM,
    f": ping  (a comment line and an empty line, {OFTEN})",
    "most hops have an idle timeout, which a comment resets, and clients ignore "
    "comments; a limit on the whole response it does not move",
)
FRAMES = Cure(
    CUT,
    FROM,
    f"a ping frame {OFTEN}",
    "most hops have an idle timeout, which a ping resets, and browsers answer it by "
    "themselves",
    websocket=True,
)

# With 4 s of silence.
HOW = "a ping each 0.5 s against a timeout of 2 s"
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
        replace(cure, freed=f"{versions[key]}, {HOW}", on=DAY, product=key)
        for cure, versions in ((COMMENTS, RESET_BY_COMMENTS), (FRAMES, RESET_BY_FRAMES))
        if key in versions
    )


def often_enough(cure: Cure, silence: float) -> Cure:
    """A ping that is sent twice in the silence, in seconds, after which it was cut.

    Less than a second is no silence: a limit on the whole response has cut it.
    """
    if cure.where != FROM or not 1 <= silence < 30:
        return cure
    step = next(each for each in STEPS if 2 * each <= silence)
    return replace(cure, lines=cure.lines.replace(OFTEN, f"every {step:g} s"))
