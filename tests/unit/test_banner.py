"""What the proxy says of itself when it starts."""

from __future__ import annotations

import msgspec
import pytest

from proxy.config.model import ServerOptions
from proxy.process.process import versions


@pytest.mark.parametrize(
    ("server", "said"),
    [
        pytest.param({}, "", id="plain"),
        pytest.param({"http2_cleartext": True}, "HTTP/2 and HTTP/1.1, ", id="h2c"),
        pytest.param(
            {"tls_certificate": "c", "tls_key": "k"}, "HTTP/2 and HTTP/1.1, ", id="tls"
        ),
        pytest.param(
            {"tls_certificate": "c", "tls_key": "k", "http2": False}, "", id="off"
        ),
    ],
)
def test_it_says_which_versions_of_http_are_spoken(
    server: dict[str, object], said: str
) -> None:
    assert versions(msgspec.convert(server, ServerOptions)) == said
