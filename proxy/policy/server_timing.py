"""Server-Timing: what the proxy itself added, for whoever suspects it.

Browsers show it beside each request (W3C Server Timing §2). Pure.
"""

from __future__ import annotations

from proxy.http1.head import ResponseHead
from proxy.timeline import Timeline


def with_timing(head: ResponseHead, timeline: Timeline) -> ResponseHead:
    """The head with our entries behind those of the upstream."""
    field = (b"Server-Timing", server_timing(timeline))
    return ResponseHead(head.status, head.reason, head.minor, [*head.fields, field])


def server_timing(timeline: Timeline) -> bytes:
    """Three durations up to the response head, in milliseconds.

    unbuffered: to judge the request and to choose its target. connect: to get a
    connection; nothing where one was kept. upstream: from then on, the request body
    included.
    """
    connected = timeline.call.connected or timeline.started
    sought = connected if timeline.call.sought is None else timeline.call.sought
    answered = timeline.call.head_received or connected
    return b", ".join(
        b"%b;dur=%.3f" % (name, 1000 * seconds)
        for name, seconds in (
            (b"unbuffered", sought - timeline.started),
            (b"unbuffered-connect", connected - sought),
            (b"unbuffered-upstream", answered - connected),
        )
    )
