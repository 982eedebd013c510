"""Requests that go round: the target of a route sends them back to this proxy.

A dev server stands behind the route `/`, and its own proxy points here: what no
other route takes would be passed between the two until descriptors run out.

Theory: a proxy finds itself in Via (RFC 9110 §7.6.3).
Practice: our entry stands there for honest reasons too, for proxies of this kind
may be chained, and a target may send one path back as another, which a route of
its own takes. So entries are counted.
"""

from __future__ import annotations

from proxy.config.route import Route
from proxy.errors import LoopDetected
from proxy.http1.head import Head
from proxy.policy.header_fields import PSEUDONYM

# Nobody puts so many proxies in a row. A request that goes round has come so
# often in milliseconds, and holds two descriptors for each time.
MOST_PASSES = 16


def passes(head: Head) -> int:
    """How often the message has been through a proxy of our name."""
    # received-protocol, received-by, and perhaps a comment.
    return sum(
        entry.split(None, 2)[1:2] == [PSEUDONYM] for entry in head.members(b"via")
    )


def check_loop(head: Head, route: Route) -> None:
    """A request that came too often goes no further.

    Raises:
        LoopDetected: names the route and its targets.
    """
    if b"via" in head.index and passes(head) >= MOST_PASSES:
        targets = ", ".join(map(str, route.targets))
        raise LoopDetected(
            f"route {route.prefix}: {targets} sends requests back to this proxy; "
            f"this one has passed through {MOST_PASSES} times (Via)"
        )
