"""The parts of a HAR that are read, as browsers and other programs write them.

HAR 1.2, and what Chromium adds: `_webSocketMessages` and `_eventSourceMessages`, whose
times are seconds since 1970, and `_error`. Firefox leaves out what it does not know;
others have null there, which is taken away before. Times elsewhere are milliseconds;
-1: not known.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

# What is called otherwise in a HAR than by its own words joined.
OWN_NAMES = {
    "web_socket_messages": "_webSocketMessages",
    "event_messages": "_eventSourceMessages",
    "error": "_error",
    "unbuffered": "_unbuffered",
}


def har_name(name: str) -> str:
    """How HAR calls it."""
    first, *others = name.split("_")
    return OWN_NAMES.get(name, first + "".join(map(str.capitalize, others)))


class HarPair(Struct, frozen=True):
    """A field, or a parameter."""

    name: str
    value: str | None = None


class HarPostData(Struct, frozen=True, rename=har_name):
    """The body of a request."""

    mime_type: str | None = None
    text: str | None = None
    params: list[HarPair] | None = None
    encoding: str | None = None


class HarRequest(Struct, frozen=True, rename=har_name):
    """What was asked."""

    method: str
    url: str
    http_version: str | None = None
    headers: list[HarPair] = []
    post_data: HarPostData | None = None
    body_size: float | None = None


class HarContent(Struct, frozen=True):
    """The body of a response, without its content coding."""

    size: float | None = None
    text: str | None = None
    encoding: str | None = None


class HarResponse(Struct, frozen=True, rename=har_name):
    """What came. `status` 0 or -1: nothing did."""

    status: Annotated[float, Meta(le=999)] = 0
    status_text: str | None = None
    http_version: str | None = None
    headers: list[HarPair] = []
    content: HarContent = HarContent()
    error: str | None = None


class HarTimings(Struct, frozen=True):
    """The phases of a request."""

    blocked: float | None = None
    dns: float | None = None
    connect: float | None = None
    send: float | None = None
    wait: float | None = None
    receive: float | None = None


class HarWebSocketMessage(Struct, frozen=True):
    """A message: `data` is text with opcode 1, and base64 with any other."""

    type: str
    time: float
    opcode: float
    data: str


class HarEventMessage(Struct, frozen=True, rename=har_name):
    """An event of an event stream. `data` is missing in a HAR that was sanitized."""

    time: float
    event_name: str | None = None
    event_id: str | None = None
    data: str | None = None


class HarEntry(Struct, frozen=True, rename=har_name):
    """One exchange."""

    started_date_time: str
    request: HarRequest
    response: HarResponse = HarResponse()
    time: float | None = None
    timings: HarTimings = HarTimings()
    web_socket_messages: list[HarWebSocketMessage] | None = None
    event_messages: list[HarEventMessage] | None = None
    unbuffered: dict[str, Any] | None = None  # of our own: har_writer
