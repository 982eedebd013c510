"""What a stream wants to be asked with, and the command that has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.how_to_ask import how_to_ask
from proxy.tools.doctor.probe.curl import read_curl
from proxy.tools.doctor.probe.request import Ask
from proxy.tools.doctor.probe.shell_paste import words_of
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import recorded

HTML = ("Content-Type", "text/html")
URL = "http://a/chat?x=1&y='2'"


def said(
    status: int,
    *fields: tuple[str, str],
    body: bytes = b"",
    method: str = "GET",
    url: str = URL,
) -> ProbeRecording:
    found = recorded(*([(0.01, body)] if body else []), fields=fields, status=status)
    return replace(found, url=url, method=method)


def asked(evidence: str) -> Ask:
    """The request of the command in a line of evidence, as a shell hands it over."""
    command = evidence.partition("unbuffered doctor -- ")[2]
    command = command.partition(", or with")[0].partition("), or")[0]
    return read_curl(words_of(command.removesuffix(")")))


@pytest.mark.parametrize(
    ("recording", "field"),
    [
        pytest.param(
            said(401, ("WWW-Authenticate", 'Basic realm="x"')),
            ("Authorization", "Basic VVNFUjpQQVNTV09SRA=="),
            id="Basic",
        ),
        pytest.param(
            said(401, ("WWW-Authenticate", "Bearer")),
            ("Authorization", "Bearer TOKEN"),
            id="Bearer",
        ),
        pytest.param(said(401), ("Authorization", "Bearer TOKEN"), id="no scheme"),
        pytest.param(
            said(401, ("WWW-Authenticate", "Negotiate")),
            ("Cookie", "NAME=VALUE"),
            id="another scheme",
        ),
        pytest.param(said(403), ("Cookie", "NAME=VALUE"), id="forbidden"),
        pytest.param(
            said(302, ("Location", "/login?next=/chat")),
            ("Cookie", "NAME=VALUE"),
            id="sent to a login",
        ),
        pytest.param(
            said(200, HTML, body=b"<form><input type=password></form>"),
            ("Cookie", "NAME=VALUE"),
            id="a page with a password",
        ),
        pytest.param(
            said(403, url="ws://a/live"), ("Origin", "https://PAGE"), id="an origin"
        ),
    ],
)
def test_a_login_is_said_with_the_command_that_has_it(
    recording: ProbeRecording, field: tuple[str, str]
) -> None:
    verdict = diagnose(recording)
    assert verdict.kind is Kind.NO_STREAM
    [line, *_] = [each for each in verdict.evidence if "doctor --" in each]
    ask = asked(line)
    assert field in ask.fields
    assert (ask.url, ask.method) == (recording.url, "GET")


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(said(405, ("Allow", "POST, OPTIONS")), id="allows POST"),
        pytest.param(said(405), id="allows it does not say what"),
        pytest.param(
            said(404, HTML, body=b"<pre>Cannot GET /chat</pre>"), id="Express"
        ),
        pytest.param(said(422), id="fields that are required"),
    ],
)
def test_a_body_is_said_with_the_command_that_has_it(
    recording: ProbeRecording,
) -> None:
    [line, *_] = [each for each in diagnose(recording).evidence if "it wants" in each]
    ask = asked(line)
    assert (ask.method, ask.body) == ("POST", b'{"stream": true}')
    assert ("Content-Type", "application/json") in ask.fields
    assert ask.url == recording.url


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(said(405, ("Allow", "GET"), method="POST"), id="GET"),
        pytest.param(said(405, ("Allow", "DELETE")), id="neither"),
        pytest.param(said(404), id="not there"),
        pytest.param(said(302, ("Location", "/elsewhere")), id="moved"),
        pytest.param(said(200, HTML, body=b"<p>Hello</p>"), id="a page"),
        pytest.param(said(500), id="it failed"),
    ],
)
def test_who_wants_neither_is_not_told_so(recording: ProbeRecording) -> None:
    assert how_to_ask(recording) == []


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(said(426, ("Upgrade", "websocket")), id="426"),
        pytest.param(said(400, body=b"Can Upgrade only to WebSocket."), id="in words"),
        pytest.param(said(400, ("Upgrade", "websocket")), id="by a field"),
    ],
)
def test_a_websocket_is_said_with_its_url(recording: ProbeRecording) -> None:
    [line] = how_to_ask(recording)
    assert words_of(line.partition(": ")[2]) == [
        "unbuffered", "doctor", URL.replace("http", "ws")
    ]  # fmt: skip


def test_who_refuses_an_old_version_is_no_websocket() -> None:
    """Envoy answers HTTP/1.0 with 426, a text, and no Upgrade."""
    text, envoy = ("Content-Type", "text/plain"), ("server", "envoy")
    [line] = how_to_ask(said(426, text, envoy, body=b"Upgrade Required"))
    assert "refuses HTTP/1.0" in line
    assert "proxy_http_version 1.1;" in line


def test_what_answers_so_behind_nginx_may_be_either() -> None:
    """The ws of Node answers a GET with the same text."""
    nginx = ("Server", "nginx/1.22.1")
    first, second = how_to_ask(said(426, nginx, body=b"Upgrade Required"))
    assert "refuses HTTP/1.0" in first
    assert second.startswith("or it is a WebSocket")


def test_what_is_asked_with_a_body_is_not_told_to_have_one() -> None:
    [line] = how_to_ask(said(422, method="POST"))
    assert line.startswith("it wants another body")
