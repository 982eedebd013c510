"""What the proxy says of itself when it starts."""

from __future__ import annotations

import msgspec
import pytest

from proxy.config.listen_address import ListenAddress
from proxy.config.load import from_routes
from proxy.config.model import Config, InspectorOptions, ServerOptions
from proxy.process.inspector_link import AutoToken, inspector_line, new_link
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


def with_token(token: str, **server: object) -> Config:
    config = from_routes({"/": "http://a"})
    return msgspec.structs.replace(
        config,
        inspector=InspectorOptions(token=token),
        server=msgspec.convert(server, ServerOptions),
    )


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("::1", "localhost"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("proxy.example", "proxy.example"),
    ],
)
def test_a_link_with_a_token_leads_to_where_it_listens(host: str, shown: str) -> None:
    line = inspector_line(AutoToken().fill(with_token("auto", host=host)), 8080)
    assert line.startswith(f"Inspector: http://{shown}:8080/_unbuffered/?token=")


def test_without_a_token_it_is_at_localhost_alone() -> None:
    line = inspector_line(with_token("", host="192.0.2.7"), 8080)
    assert line == "Inspector: http://localhost:8080/_unbuffered/\n"


def test_a_token_is_made_once_and_differs_from_process_to_process() -> None:
    made = AutoToken()
    first = made.fill(with_token("auto"))
    assert len(first.inspector.token) == 32
    assert made.fill(with_token("auto")).inspector == first.inspector
    assert AutoToken().fill(with_token("auto")).inspector != first.inspector
    configured = with_token("0123456789abcdef")
    assert made.fill(configured) is configured
    assert new_link(first, made.fill(with_token("auto")), 1) == ""
    assert new_link(configured, first, 1) == inspector_line(first, 1).rstrip()
    assert new_link(first, configured, 1) == ""


@pytest.mark.parametrize(
    ("admin", "lines"),
    [
        pytest.param(
            ListenAddress("0.0.0.0", 9090),
            [
                "Admin: http://0.0.0.0:9090/",
                "Inspector: http://localhost:9090/_unbuffered/",
            ],
            id="port",
        ),
        pytest.param(
            ListenAddress("", 0, "/run/a.sock"), ["Admin: unix:/run/a.sock"], id="unix"
        ),
    ],
)
def test_it_says_where_the_admin_listener_is(
    admin: ListenAddress, lines: list[str]
) -> None:
    config = with_token("", tls_certificate="c")
    assert inspector_line(config, 8443, admin).splitlines() == lines
