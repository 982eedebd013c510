"""Addresses of listeners, as a person writes them."""

from __future__ import annotations

import re

import pytest

from proxy.config.admin_checks import admin_address
from proxy.config.listen_address import (
    LONGEST_PATH,
    ListenAddress,
    parse_listen_address,
    parse_path,
)
from proxy.config.load import from_routes
from proxy.errors import ConfigError

LONGEST = "/" + "a" * (LONGEST_PATH - 1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9090", ListenAddress("127.0.0.1", 9090)),
        ("0.0.0.0:0", ListenAddress("0.0.0.0", 0)),
        ("localhost:9090", ListenAddress("localhost", 9090)),
        ("a-1.example.com:1", ListenAddress("a-1.example.com", 1)),
        ("[::1]:65535", ListenAddress("::1", 65535)),
        ("unix:/run/a b.sock", ListenAddress("", 0, "/run/a b.sock")),
        (f"unix:{LONGEST}", ListenAddress("", 0, LONGEST)),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, found: ListenAddress) -> None:
    assert parse_listen_address(text) == found
    assert str(found) == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (":9090", 'write "127.0.0.1:9090"'),
        ("*:9090", 'write "127.0.0.1:9090"'),
        ("9090", 'write "127.0.0.1:9090"'),
        ("localhost", 'has no port: write "localhost:9090"'),
        ("[::1]", 'has no port: write "[::1]:9090"'),
        ("::1:9090", 'write "[::1]:9090"'),
        ("::1", 'write "[::1]:9090"'),
        ("http://127.0.0.1:9090/", 'without a scheme: write "127.0.0.1:9090"'),
        ("127.0.0.1:http", '"http" is not a port'),
        ("127.0.0.1:65536", '"65536" is not a port'),
        ("127.0.0.1:٣", "is not a port"),
        ("127.0.0.1:", '"" is not a port'),
        ("127.0.1:80", '"127.0.1" is not a host'),
        ("a b:80", '"a b" is not a host'),
        ("[a]:80", "is not a host"),
        ("/run/admin.sock", 'write "unix:/run/admin.sock"'),
        ("unix:admin.sock", "absolute path"),
        ("unix://run/admin.sock", "absolute path"),
        ("unix:", "absolute path"),
        ("unix:/run/", "directory"),
        ("unix:/run/a\0b", "NUL"),
        (f"unix:{LONGEST}a", f"{LONGEST_PATH + 1} bytes"),
        (f"unix:{LONGEST[:-1]}ö", f"{LONGEST_PATH + 1} bytes"),
    ],
)
def test_another_text_is_refused_with_what_to_write(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(part)):
        parse_listen_address(text)


def test_a_system_without_unix_sockets_says_so() -> None:
    with pytest.raises(ValueError, match="no Unix sockets"):
        parse_path("unix:/run/a.sock", has_unix=False)


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "localhost:1", True),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("[::]:1", "127.0.0.1:1", True),
        ("[::1]:1", "[0::1]:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
        ("unix:/a", "0.0.0.0:1", False),
    ],
)
def test_two_addresses_meet_or_do_not(one: str, other: str, meets: bool) -> None:
    first, second = parse_listen_address(one), parse_listen_address(other)
    assert first.meets(second) is second.meets(first) is meets


def test_an_admin_listener_has_an_address_of_its_own() -> None:
    with pytest.raises(ConfigError) as found:
        from_routes(
            {"/": "http://h:1"}, {"server.admin": "0.0.0.0:80", "server.port": "80"}
        )
    (fault,) = found.value.faults
    assert "0.0.0.0:80 is the address of the proxy" in fault


def test_a_fault_of_it_names_the_key() -> None:
    with pytest.raises(ConfigError) as found:
        from_routes({"/": "http://h:1"}, {"server.admin": ":9090"})
    (fault,) = found.value.faults
    assert fault.startswith("--admin: has no host: ") or "admin: has no host" in fault


def test_no_address_is_no_listener() -> None:
    assert admin_address(from_routes({"/": "http://h:1"}).server) is None
