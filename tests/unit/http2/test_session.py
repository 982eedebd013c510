"""A client's frames become calls: the same ones, however the bytes are cut."""

from __future__ import annotations

import pytest

from tests.unit.http2.recording import START, Recorder, data, headers, padded, singles

UPLOAD = (
    START
    + headers(1)
    + data(1, b"hello")
    + padded(1, b" world", 7)
    + data(1, b"!", end=True)
    + headers(3, end=True)
)


@pytest.mark.parametrize("parts", [[UPLOAD], singles(UPLOAD)], ids=["whole", "singles"])
def test_a_request_with_content(parts: list[bytes]) -> None:
    recorder = Recorder()
    recorder.feed(parts)
    assert recorder.log == [
        "1 POST /p",
        "1 data hello world!",
        "1 ended",
        "3 POST /p complete",
    ]
