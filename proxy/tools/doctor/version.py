"""What the version of HTTP means for a browser. Pure."""

from __future__ import annotations

from proxy.tools.doctor.comparison import OVER_HTTP1
from proxy.tools.doctor.record import ProbeRecording

# RFC 9113 §8.2.2: such a message is malformed. Chromium and Firefox let it pass.
OF_A_CONNECTION = (
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
)


def about_version(recording: ProbeRecording) -> list[str]:
    """What a person should know of it."""
    if not recording.url.startswith("https:") or recording.label == OVER_HTTP1:
        return []
    if recording.account:  # a file: nobody knows what else was offered
        return []
    if recording.version != "HTTP/2":
        return [
            "HTTP/2 is not offered: a browser opens at most six connections to a host, "
            "and each open stream takes one of them"
        ]
    found = []
    names = dict.fromkeys(name.lower() for name, _ in recording.fields)
    wrong = [name for name in names if name in OF_A_CONNECTION]
    if wrong:
        found.append(
            f"a response of HTTP/2 with {', '.join(wrong)}, which only HTTP/1.1 has: "
            "WebKit (Safari) takes it for broken; remove it from the response"
        )
    if not recording.websockets:
        found.append(
            "no WebSockets over HTTP/2 (RFC 8441): a browser opens a connection of "
            "its own for each"
        )
    return found
