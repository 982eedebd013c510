"""What a back end sends so that something moves: in silence, and behind its head.

And the products whose timeouts that resets, or whose head it takes along.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.products.hold_kind import CUT, HEAD
from proxy.products.product import Cure

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones
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

# Where the events are not held, but the head is.
HELLO = Cure(
    HEAD,
    FROM,
    ": hello  (a comment line and an empty line, immediately after the head)",
    "a hop that waits for the first bytes of the body sends its head with them, and "
    "clients ignore comments",
    event_stream=True,
)
EMPTY_LINE = Cure(
    HEAD,
    FROM,
    "# an empty line, immediately after the head",
    "a hop that waits for the first bytes of the body sends its head with them; of "
    "this type no comment is known",
    when="the client ignores an empty line",
    event_stream=False,
)
GREETINGS = (HELLO, EMPTY_LINE)

# With 4 s of silence.
HOW = "a ping each 0.5 s against a timeout of 2 s"
RESET_BY_COMMENTS = {
    "nginx": "nginx 1.22",
    "apache": "Apache 2.4",
    "haproxy": "HAProxy 2.6",
    "h2o": "h2o 2.2",
    "nghttpx": "nghttpx 1.52",
}
RESET_BY_FRAMES = {
    "nginx": "nginx 1.22",
    "haproxy": "HAProxy 2.6",
    "h2o": "h2o 2.2",
}

LATER = {"nghttpx": TODAY}

# With 1.5 s before the first event.
GREETED = {
    "nginx": "nginx 1.22 by HTTP/2 over TLS, with proxy_buffering off",
    "h2o": "h2o 2.2",
    "mitmproxy": "mitmproxy 8.1 with stream_large_bodies=1",
    "caddy": "Caddy 2.6 with encode",
    "vite": "Vite 8.3",
    "webpack-dev-server": "webpack-dev-server 6.1",
    "http-proxy-3": "http-proxy 1.18",
    "next": "Next.js 16.4 with compress: false",
}
GREETED_BY_LINE = {
    "nginx": GREETED["nginx"],
    "h2o": "h2o 2.2",
    "caddy": "Caddy 2.6 with encode",
}


def pings_at(key: str) -> tuple[Cure, ...]:
    """What was measured to keep a stream alive at a product."""
    return tuple(
        replace(
            cure,
            freed=f"{versions[key]}, {HOW}",
            on=LATER.get(key, DAY),
            product=key,
        )
        for cure, versions in ((COMMENTS, RESET_BY_COMMENTS), (FRAMES, RESET_BY_FRAMES))
        if key in versions
    )


def greetings_at(key: str) -> tuple[Cure, ...]:
    """What was measured to take the head along at a product."""
    return tuple(
        replace(cure, freed=versions[key], on=TODAY, product=key)
        for cure, versions in ((HELLO, GREETED), (EMPTY_LINE, GREETED_BY_LINE))
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
