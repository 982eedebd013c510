"""nginx: its syntax, and that nothing it protects becomes open."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from proxy.config.load import load
from proxy.tools.importers.draft import Draft, ImportedFile, SourceFile, Unreadable
from proxy.tools.importers.nginx import read_nginx
from proxy.tools.importers.nginx_syntax import parse
from proxy.tools.migrate.config_writer import write
from proxy.tools.migrate.verification import settle

PASS = "proxy_pass http://127.0.0.1:1;"


def routes(text: str) -> set[str]:
    """The prefixes that become routes."""
    reading = ImportedFile("nginx", "a.conf")
    read_nginx(reading, SourceFile("a.conf", text))
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


def read(text: str, folder: Path | None = None) -> ImportedFile:
    reading = ImportedFile("nginx", "a.conf")
    read_nginx(reading, SourceFile("a.conf", text), folder)
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
    assert [draft.prefix for draft in reading.active] == ["a/a", "a/b", "b/c"]
    assert any("used TLS" in notice for notice in reading.notices)
    assert any("several servers" in notice for notice in reading.notices)
    (elsewhere,) = [draft for draft in reading.drafts if draft.inactive]
    assert "which no host name tells apart" in elsewhere.inactive


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        pytest.param(
            [("", "a.example"), ("", "B.example www.b.example")],
            {"a.example/0", "b.example/1", "www.b.example/1"},
            id="each name",
        ),
        pytest.param(
            [("", "a.example"), ("", ".b.example")],
            {"a.example/0", "b.example/1", "*.b.example/1"},
            id="a name and those below it",
        ),
        pytest.param(
            [("", "a.example"), ("", "*.b.example")],
            {"a.example/0", "*.b.example/1"},
            id="names below",
        ),
        pytest.param(
            [("", "a.example"), (" default_server", "b.example")],
            {"a.example/0", "/1"},
            id="the default server is for all hosts",
        ),
        pytest.param(
            [("", "localhost"), ("", "b.example")],
            {"/0", "b.example/1"},
            id="the name of every machine",
        ),
        pytest.param([("", "a.example")], {"/0"}, id="one server alone"),
        pytest.param(
            [("", "_"), ("", "b.example")], {"/0", "b.example/1"}, id="no name"
        ),
        pytest.param(
            [("", "a.example"), ("", "b.* ~^c b.example")],
            {"a.example/0", "b.example/1"},
            id="patterns are left out",
        ),
        pytest.param(
            [("", "a.example"), ("", "~^b")], {"a.example/0"}, id="patterns alone"
        ),
        pytest.param(
            [("", "a.example"), ("", "_")], {"a.example/0"}, id="no name to tell by"
        ),
        pytest.param(
            [("", "a.example"), ("", "a.example b.example")],
            {"a.example/0"},
            id="one in both",
        ),
        pytest.param(
            [("", "a.example"), ("81", "b.example")],
            {"a.example/0"},
            id="a port that others could not reach",
        ),
    ],
)
def test_another_server_has_its_names_as_hosts(
    servers: list[tuple[str, str]], found: set[str]
) -> None:
    text = "".join(
        f"server {{ listen {port if port.isdigit() else 80}"
        f"{'' if port.isdigit() else port}; server_name {names}; "
        f"location /{number} {{ {PASS} }} }}"
        for number, (port, names) in enumerate(servers)
    )
    assert routes(f"http {{ {text} }}") == found


def test_routes_of_hosts_load_as_they_are_written(tmp_path: Path) -> None:
    text = (
        "server { server_name a.example; location / "
        "{ proxy_pass http://127.0.0.1:3; } }"
        "server { server_name b.example ~x; location /api/ "
        "{ proxy_pass http://127.0.0.1:2/v2/; } }"
    )
    reading = read(text)
    for draft in reading.drafts:
        settle(draft)
    (tmp_path / "config.toml").write_text(write(reading, "nginx"), encoding="utf-8")
    config = load(tmp_path / "config.toml", {})
    assert [*config.routes] == ["a.example/", "b.example/api"]
    assert config.routes["b.example/api"].path_rewrite == {"^/api/?": "/v2/"}
    assert any(
        "server_name ~x" in note for each in reading.drafts for note in each.notes
    )


ALONE = f"server {{ listen 443; server_name a.test; location /a {{ {PASS} }} }}"


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ("return 444;", {"a.test/a"}),
        ("root /srv;", {"a.test/a"}),
        ("return 301 https://$host$request_uri;", {"/a"}),
        ("location / { return 301 https://$host$request_uri; }", {"/a"}),
    ],
)
def test_a_server_that_only_redirects_is_no_other_one(
    other: str, found: set[str]
) -> None:
    assert routes(f"server {{ listen 80; server_name _; {other} }} {ALONE}") == found


def test_a_location_that_is_no_route_has_its_host_too() -> None:
    text = "".join(
        f"server {{ server_name {name}; location / {{ {PASS} }} "
        f"location /closed {{ auth_basic x; {PASS} }} location /open {{ {PASS} }} }}"
        for name in ("a.test", "b.test")
    )
    drafts = read(text).drafts
    assert [(each.prefix, bool(each.inactive)) for each in drafts] == [
        ("a.test/", True), ("a.test/closed", True), ("a.test/open", False),
        ("b.test/", True), ("b.test/closed", True), ("b.test/open", False),
    ]  # fmt: skip


def written(text: str) -> str:
    reading = read(text)
    for draft in reading.drafts:
        settle(draft)
    return write(reading, "nginx")


def test_what_listens_is_written_for_when_nginx_is_gone(tmp_path: Path) -> None:
    """As comments, if it cannot be read: its key is often for root alone."""
    tls = "ssl_certificate /etc/{0}.pem; ssl_certificate_key /etc/{0}.key;"
    text = (
        "server { listen 80; server_name a.test; "
        "location / { return 301 https://$host$request_uri; } }"
        f"server {{ listen 443 ssl; server_name a.test; {tls.format('a')} "
        f"location / {{ {PASS} }} }}"
    )
    (tmp_path / "config.toml").write_text(written(text), "utf-8")
    assert [*load(tmp_path / "config.toml", {}).routes] == ["/"]
    assert """\
