"""What a person is told about the version of HTTP."""

from __future__ import annotations

import pytest

from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.version import about_version

URL = "https://a/"


@pytest.mark.parametrize(
    ("recording", "said"),
    [
        pytest.param(ProbeRecording(URL, version="HTTP/2"), [], id="as it should be"),
        pytest.param(ProbeRecording("http://a/", version="HTTP/1.1"), [], id="no TLS"),
        pytest.param(
            ProbeRecording(URL, version="HTTP/1.1", label="over HTTP/1.1"),
            [],
            id="asked for HTTP/1.1",
        ),
        pytest.param(
            ProbeRecording(URL, version="HTTP/1.1"),
            ["six connections"],
            id="HTTP/1.1 only",
        ),
        pytest.param(
            ProbeRecording(
                URL, version="HTTP/2", fields=(("connection", "x"), ("upgrade", "h2"))
            ),
            ["with connection, upgrade"],
            id="what WebKit breaks on",
        ),
        pytest.param(
            ProbeRecording(URL, version="HTTP/2", websockets=False),
            ["no WebSockets over HTTP/2"],
            id="no extended CONNECT",
        ),
    ],
)
def test_what_is_said(recording: ProbeRecording, said: list[str]) -> None:
    found = about_version(recording)
    assert len(found) == len(said)
    assert all(words in line for words, line in zip(said, found, strict=True))
