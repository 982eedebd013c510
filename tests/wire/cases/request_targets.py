"""Targets and hosts: what is asked for, and of whom."""

from __future__ import annotations

from tests.wire.cases.model import RequestCase, forwarded, raw, refused

HOST = b"Host: a"


def target(value: bytes) -> bytes:
    return raw(b"GET " + value + b" HTTP/1.1", HOST)


def host(value: bytes) -> bytes:
    return raw(b"GET /p HTTP/1.1", b"Host: " + value)


CASES: list[RequestCase] = [
    # -- origin-form, byte for byte
    *[
        forwarded(name, source, target(value), target(value))
        for name, source, value in [
            ("a path", "RFC 9112 §3.2.1", b"/p"),
            ("a path and a query", "RFC 9112 §3.2.1", b"/p?q=1&r"),
            ("an empty query", "RFC 3986 §3.4", b"/p?"),
            ("question marks in a query", "RFC 3986 §3.4", b"/p??a=?"),
            ("a URL in a query", "RFC 3986 §3.4", b"/p?to=http://b/../c"),
            ("semicolons in a query", "CVE-2022-2880 (Go)", b"/p?a=1;b=2"),
            (
                "a percent sign that encodes nothing",
                "CVE-2022-2880 (Go)",
                b"/p?a=%zz&b=%",
            ),
            ("repeated slashes", "RFC 3986 §3.3", b"//p///q//"),
            ("a slash at the end", "RFC 3986 §3.3", b"/p/"),
            ("an encoded slash", "RFC 3986 §2.2", b"/p%2Fq%2fr"),
            ("an encoded percent sign", "RFC 3986 §2.4", b"/p%2525"),
            ("an encoded NUL", "RFC 3986 §2.1", b"/p%00q"),
            ("an encoded CRLF", "RFC 3986 §2.1", b"/p%0d%0aX:%20y"),
            ("lower-case percent-encoding", "RFC 3986 §6.2.2.1", b"/%c3%a9%C3%A9"),
            ("an encoded letter", "RFC 3986 §6.2.2.2", b"/%70"),
            ("parameters", "RFC 3986 §3.3", b"/p;v=1/q;w"),
            ("an at sign and a colon", "RFC 3986 §3.3", b"/@b:80/p"),
            ("a dot segment inside", "RFC 3986 §5.2.4", b"/p/./q/../r"),
            ("what only looks like dot segments", "RFC 3986 §3.3", b"/.p/..q/r../..."),
            ("bytes beyond ASCII", "RFC 3986 §2.1", b"/caf\xc3\xa9\xff"),
            ("bytes that no URI has", "RFC 3986 §2", b'/a|b{c}\\d"e<f>g^h`i[j]'),
        ]
    ],
    *[
        refused(name, source, target(value))
        for name, source, value in [
            ("a fragment", "CVE-2023-45539 (HAProxy)", b"/p#q"),
            ("a fragment first", "CVE-2023-45539 (HAProxy)", b"#/p"),
            ("a NUL", "RFC 3986 §2", b"/p\0q"),
            ("a control byte", "RFC 3986 §2", b"/p\x01"),
            ("a DEL", "RFC 3986 §2", b"/p\x7f"),
            ("a tab", "RFC 3986 §2", b"/p\tq"),
            ("no slash", "RFC 9112 §3.2", b"p"),
            ("a query alone", "RFC 9112 §3.2.1", b"?q"),
            ("dots without a slash", "RFC 9112 §3.2.1", b"../p"),
            ("dot segments above the root", "RFC 3986 §5.2.4", b"/../p"),
            ("encoded dot segments above the root", "RFC 3986 §5.2.4", b"/%2e%2E/p"),
            (
                "dot segments behind a backslash",
                "Caddy, nginx: alias traversal",
                b"/..\\p",
            ),
            ("dot segments twice encoded", "CVE-2021-41773 (Apache)", b"/%252e%252e/p"),
            ("an asterisk for another method", "RFC 9112 §3.2.4", b"*"),
            ("authority-form for another method", "RFC 9112 §3.2.3", b"a:80"),
            ("another scheme", "RFC 9112 §3.2.2", b"ftp://a/p"),
            ("a file", "RFC 9112 §3.2.2", b"file:///etc/passwd"),
            ("a scheme without an authority", "RFC 9110 §4.2.1", b"http:/p"),
            ("an empty authority", "RFC 9110 §4.2.1", b"http:///p"),
            ("only a port", "RFC 9110 §4.2.1", b"http://:80/p"),
            ("user information", "RFC 9110 §4.2.4", b"http://user@a/p"),
            ("user information with a colon", "RFC 9110 §4.2.4", b"http://a:80@b/p"),
            ("a port that is none", "RFC 3986 §3.2.3", b"http://a:b/p"),
            ("a backslash in the authority", "RFC 3986 §3.2", b"http://a\\b/p"),
        ]
    ],
    # -- absolute-form: its authority replaces Host
    *[
        forwarded(
            name,
            "RFC 9112 §3.2.2",
            target(value),
            raw(b"GET " + path + b" HTTP/1.1", b"Host: " + authority),
        )
        for name, value, path, authority in [
            ("absolute-form", b"http://b/p?q", b"/p?q", b"b"),
            ("absolute-form with a port", b"http://b:81/p", b"/p", b"b:81"),
            ("absolute-form in upper case", b"HTTP://B/p", b"/p", b"B"),
            ("absolute-form without a path", b"http://b", b"/", b"b"),
            ("absolute-form with a query alone", b"http://b?q", b"/?q", b"b"),
            ("absolute-form of IPv6", b"http://[::1]:81/p", b"/p", b"[::1]:81"),
            ("absolute-form of https", b"https://b/p", b"/p", b"b"),
            ("absolute-form with an at sign in its path", b"http://b/@c", b"/@c", b"b"),
        ]
    ],
    refused(
        "absolute-form without Host",
        "RFC 9112 §3.2",
        raw(b"GET http://b/p HTTP/1.1"),
    ),
    refused(
        "absolute-form with a bad Host",
        "RFC 9112 §3.2",
        raw(b"GET http://b/p HTTP/1.1", b"Host: a b"),
    ),
    # -- asterisk-form, authority-form
    forwarded(
        "OPTIONS *",
        "RFC 9112 §3.2.4",
        raw(b"OPTIONS * HTTP/1.1", HOST),
        raw(b"OPTIONS * HTTP/1.1", HOST),
    ),
    forwarded(
        "OPTIONS of an authority alone",
        "RFC 9112 §3.2.4",
        raw(b"OPTIONS http://b HTTP/1.1", HOST),
        raw(b"OPTIONS * HTTP/1.1", b"Host: b"),
    ),
    refused("CONNECT", "RFC 9110 §9.3.6", raw(b"CONNECT a:443 HTTP/1.1", HOST), 501),
    refused(
        "CONNECT with a path", "RFC 9110 §9.3.6", raw(b"CONNECT /p HTTP/1.1", HOST), 501
    ),
    # -- Host
    *[
        forwarded(name, source, host(value), host(value))
        for name, source, value in [
            ("a host with a port", "RFC 9110 §7.2", b"a.example:8080"),
            ("a host with a colon and no port", "RFC 3986 §3.2.3", b"a:"),
            ("a host in upper case", "RFC 9110 §4.2.3", b"A.Example"),
            ("a host with an underscore", "RFC 3986 §3.2.2", b"a_b"),
            ("a host that ends in a dot", "RFC 3986 §3.2.2", b"a.example."),
            ("IPv4", "RFC 3986 §3.2.2", b"127.0.0.1:80"),
            ("IPv6", "RFC 3986 §3.2.2", b"[2001:db8::1]"),
            ("IPv6 with a port", "RFC 3986 §3.2.2", b"[::1]:65535"),
            ("IPv4 in IPv6", "RFC 3986 §3.2.2", b"[::ffff:127.0.0.1]"),
        ]
    ],
    *[
        refused(name, source, host(value))
        for name, source, value in [
            ("an empty host", "RFC 9110 §4.2.1", b""),
            ("a port alone", "RFC 9110 §4.2.1", b":80"),
            ("two hosts in one", "CVE-2026-34525 (aiohttp)", b"a, b"),
            ("two hosts without a space", "CVE-2026-34525 (aiohttp)", b"a,b"),
            ("two hosts with a space", "RFC 9110 §7.2", b"a b"),
            ("user information in Host", "RFC 9110 §7.2", b"user@a"),
            ("a path in Host", "RFC 9110 §7.2", b"a/p"),
            ("a scheme in Host", "RFC 9110 §7.2", b"http://a"),
            ("a query in Host", "RFC 9110 §7.2", b"a?q"),
            ("a fragment in Host", "RFC 9110 §7.2", b"a#q"),
            ("a backslash in Host", "RFC 9110 §7.2", b"a\\b"),
            ("a port beyond 65535", "RFC 9110 §4.2", b"a:65536"),
            ("a port with a sign", "RFC 3986 §3.2.3", b"a:-1"),
            ("a port in letters", "RFC 3986 §3.2.3", b"a:http"),
            ("two ports", "RFC 3986 §3.2.3", b"a:80:81"),
            ("IPv6 without brackets", "RFC 3986 §3.2.2", b"::1"),
            ("IPv6 without an end", "RFC 3986 §3.2.2", b"[::1"),
            ("IPv6 that is none", "RFC 3986 §3.2.2", b"[:::1]"),
            ("letters after IPv6", "RFC 3986 §3.2.2", b"[::1]a"),
            ("a name in brackets", "RFC 3986 §3.2.2", b"[a]"),
            ("a percent sign that encodes nothing", "RFC 3986 §2.1", b"a%zz"),
            ("bytes beyond ASCII in Host", "RFC 3986 §3.2.2", b"caf\xc3\xa9"),
            ("angle brackets in Host", "CVE-2026-14631 (webpack-dev-server)", b"<a>"),
        ]
    ],
    refused("no Host", "RFC 9112 §3.2", raw(b"GET /p HTTP/1.1")),
    refused("two Hosts", "RFC 9112 §3.2", raw(b"GET /p HTTP/1.1", HOST, b"Host: b")),
    refused(
        "two equal Hosts", "RFC 9112 §3.2", raw(b"GET /p HTTP/1.1", HOST, b"host: a")
    ),
    refused(
        "a Host and an empty one",
        "RFC 9112 §3.2",
        raw(b"GET /p HTTP/1.1", HOST, b"Host:"),
    ),
    refused(
        "two Hosts in HTTP/1.0",
        "RFC 9112 §3.2",
        raw(b"GET /p HTTP/1.0", HOST, b"Host: b"),
    ),
]