# tls_certificate = "/etc/a.pem"
# tls_key = "/etc/a.key"
# [[listen]]
# port = 80
# https_redirect = true # a.conf:1: return 301 https://$host$request_uri
""" in written(text)
    more = (
        f"server {{ listen 443 ssl; server_name b.test; {tls.format('b')} "
        f"location / {{ {PASS} }} }}"
    )
    assert any("/etc/a.pem cannot be read" in each for each in read(text).notices)
    assert """\
# [[certificate]]
# tls_certificate = "/etc/b.pem"
# tls_key = "/etc/b.key"
# [[listen]]
""" in written(text + more)


def test_what_can_be_had_here_is_written(tmp_path: Path) -> None:
    """With ports that are free beside nginx; it loads as it stands."""
    authority = trustme.CA()
    text = (
        "server { listen 80; server_name a.test; "
        "location / { return 301 https://$host$request_uri; } }"
    )
    for name in ("a", "b"):
        leaf = authority.issue_cert(f"{name}.test")
        leaf.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
        leaf.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        text += (
            f"server {{ listen 444 ssl; server_name {name}.test; "
            f"ssl_certificate {tmp_path}/{name}.pem; "
            f"ssl_certificate_key {tmp_path}/{name}.key; location / {{ {PASS} }} }}"
        )
    whole = written(text)
    (tmp_path / "config.toml").write_text(whole, "utf-8")
    config = load(tmp_path / "config.toml", {})
    assert config.server.port == 8443
    assert config.server.tls_certificate == str(tmp_path / "a.pem")
    assert config.server.tls_key == str(tmp_path / "a.key")
    [other] = config.certificate
    assert other.tls_certificate == str(tmp_path / "b.pem")
    assert other.tls_key == str(tmp_path / "b.key")
    [redirect] = config.listen
    assert (redirect.port, redirect.https_redirect) == (8080, True)
    assert "port = 8443 # 444 without nginx\n" in whole
    assert "port = 8080 # 80 without nginx\n" in whole
    assert "https_redirect = true # a.conf:1: return 301 https://" in whole
    (tmp_path / "b.key").unlink()
    assert "\n# [[listen]]\n" in written(text)


@pytest.mark.parametrize(
    "directive",
    [
        "return 301 https://www.a.test$request_uri;",
        "return 301 https://$host/;",
        "return 301 http://$host$request_uri;",
        "return 404;",
    ],
)
def test_a_redirect_to_another_place_is_no_https_redirect(directive: str) -> None:
    text = (
        f"server {{ listen 80; server_name a.test; {directive} }}"
        "server { listen 443 ssl; server_name a.test; ssl_certificate /etc/a.pem; "
        f"location / {{ {PASS} }} }}"
    )
    assert "tls_certificate" in written(text)
    assert "https_redirect" not in written(text)


def test_proxies_that_nginx_trusted_are_trusted(tmp_path: Path) -> None:
    site = f"server {{ set_real_ip_from ::1; location /a {{ {PASS} }} }}"
    header = "real_ip_header X-Forwarded-For; set_real_ip_from unix:;"
    text = f"http {{ set_real_ip_from 10.0.0.0/8; {header} {site} }}"
    (tmp_path / "config.toml").write_text(written(text), "utf-8")
    server = load(tmp_path / "config.toml", {}).server
    assert server.trusted_proxies == ["10.0.0.0/8", "::1"]
    reading = read(text)
    assert [each.partition(": ")[2] for each in reading.lost if "unix" in each]
    assert not any("address of a client" in each for each in reading.notices)
    reading = read(text.replace("X-Forwarded-For", "CF-Connecting-IP"))
    assert any("from CF-Connecting-IP" in each for each in reading.notices)


@pytest.mark.parametrize(
    ("zone", "limit"),
    [
        ("limit_conn_zone $binary_remote_addr zone=z:10m;", 5),
        ("limit_conn_zone $remote_addr zone=z:10m;", 5),
        ("", 5),
        ("limit_conn_zone $server_name zone=z:10m;", None),
    ],
)
def test_connections_of_a_client_are_streams_of_a_client(
    zone: str, limit: int | None
) -> None:
    site = f"server {{ limit_conn z 5; location /a {{ {PASS} }} }}"
    (draft,) = read(f"http {{ {zone} {site} }}").active
    assert draft.keys.get("max_streams_per_client") == limit
    assert any("limit_conn z 5" in each for each in draft.lost) is (limit is None)


def test_a_server_that_is_left_out_is_told_otherwise_than_a_flag() -> None:
    text = (
        "upstream u { server a weight=2; server b backup weight=3; server c down; }"
        "server { location /a { proxy_pass http://u; } }"
    )
    (draft,) = read(text).active
    notes = [each for each in draft.notes if each.startswith("server ")]
    assert notes[0] == "server a: without weight=2"
    assert "server b: left out, since nginx used it only when" in notes[1]
    assert notes[2] == "server c: left out, since it is down"


def test_no_port_of_a_target_is_taken_for_the_proxy() -> None:
    (draft,) = read(f"server {{ location /a {{ {PASS} }} }}").active
    settle(draft)
    assert (draft.inactive, draft.lost) == ("", [])


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


@pytest.mark.parametrize(
    ("directive", "balance"),
    [
        ("ip_hash", "client"),
        ("hash $remote_addr consistent", "client"),
        ("hash $binary_remote_addr", "client"),
        ("hash $http_mcp_session_id consistent", "header:mcp-session-id"),
        ("hash $cookie_JSESSIONID", "cookie:JSESSIONID"),
        ("hash $request_uri", None),
        ("hash $http_a$http_b", None),
        ("sticky cookie srv_id", None),
        ("least_conn", None),
    ],
)
def test_what_kept_a_client_on_one_server_is_a_balance(
    directive: str, balance: str | None
) -> None:
    text = f"upstream u {{ {directive}; server a; server b; }}"
    (draft,) = read(text + "server { location /a { proxy_pass http://u; } }").active
    assert draft.keys.get("balance") == balance
    told = any("nginx kept a client on one server" in note for note in draft.notes)
    assert told is (balance is None and directive != "least_conn")


def test_an_upstream_is_all_of_its_servers() -> None:
    text = (
        "upstream u { ip_hash; server a; server b:81 weight=2; server c backup; }"
        "server { location /a { proxy_pass https://u; } }"
    )
    (draft,) = read(text).active
    assert draft.keys["target"] == ["https://a:80", "https://b:81"]
    assert draft.keys["balance"] == "client"
    assert "server c" in {note.partition(":")[0] for note in draft.notes}


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
    with pytest.raises(Unreadable, match="endless include"):
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


# -- fields: what nginx overwrites no client can forge

FORGED = [
    "X-Real-IP $remote_addr",
    "X-Remote-User $remote_user",
    "X-SSL-Client-DN $ssl_client_s_dn",
    "X-Request-Start t=${msec}",
    "X-Original-URI $request_uri",
    "X-Forwarded-User $remote_user",
    "X-Tenant $http_x_other",
    "X-Group a-$geoip_country_code",
    "Authorization $http_x_token",
]


@pytest.mark.parametrize("said", FORGED)
@pytest.mark.parametrize("level", ["http", "server", "location", "named"])
def test_a_field_that_nginx_overwrites_is_removed_and_told(
    said: str, level: str
) -> None:
    field = f"proxy_set_header {said};"
    inside = {
        "http": f"{field} server {{ location /a {{ {PASS} }} }}",
        "server": f"server {{ {field} location /a {{ {PASS} }} }}",
        "location": f"server {{ location /a {{ {field} {PASS} }} }}",
        "named": "server { location /a { try_files $uri @b; } "
        f"location @b {{ {field} {PASS} }} }}",
    }
    (draft,) = read(f"http {{ {inside[level]} }}").active
    name = said.split()[0]
    assert draft.keys["headers.request.remove"] == [name]
    assert any(name in line and "removed" in line for line in draft.lost)


@pytest.mark.parametrize(
    ("fields", "set_", "removed"),
    [
        ("X-A 1; proxy_set_header X-B ''", {"X-A": "1"}, ["X-B"]),
        ("X-A $http_x_a", None, None),
        ("X-A ${http_x_a}", None, None),
        ("Cookie '$http_cookie; a=b'", None, None),  # the client's own stays
        ("Connection $connection_upgrade", None, None),
        ("Content-Length ''", None, None),  # the framing is ours
        ("X-Forwarded-For $proxy_add_x_forwarded_for", None, None),
        ("X-Forwarded-Port $server_port", None, None),
        ("X-A ''; proxy_set_header x-a 1", {"x-a": "1"}, []),
        ("X-A 1; proxy_set_header x-a $remote_addr", {}, ["x-a"]),
        ("X-A $one", {"X-A": "1"}, None),  # a constant of the server
        ("X-A $two", None, ["X-A"]),  # set in an `if` as well
        ("X-A $empty", None, ["X-A"]),
    ],
)
def test_each_field_is_set_removed_or_left(
    fields: str, set_: dict[str, str] | None, removed: list[str] | None
) -> None:
    sets = "set $one 1; set $two 2; set $empty ''; if ($arg_x) { set $two 3; }"
    keys = keys_of(f"{sets} location /a {{ proxy_set_header {fields}; {PASS} }}")
    assert keys.get("headers.request.set") == set_
    assert keys.get("headers.request.remove") == removed


def test_a_named_location_sends_its_own_fields_only() -> None:
    text = (
        "proxy_set_header X-Server 1; location /a { proxy_set_header X-Own 2; "
        f"try_files $uri @b; }} location @b {{ {PASS} }}"
    )
    assert keys_of(text)["headers.request.set"] == {"X-Server": "1"}


def test_fields_of_headers_more_count_too() -> None:
    keys = keys_of(
        "location /a { more_set_input_headers 'X-A: 1' 'X-B: $remote_user'; "
        f"more_clear_input_headers -t text/plain X-C; {PASS} }}"
    )
    assert keys["headers.request.set"] == {"X-A": "1"}
    assert keys["headers.request.remove"] == ["X-B", "X-C"]


def test_fields_that_were_not_passed_at_all_are_a_warning() -> None:
    inside = f"proxy_pass_request_headers off; location /a {{ {PASS} }}"
    (line,) = read(f"server {{ {inside} }}").opened
    assert "proxy_pass_request_headers off" in line


def test_response_fields_are_hidden() -> None:
    keys = keys_of(
        f"proxy_hide_header X-A; proxy_pass_header Server; location /a {{ {PASS} }}"
    )
    assert keys["headers.response.remove"] == ["X-A"]


def test_what_another_protocol_was_sent_is_told() -> None:
    reading = read(
        r"server { location ~ \.php$ { fastcgi_pass unix:/x; "
        "fastcgi_param REMOTE_USER $remote_user; } "
        "location /u { uwsgi_pass u:1; uwsgi_param X_A b; } }"
    )
    assert "FastCGI is not HTTP/1.1" in reading.lost[0]
    assert "REMOTE_USER" in reading.lost[0]
    assert "X_A" in reading.lost[1]


# -- filters


@pytest.mark.parametrize(
    "test",
    [
        "if ($request_method !~ ^(GET|HEAD|POST)$) { return 405; }",
        "if ($request_method = TRACE) { return 403; }",
        "if ($request_method !~ 'GET|POST') { return 444; }",
        "if ($content_length > 5) { return 413; }",
        "if ($allowed = 0) { return 405; }",
        "if (-f /var/www/down.html) { return 503; }",
        "if (!-e $request_filename) { return 404; }",
        "if ($request_uri ~* (wp-login|xmlrpc)) { return 403; }",
        "if ($query_string ~ union.*select) { return 403; }",
        "if ($bad_bot) { return 403; }",
        "if ($worse_bot = 1) { return 444; }",
    ],
)
@pytest.mark.parametrize("level", ["server", "location"])
def test_a_filter_closes_no_route_and_is_told(test: str, level: str) -> None:
    maps = (
        "map $http_user_agent $bad_bot { default 0; ~curl 1; } "
        "map $bad_bot$http_referer $worse_bot { default 0; }"
    )
    server = f"{test} location /a {{ {PASS} }}"
    if level == "location":
        server = f"location /a {{ {test} {PASS} }}"
    reading = read(f"http {{ {maps} server {{ {server} }} }}")
    assert [draft.prefix for draft in reading.active] == ["/a"]
    (line,) = reading.opened
    assert "a.conf:1: if" in line
    assert "filter" in line


@pytest.mark.parametrize(
    "test",
    [
        "if ($arg_token != x) { return 403; }",
        "if ($args !~ token=x) { return 403; }",
        "if ($request_uri !~ ^/open) { return 404; }",
        "if ($http_x_api_key = '') { return 401; }",
        "if ($network) { return 403; }",
        "if ($keyed) { return 403; }",
        "if ($mixed) { return 403; }",
        "if ($itself) { return 403; }",
        "if ($cookie_session = '') { return 403; }",
        "rewrite_by_lua_file guard.lua;",
        "server_rewrite_by_lua_block { ngx.exit(403) }",
    ],
)
def test_what_tests_who_comes_still_closes(test: str) -> None:
    maps = (
        "geo $network { default 1; 10.0.0.0/8 0; } "
        "map $http_x_api_key $keyed { default 1; } "
        "map $request_method$remote_addr $mixed { default 1; } "
        "map $itself $itself { default 1; } "
    )
    text = f"http {{ {maps} server {{ {test} location /a {{ {PASS} }} }} }}"
    assert routes(text) == set()


# -- Lua and templates

LUA = r"""
init_by_lua_block { -- } not the end
  local t = { a = "}", b = '{', c = [[ } ]], d = [==[ ]] } ]==], e = "\"}" }
  --[[ } ]] }
