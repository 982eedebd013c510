"""The requests that ask for the streams of the test origin."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from proxy.tools.doctor.probe.request import Ask, complete
from proxy.tools.doctor.test_streams import PROGRAMS, Program

MESSAGES = ("steady", "fast", "slow", "large", "late", "silent")  # by WebSocket


def through_asks(ask: Ask, silence: float) -> list[Ask]:
    """The streams that are asked for through a chain."""
    if ask.websocket:  # the others have other types and framings
        return [program_ask(ask, PROGRAMS[name], silence) for name in MESSAGES]
    found = []
    for program in PROGRAMS.values():
        found.append(program_ask(ask, program, silence))
    steady = PROGRAMS["steady"]
    plain = program_ask(ask.with_field("Accept-Encoding", "identity"), steady, silence)
    found.append(replace(plain, label="steady, without compression"))
    for name in ("steady", "ndjson"):
        post = replace(ask, method="POST", body=ask.body or b'{"stream": true}')
        post = program_ask(post, PROGRAMS[name], silence)
        found.append(replace(post, label=f"{name}, as POST"))
    return found


def program_ask(ask: Ask, program: Program, silence: float) -> Ask:
    """The request for a program, by the query: the path stays the user's."""
    parts = urlsplit(ask.url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("stream", program.name)]
    if program.silent and silence != program.silent:
        query.append(("silent", f"{silence:g}"))
    url = urlunsplit(parts._replace(query=urlencode(query)))
    accept = "text/event-stream" if program.type == "events" else "*/*"
    if ask.method == "POST":
        accept = "*/*"
    asked = complete(replace(ask, url=url, label=program.name))
    if ask.websocket:
        return asked
    return asked if ask.has("accept") else asked.with_field("Accept", accept)
