"""Who may look, by a request alone."""

from __future__ import annotations

import pytest

from proxy.http1.head import HTTP2, RequestHead
from proxy.inspector.access_rule import Asked, Enabled, is_foreign, may_look, refusal
from proxy.policy.local_client import is_direct, is_loopback

OWN = frozenset({b"proxy.local", b"0.0.0.0"})


def head(*fields: tuple[bytes, bytes], minor: int = 1) -> RequestHead:
    return RequestHead(b"GET", b"/_unbuffered/", minor, list(fields))


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LOCALHOST:8080",
        b"app.localhost:8080",
        b"127.0.0.1",
        b"127.8.8.8:80",
        b"[::1]:8080",
        b"[::ffff:127.0.0.1]",
        b"proxy.local:8080",
        b"PROXY.local",
    ],
)
def test_names_of_this_machine(host: bytes) -> None:
    assert may_look("loopback", b"127.0.0.1", head((b"Host", host)), OWN)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"192.168.0.7",
        b"unix",
        b"",
        b"localhost, evil.example",
        b"localhost:8080@evil.example",
        b"[::1].evil.example",
        b"localhost:http",
    ],
)
def test_other_names(host: bytes) -> None:
    assert not may_look("loopback", b"127.0.0.1", head((b"Host", host)), OWN)


@pytest.mark.parametrize(
    ("address", "here"),
    [
        (b"127.0.0.1", True),
        (b"::1", True),
        (b"::ffff:127.0.0.1", True),
        (b"unix", True),
        (b"192.168.0.7", False),
        (b"fe80::1%eth0", False),
        (b"::ffff:192.168.0.7", False),
        (b"", False),
    ],
)
def test_addresses_of_this_machine(address: bytes, here: bool) -> None:
    assert is_loopback(address) is here
    assert may_look("loopback", address, head((b"Host", b"localhost")), OWN) is here


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(head(), id="no Host"),
        pytest.param(head((b"Host", b"localhost"), minor=0), id="HTTP/1.0, as nginx"),
        *(
            pytest.param(head((b"Host", b"localhost"), (name, b"x")), id=name.decode())
            for name in (
                *(b"Via", b"Forwarded", b"X-Forwarded-For", b"X-Real-IP"),
                *(b"X-Forwarded-Server", b"X-Client-IP", b"CF-Connecting-IP"),
                *(b"CDN-Loop", b"CF-Ray", b"X-Cluster-Client-Ip", b"True-Client-IP"),
                *(b"Fastly-Client-IP", b"X-Envoy-Internal", b"X-Amzn-Trace-Id"),
                *(b"X-Original-Host", b"Remote-Addr", b"Tailscale-User-Login"),
            )
        ),
    ],
)
def test_what_came_through_another_proxy(request_head: RequestHead) -> None:
    assert not may_look("loopback", b"127.0.0.1", request_head, OWN)


@pytest.mark.parametrize(
    ("address", "value", "direct"),
    [
        (b"127.0.0.1", b"keep-alive", True),
        (b"127.0.0.1", b"Keep-Alive, TE", True),
        (b"127.0.0.1", None, False),
        (b"127.0.0.1", b"close", False),
        (b"unix", b"close", True),  # another worker
    ],
)
def test_who_speaks_of_his_own_connection(
    address: bytes, value: bytes | None, direct: bool
) -> None:
    """RFC 9110 §7.6.1: no hop lets it pass."""
    fields = [] if value is None else [(b"Connection", value)]
    assert is_direct(address, head(*fields), "") is direct


@pytest.mark.parametrize(
    ("server_name", "host", "direct"),
    [
        pytest.param("localhost", b"localhost:8443", True, id="as browsers speak it"),
        pytest.param("localhost", b"localhost", True, id="no port"),
        pytest.param("localhost", b"LocalHost:8443", True, id="Host in capitals"),
        pytest.param("LOCALHOST", b"localhost", True, id="name in capitals"),
        pytest.param("localhost", b"localhost.:8443", True, id="Host with a dot"),
        pytest.param("localhost.", b"localhost", True, id="name with a dot"),
        pytest.param("app.localhost", b"localhost", False, id="another name"),
        pytest.param("localhost", b"app.localhost", False, id="another Host"),
        pytest.param("localhost", b"127.0.0.1:8443", False, id="an address as Host"),
        pytest.param("", b"localhost", False, id="no name: as hops do"),
        pytest.param("", b"", False, id="neither"),
        pytest.param("", None, False, id="no Host"),
        pytest.param("localhost", None, False, id="a name, no Host"),
        pytest.param(None, b"localhost", False, id="no TLS: as hops do"),
    ],
)
def test_over_http2_the_tls_server_name_has_to_be_the_host(
    server_name: str | None, host: bytes | None, direct: bool
) -> None:
    asking = head(*([] if host is None else [(b"Host", host)]), minor=HTTP2)
    assert is_direct(b"127.0.0.1", asking, server_name) is direct
    assert is_direct(b"unix", asking, server_name)
    status = 0 if direct else 403 if server_name is None else 421
    for path in ("", "feed", "exchanges/0-1"):
        asked = Asked(path, [], "loopback")
        assert refusal(asked, b"127.0.0.1", asking, server_name)[0] == status
    for asked in (Asked("health", [], "loopback"), Asked("feed", [], True)):
        assert refusal(asked, b"127.0.0.1", asking, server_name) == (0, "")


def test_over_http1_the_tls_server_name_tells_nothing() -> None:
    asking = head((b"Host", b"localhost"))
    assert not is_direct(b"127.0.0.1", asking, "localhost")


def test_what_programs_of_this_machine_send_is_not_taken_for_a_hop() -> None:
    names = (
        *(b"Connection", b"User-Agent", b"Accept", b"Accept-Language"),
        *(b"Accept-Encoding", b"Referer", b"Cookie", b"DNT", b"Sec-GPC", b"Priority"),
        *(b"Sec-Fetch-Site", b"Sec-Fetch-Mode", b"Sec-CH-UA", b"Cache-Control"),
        *(b"Upgrade-Insecure-Requests", b"If-None-Match", b"Last-Event-ID"),
        b"X-Prometheus-Scrape-Timeout-Seconds",
    )
    fields = [(b"Host", b"localhost"), *((name, b"x") for name in names)]
    assert may_look("loopback", b"127.0.0.1", head(*fields), OWN)


@pytest.mark.parametrize(("enabled", "may"), [(True, True), (False, False)])
def test_the_key_can_open_it_to_all_and_to_none(enabled: Enabled, may: bool) -> None:
    foreign = head((b"Host", b"a"), (b"Via", b"1.1 x"), minor=0)
    assert may_look(enabled, b"192.0.2.7", foreign, OWN) is may


@pytest.mark.parametrize(
    ("fields", "foreign"),
    [
        ([], False),
        ([(b"Sec-Fetch-Site", b"same-origin")], False),
        ([(b"Sec-Fetch-Site", b"none")], False),
        ([(b"Sec-Fetch-Site", b"same-site")], True),
        ([(b"Sec-Fetch-Site", b"cross-site")], True),
        ([(b"Origin", b"http://localhost:8080")], False),
        ([(b"Origin", b"http://localhost:3000")], True),
        ([(b"Origin", b"null")], True),
    ],
)
def test_pages_of_other_origins(
    fields: list[tuple[bytes, bytes]], foreign: bool
) -> None:
    assert is_foreign(head((b"Host", b"localhost:8080"), *fields)) is foreign