server {
  location /lua { content_by_lua_block { ngx.say("{") } }
  location /a { header_filter_by_lua_block { x = "}" } proxy_pass http://h:1; }
  location /b { access_by_lua_block { ngx.exit(403) } proxy_pass http://h:1; }
  location /c { proxy_pass http://chosen; }
}
upstream chosen { server 0.0.0.1; balancer_by_lua_block { local b = {} } }
"""


def test_blocks_of_lua_are_told_as_what_they_are() -> None:
    reading = read(LUA)
    assert [draft.prefix for draft in reading.active] == ["/a"]
    lost = "\n".join(
        [*reading.lost, *(line for draft in reading.drafts for line in draft.lost)]
    )
    for name in ("content_by_lua_block", "header_filter_by_lua_block",
                 "access_by_lua_block", "balancer_by_lua_block"):  # fmt: skip
        assert name in lost
    assert "a.conf:7: header_filter_by_lua_block" in lost
    assert "ngx" not in lost
    with pytest.raises(Unreadable, match=r"a\.conf:1: the file ends inside Lua"):
        read("init_by_lua_block { '}'")


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("proxy_pass http://${HOST_NAME}:${PORT_OF_IT};",
         ["http://${HOST_NAME}:${PORT_OF_IT}"]),
        ("proxy_pass http://$HOST_NAME;", ["http://${HOST_NAME}"]),
        ("proxy_pass ${ADDRESS};", ["${ADDRESS}"]),
        ("proxy_pass $SCHEME://h/;", ["${SCHEME}://h"]),
        ("proxy_pass http://u;", ["http://${ONE}:${TWO}", "http://b:2"]),
        ("set $HERE http://h:1; proxy_pass $HERE;", ["http://h:1"]),
    ],
)  # fmt: skip
def test_variables_of_envsubst_stay_in_a_target(text: str, targets: list[str]) -> None:
    reading = read(
        "upstream u { server ${ONE}:${TWO}; server b:2; }"
        f"server {{ listen $LISTEN; location /a {{ {text} }} }}"
    )
    (draft,) = reading.active
    settle(draft)
    assert not draft.inactive
    target = draft.keys["target"]
    assert (target if isinstance(target, list) else [target]) == targets
    for each in targets:
        assert each in write(reading, "nginx")


def test_variables_of_envsubst_elsewhere() -> None:
    reading = read(
        "server { location /a { proxy_set_header X-A $FROM_ENV; proxy_set_header "
        "Authorization 'Bearer ${TOKEN}'; proxy_set_header X-Key 'SECRET1${TOKEN}'; "
        "proxy_read_timeout ${LIMIT}; proxy_pass http://h:1/${BASE}/; } "
        f"location /${{BASE}} {{ {PASS} }} }}"
    )
    (draft,) = reading.active
    settle(draft)
    text = write(reading, "nginx")
    assert 'X-A = "${FROM_ENV}"' in text
    assert 'Authorization = "Bearer ${TOKEN}"' in text
    assert "SECRET1" not in text
    assert '"^/a" = "/${BASE}/"' in text
    assert any("envsubst fills in LIMIT" in line for line in draft.lost)
    assert "BASE: envsubst fills it in" in reading.lost[0]
    (notice,) = [each for each in reading.notices if "envsubst" in each]
    assert all(name in notice for name in ("FROM_ENV", "TOKEN", "BASE"))


@pytest.mark.parametrize(
    "text",
    [
        "server { server_name {{ domain }}; }",
        "{% if x %} server { } {% endif %}",
        "server { listen 80;\n {{- range .Sites }} location / { } {{ end }} }",
    ],
)
def test_a_template_of_another_kind_is_named(text: str) -> None:
    with pytest.raises(Unreadable, match=r"a\.conf:\d: a template"):
        read(text)


def test_one_entry_that_does_not_load_takes_no_other_along() -> None:
    draft = Draft("/a", "a.conf:1", {"target": "http://h:1"})
    draft.keys["headers.request.remove"] = ["X-A", "Content-Length", "X-B"]
    draft.keys["headers.request.set"] = {"X-C": "1", "Te": "2"}
    settle(draft)
    assert draft.keys["headers.request.remove"] == ["X-A", "X-B"]
    assert draft.keys["headers.request.set"] == {"X-C": "1"}
    assert len(draft.lost) == 2


@pytest.mark.parametrize(
    "location",
    [
        r"~ ^/admin/\d+/ { auth_basic x; proxy_pass http://h:1; }",
        "/admin { auth_basic x; proxy_pass http://$chosen; }",
        "/admin { access_by_lua_file x.lua; proxy_pass http://@HOST@:1; }",
        "/${BASE} { auth_basic x; proxy_pass http://h:1; }",
    ],
)
def test_a_protected_location_that_is_no_route_is_not_opened_by_another(
    location: str,
) -> None:
    text = f"server {{ location / {{ {PASS} }} location {location} }}"
    reading = read(text)
    assert reading.opened or reading.active == []


def test_sockets_of_a_pattern_go_to_the_route_that_takes_its_paths() -> None:
    upgrade = "proxy_set_header Upgrade $http_upgrade;"
    text = (
        f"location / {{ {PASS} }} location /other {{ proxy_pass http://h:2; }} "
        rf"location ~ /api/v[0-9]+/(users/)?websocket$ {{ {upgrade} {PASS} }}"
    )
    assert keys_of(text, "/").get("ws") is True
    assert keys_of(text, "/other").get("ws") is None
    assert keys_of(text.replace(upgrade, ""), "/").get("ws") is None


def test_placeholders_of_a_template_are_told() -> None:
    reading = read("server { location /a { proxy_pass http://127.0.0.1:@PORT@/x; } }")
    assert "http://127.0.0.1:@PORT@/x: a template" in reading.lost[0]
