from __future__ import annotations

import pytest

from proxy.config.target import Target, parse_target


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "authority", "path"),
    [
        pytest.param(
            "http://localhost:8002", "http", "localhost", 8002, b"localhost:8002", b"",
            id="host and port",
        ),
        pytest.param("http://a", "http", "a", 80, b"a", b"", id="port of http"),
        pytest.param("https://a/", "https", "a", 443, b"a", b"", id="port of https"),
        pytest.param("ws://a:80", "http", "a", 80, b"a", b"", id="ws is http"),
        pytest.param("wss://a", "https", "a", 443, b"a", b"", id="wss is https"),
        pytest.param("https://a:80", "https", "a", 80, b"a:80", b"",
                     id="port of the other scheme"),
        pytest.param("HTTP://A.b", "http", "a.b", 80, b"a.b", b"", id="upper case"),
        pytest.param("http://a_b.", "http", "a_b.", 80, b"a_b.", b"", id="odd name"),
        pytest.param(
            "http://[::1]:3000", "http", "::1", 3000, b"[::1]:3000", b"", id="IPv6"
        ),
        pytest.param(
            "http://[fe80::1%25eth0]", "http", "fe80::1%eth0", 80, b"[fe80::1]", b"",
            id="IPv6 with interface, which is for this machine only",
        ),
        pytest.param(
            "http://你好.cn", "http", "xn--6qq79v.cn", 80, b"xn--6qq79v.cn", b"",
            id="international name",
        ),
        pytest.param("http://a/v1/", "http", "a", 80, b"a", b"/v1", id="path"),
        pytest.param(
            "http://a/%7e//x/../%2F", "http", "a", 80, b"a", b"/%7e//x/../%2F",
            id="path as it stands",
        ),
        pytest.param("http://a/你", "http", "a", 80, b"a", b"/%E4%BD%A0",
                     id="path percent-encoded"),
    ],
)  # fmt: skip
def test_addresses_are_read(
    text: str, scheme: str, host: str, port: int, authority: bytes, path: bytes
) -> None:
    target = parse_target(text)
    assert target == Target(text, scheme, host, port, authority, path)
    assert target.tls is (scheme == "https")
    assert str(target) == text


def test_a_unix_socket_is_localhost() -> None:
    target = parse_target("unix:/run/my app.sock")
    assert target.socket_path == "/run/my app.sock"
    assert (target.scheme, target.authority) == ("http", b"localhost")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is not a valid upstream address", id="empty"),
        pytest.param("localhost:3000", 'write "http://localhost:3000"', id="no scheme"),
        pytest.param("//a", "is not a valid upstream address", id="scheme left out"),
        pytest.param("ftp://a", "is not a valid upstream address", id="other scheme"),
        pytest.param("http://", "is not a valid", id="no host"),
        pytest.param("http://:80", "is not a valid", id="port only"),
        pytest.param("http://a:x", "expected a port", id="port is no number"),
        pytest.param("http://a:99999", "a port from 1 to 65535", id="port too large"),
        pytest.param("http://a:0", "a port from 1 to 65535", id="port 0"),
        pytest.param("http://[::1", "is not a valid", id="bracket left open"),
        pytest.param(
            "http://a..b", "'a..b' is not a valid host name", id="empty label"
        ),
        pytest.param(
            "http://" + "a" * 64, "is not a valid host name", id="label too long"
        ),
        pytest.param(
            "http://" + ".".join(["a" * 60] * 5),
            "is not a valid host name",
            id="name too long",
        ),
        pytest.param("http://a b", "a space or a control character", id="space"),
        pytest.param("http://a\r\nX: y", "a space or a control", id="line break"),
        pytest.param("unix:/a\0b", "a space or a control", id="NUL in a socket path"),
        pytest.param("unix:a.sock", "write unix:/absolute", id="relative socket path"),
        pytest.param("http://a?", "cannot have a query or fragment", id="query"),
        pytest.param("http://a/#x", "cannot have a query or fragment", id="fragment"),
        pytest.param("http://u:p@a", "headers.request.set.Authorization", id="user"),
    ],
)
def test_what_is_no_address_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_target(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "http://u:hunter2@a",
        "htp://u:hunter2@a",
        "u:hunter2@a:80",
        "http://u:hunter2@a b",
    ],
)
def test_a_password_in_an_address_is_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_target(text)
    assert "hunter2" not in str(caught.value)
