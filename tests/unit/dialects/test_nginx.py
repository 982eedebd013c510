"""nginx: its syntax, and that nothing it protects becomes open."""

from __future__ import annotations

import pytest

from proxy.dialects.draft import Origin, Reading, Unreadable
from proxy.dialects.nginx import read_nginx
from proxy.dialects.nginxsyntax import parse

PASS = "proxy_pass http://127.0.0.1:1;"


def routes(text: str) -> set[str]:
    """The prefixes that become routes."""
    reading = Reading("nginx", "a.conf")
    read_nginx(reading, Origin("a.conf", text))
    return {draft.prefix for draft in reading.active}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b  c;", ["a", "b", "c"]),
        ("a 'b c' \"d;{e}\";", ["a", "b c", "d;{e}"]),
        ('a "b\\"c";', ["a", 'b"c']),
        ("a ${b}c;", ["a", "${b}c"]),
        ("a b'c;", ["a", "b'c"]),
        ("a # b;\n c;", ["a", "c"]),
        (r"location ~ \.php$ { }", ["location", "~", r"\.php$"]),
        ("a\\;b c;", ["a;b", "c"]),
    ],
)
def test_words_are_read_as_nginx_reads_them(text: str, words: list[str]) -> None:
    assert [each.words for each in parse(text, "a.conf")] == [words]


def test_blocks_stand_in_each_other_and_know_their_lines() -> None:
    (http,) = parse("http {\n server {\n  a b;\n }\n}", "a.conf")
    (server,) = http.block
    assert [(each.words, each.line) for each in server.block] == [(["a", "b"], 3)]


@pytest.mark.parametrize("text", ["a {", "}", "{ }", "a b", "a { b }", "a 'b;"])
def test_half_a_file_is_told_with_its_line(text: str) -> None:
    with pytest.raises(Unreadable, match=r"^a\.conf:1: "):
        parse(text, "a.conf")


@pytest.mark.parametrize(
    "inside",
    [
        f"location /admin {{ auth_basic x; {PASS} }}",
        f"location /admin {{ allow 10.0.0.0/8; deny all; {PASS} }}",
        f"location ^~ /admin/ {{ internal; {PASS} }}",
        "location /admin { deny all; }",
        "location = /admin { return 403; }",
        "location ~ ^/(admin|root)/ { return 404; }",
    ],
)
def test_what_is_protected_is_no_part_of_a_wider_route(inside: str) -> None:
    text = f"location / {{ {PASS} }} location /open {{ {PASS} }} {inside}"
    assert routes(f"server {{ {text} }}") == {"/open"}


def test_protection_is_inherited_and_can_be_lifted() -> None:
    text = (
        f"server {{ auth_basic x; location /a {{ {PASS} }} "
        f"location /b {{ auth_basic off; {PASS} }} }}"
    )
    assert routes(text) == {"/b"}
