"""nginx: its syntax, and that nothing it protects becomes open."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.dialects.draft import Origin, Reading, Unreadable
from proxy.dialects.nginx import read_nginx
from proxy.dialects.nginxsyntax import parse
from proxy.migrate.writing import write

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


def read(text: str, folder: Path | None = None) -> Reading:
    reading = Reading("nginx", "a.conf")
    read_nginx(reading, Origin("a.conf", text), folder)
    return reading


def keys_of(inside: str, prefix: str = "/a") -> dict[str, object]:
    """The keys of the one route of a server."""
    drafts = read(f"server {{ server_name x.example; {inside} }}").active
    return next(draft.keys for draft in drafts if draft.prefix == prefix)


@pytest.mark.parametrize(
    "guard",
    [
        'if ($http_authorization = "") { return 401; }',
        "if ($remote_addr != 10.0.0.1) { return 403; }",
        "if ($ssl_client_verify != SUCCESS) { return 495; }",
        "limit_except GET { deny all; }",
        "auth_request /check;",
        "return 403;",
    ],
)
def test_a_location_that_asks_who_comes_is_no_route(guard: str) -> None:
    text = f"location / {{ {PASS} }} location /b {{ {PASS} }} "
    assert routes(f"server {{ {text} location /a {{ {guard} {PASS} }} }}") == {"/b"}


@pytest.mark.parametrize(
    "guard",
    [
        "ssl_verify_client on;",
        "return 444;",
        "access_by_lua_file guard.lua;",
        "if ($remote_addr != 10.0.0.1) { return 403; }",
        "if ($allowed = 0) { return 404; }",
    ],
)
def test_a_server_that_asks_who_comes_has_no_routes(guard: str) -> None:
    assert routes(f"server {{ {guard} location /a {{ {PASS} }} }}") == set()


def test_what_lets_everybody_in_protects_nothing() -> None:
    text = (
        "auth_basic x; auth_basic_user_file f; deny all; "
        f"location /a {{ auth_basic off; allow all; {PASS} }}"
    )
    assert routes(f"server {{ {text} }}") == {"/a"}


@pytest.mark.parametrize(
    "closed",
    [
        r"location ~ /\.git { deny all; }",
        r"location ~* \.(env|ini)$ { return 404; }",
        r"location ~ ^/api/.*/private { return 403; }",
        "if ($http_user_agent ~ bot) { return 403; }",
    ],
)
def test_what_no_prefix_keeps_closed_is_told_before_all_else(closed: str) -> None:
    reading = read(f"server {{ {closed} location /api/ {{ {PASS} }} }}")
    assert [draft.prefix for draft in reading.active] == ["/api"]
    assert len(reading.opened) == 1
    assert "a.conf:1: " in reading.opened[0]


def test_a_pattern_that_no_route_could_meet_is_no_warning() -> None:
    text = f"location ~ ^/old/.*x {{ deny all; }} location ^~ /api/ {{ {PASS} }}"
    assert read(f"server {{ {text} }}").opened == []


def test_the_one_path_of_a_location_opens_nothing_below_it() -> None:
    exact = f"location = /a {{ {PASS} }}"
    assert routes(f"server {{ {exact} location / {{ return 404; }} }}") == set()
    assert routes(f"server {{ {exact} location / {{ root /x; }} }}") == {"/a"}


def test_a_pattern_in_any_case_keeps_its_prefix_closed() -> None:
    text = f"location / {{ {PASS} }} location ~* ^/Admin {{ deny all; }}"
    assert routes(f"server {{ {text} }}") == set()


def test_patterns_are_asked_before_prefixes() -> None:
    text = (
        f"location /a/one {{ {PASS} }} location ^~ /a/two {{ {PASS} }} "
        f"location = /a/three {{ {PASS} }} location ~ ^/a/ {{ {PASS} }} "
        f"location ~ ^/a/four {{ {PASS} }}"
    )
    assert routes(f"server {{ {text} }}") == {"/a", "/a/two", "/a/three"}


def test_of_one_prefix_the_location_with_most_paths_becomes_the_route() -> None:
    text = (
        "location = /a { proxy_pass http://one; } "
        "location /a { proxy_pass http://two; } "
        "location /a/ { proxy_pass http://three; }"
    )
    assert keys_of(text)["target"] == "http://three"


def test_servers_of_other_names_are_not_mixed() -> None:
    text = (
        f"server {{ listen 80; return 444; }}"
        f"server {{ listen 80; server_name a; location /a {{ {PASS} }} }}"
        f"server {{ listen 443 ssl; server_name a; location /b {{ {PASS} }} }}"
        f"server {{ listen 80; server_name b; location /c {{ {PASS} }} }}"
        f"server {{ listen 127.0.0.1:81; server_name a; location /d {{ {PASS} }} }}"
    )
    reading = read(f"http {{ {text} }}")
    assert [draft.prefix for draft in reading.active] == ["/a", "/b"]
    assert any("spoke TLS" in notice for notice in reading.notices)


def test_a_level_with_a_field_inherits_no_fields() -> None:
    text = (
        "http { proxy_set_header X-Http 1; server { proxy_set_header X-Server 2; "
        f"location /a {{ {PASS} }} "
        f"location /b {{ proxy_set_header X-Own 3; {PASS} }} }} }}"
    )
    found = {draft.prefix: draft.keys for draft in read(text).active}
    assert found["/a"]["headers.request.set"] == {"X-Server": "2"}
    assert found["/b"]["headers.request.set"] == {"X-Own": "3"}


# What nginx 1.22 really sends was compared with this table when it was written.
@pytest.mark.parametrize(
    ("inside", "rules"),
    [
        ("rewrite ^/a/ /new/ break;", {"^/a/[^?]*": "/new/"}),
        ("rewrite ^/a$ /new break;", {r"^/a(?=\?|$)": "/new"}),
        ("rewrite /a/(.*) /new/$1 break;", {"^/a/(.*)": "/new/$1"}),
        ("rewrite /x/(.*) /new/$1 break;", {"^[^?]*?/x/(.*)": "/new/$1"}),
        (
            "rewrite ^/a/x/(.*) /x/$1 break; rewrite ^/a/y /y break;",
            {"^/a/x/(.*)": "/x/$1", "^/a/y[^?]*": "/y"},
        ),
        ("rewrite ^/a/(.*)$ /index.php break;", None),
        ("rewrite ^/a/(.*)$ /b/$1 last;", None),
        ("rewrite ^/a/(.*)/(.*)$ /$2/$1 break;", None),
    ],
)
def test_a_rewrite_replaces_the_whole_path(
    inside: str, rules: dict[str, str] | None
) -> None:
    assert keys_of(f"location /a {{ {inside} {PASS} }}").get("path_rewrite") == rules


def test_a_rewrite_comes_before_the_path_of_proxy_pass() -> None:
    text = "rewrite ^/a/x/(.*) /x/$1 break; proxy_pass http://h:1/base/;"
    rules = keys_of(f"location /a/ {{ {text} }}")["path_rewrite"]
    assert rules == {"^/a/x/(.*)": "/x/$1", "^/a/?": "/base/"}


@pytest.mark.parametrize(
    ("inside", "key", "value"),
    [
        ("proxy_pass http://h:1$request_uri;", "target", "http://h:1"),
        ("set $b http://h:1; proxy_pass $b;", "target", "http://h:1"),
        ("set $b h; proxy_pass http://$b:1;", "target", "http://h:1"),
        (f"{PASS} proxy_read_timeout 1h 30m;", "idle_timeout_seconds", 5400),
        (f"{PASS} proxy_set_header Upgrade '';", "ws", None),
        (f"{PASS} proxy_set_header Host $http_host;", "change_origin", None),
        (
            f"{PASS} proxy_set_header Host $server_name;",
            "headers.request.set",
            {"Host": "x.example"},
        ),
        (
            f"{PASS} proxy_set_header X-Forwarded-Proto https;",
            "headers.request.set",
            {"X-Forwarded-Proto": "https"},
        ),
    ],
)
def test_directives_become_keys(inside: str, key: str, value: object) -> None:
    assert keys_of(f"location /a {{ {inside} }}").get(key) == value


def test_try_files_leads_to_the_named_location() -> None:
    text = (
        "location /a { try_files $uri @app; } location @app { proxy_pass http://h:1; }"
    )
    assert keys_of(text)["target"] == "http://h:1"
    assert routes(f"server {{ auth_basic x; {text} }}") == set()


def test_an_upstream_is_all_of_its_servers() -> None:
    text = (
        "upstream u { ip_hash; server a; server b:81 weight=2; server c backup; }"
        "server { location /a { proxy_pass https://u; } }"
    )
    (draft,) = read(text).active
    assert draft.keys["target"] == ["https://a:80", "https://b:81"]
    assert {note.partition(":")[0] for note in draft.notes} >= {"ip_hash", "server c"}


def test_included_files_are_read_and_one_that_is_not_there_is_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "conf.d").mkdir()
    site = f"server {{ include auth.conf; location /a {{ {PASS} }} }}"
    (tmp_path / "conf.d" / "site.conf").write_text(site)
    text = "http { include mime.types; include conf.d/*.conf; include none/*.conf; }"
    reading = read(text, tmp_path)
    assert [draft.prefix for draft in reading.active] == ["/a"]
    assert "conf.d/site.conf:1: include auth.conf" in reading.opened[0]
    (tmp_path / "auth.conf").write_text("auth_basic x;")
    assert read(text, tmp_path).active == []
    (tmp_path / "auth.conf").write_text("include auth.conf;")
    with pytest.raises(Unreadable, match="no end"):
        read(text, tmp_path)


@pytest.mark.parametrize(
    "inside",
    [
        f"secure_link_md5 '$uri SECRET1'; {PASS}",
        f"if ($http_x_api_key != SECRET1) {{ return 403; }} {PASS}",
        f"proxy_set_header X-Api-Key 'SECRET1$arg_x'; {PASS}",
        f"proxy_set_header X-Odd 'Bearer SECRET1'; {PASS}",
        f"rewrite ^/a/(.*)$ /b?token=SECRET1 break; {PASS}",
        "proxy_pass http://me:SECRET1@h:1;",
        "proxy_pass http://h/$x?token=SECRET1;",
    ],
)
def test_a_secret_stays_in_the_old_file(inside: str) -> None:
    reading = read(f"server {{ location /a {{ {inside} }} }}")
    assert "SECRET1" not in write(reading, "nginx")
