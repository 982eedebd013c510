"""How a stream wants to be asked: with a login, with a body, by WebSocket. Pure.

From what a server said in place of the stream, to the words of a command that asks as
the page does.
"""

from __future__ import annotations

import re
from shlex import quote

from proxy.tools.doctor.record import ProbeRecording

LOGIN = re.compile(r"log-?in|sign-?in|auth|sso", re.IGNORECASE)
PASSWORD = re.compile(rb"type=[\"']?password", re.IGNORECASE)
ONLY_ANOTHER = re.compile(rb"Cannot (?:GET|HEAD) /")  # what Express says of a path
REFUSES_OLD = (
    "a hop refuses HTTP/1.0, as Envoy does with 426, and the hop in front of it asks "
    "by that: nginx does without `proxy_http_version 1.1;`"
)
BODY = '{"stream": true}'
PASTE = "or paste what the page sends: Copy as cURL in the developer tools"


def how_to_ask(recording: ProbeRecording) -> list[str]:
    """What is missing in the request, each with the command that has it."""
    status = recording.status
    if wants_login(recording):
        return [login(recording), PASTE]
    if status in (400, 426) and not recording.websocket:
        websocket = f"it is a WebSocket: {doctor(websocket_url(recording.url))}"
        if says_websocket(recording):
            return [websocket]
        if status == 426:
            either = [] if by_envoy(recording) else [f"or {websocket}"]
            return [REFUSES_OLD, *either]
    if wants_body(recording):
        return [f"it wants a body: {curl('--json', BODY, recording)}", PASTE]
    if status in (400, 415, 422) and recording.method != "GET":
        return [f"it wants another body than it got; {PASTE}"]
    return []


def wants_login(recording: ProbeRecording) -> bool:
    status = recording.status
    if status in (401, 403, 407):
        return True
    if 300 <= status < 400:
        return LOGIN.search(recording.get("location") or "") is not None
    page = recording.type in ("text/html", "application/xhtml+xml")
    return page and PASSWORD.search(recording.content) is not None


def login(recording: ProbeRecording) -> str:
    """By the scheme that the server names; a cookie is what a page has."""
    asked = (recording.get("www-authenticate") or "").strip()
    scheme = asked.partition(" ")[0].lower()
    if scheme == "basic":
        return f"it wants a login (Basic): {curl('-u', 'USER:PASSWORD', recording)}"
    cookie = curl("-b", "NAME=VALUE", recording)
    if recording.status in (401, 407) and scheme in ("", "bearer"):
        token = curl("-H", "Authorization: Bearer TOKEN", recording)
        return f"it wants a login: {token}, or with the cookie of the page: {cookie}"
    if recording.status == 403 and recording.websocket:
        return (
            "it refuses this client: it may check Origin "
            f"({curl('-H', 'Origin: https://PAGE', recording)}), or want a login: "
            f"{cookie}"
        )
    if scheme:
        return f"it wants a login ({scheme}); with the cookie of the page: {cookie}"
    return f"it wants a login, as the page has it: {cookie}"


def wants_body(recording: ProbeRecording) -> bool:
    """Does a GET not do? By what the server allows, or as it says so."""
    if recording.method not in ("GET", "HEAD") or recording.websocket:
        return False
    if recording.status == 405:
        allowed = recording.get("allow")
        return allowed is None or re.search(r"POST|PUT|PATCH", allowed) is not None
    if recording.status == 404:
        return ONLY_ANOTHER.search(recording.content) is not None
    return recording.status in (411, 415, 422)


def by_envoy(recording: ProbeRecording) -> bool:
    """Is it Envoy that answers?"""
    return "envoy" in (recording.get("server") or "").lower()


def says_websocket(recording: ProbeRecording) -> bool:
    """Does it say that it wants an Upgrade to a WebSocket?"""
    named = (recording.get("upgrade") or "").lower()
    return "websocket" in named or b"websocket" in recording.content[:500].lower()


def websocket_url(url: str) -> str:
    return "ws" + url.removeprefix("http") if url.startswith("http") else url


def doctor(*words: str) -> str:
    """The command of the doctor."""
    return " ".join(["unbuffered doctor", *map(quote, words)])


def curl(option: str, value: str, recording: ProbeRecording) -> str:
    """The same request with one option more, as curl has it."""
    method = () if recording.method in ("GET", "POST") else ("-X", recording.method)
    return doctor("--", "curl", *method, option, value, recording.url)
