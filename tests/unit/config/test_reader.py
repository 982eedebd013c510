"""Keys and their values; each fault with the line a person reads."""

from __future__ import annotations

import pytest

from tests.unit.config.conftest import Refuse

ROUTE = '\n[routes."/sse"]\ntarget = "http://upstream"\n'
NUMBER = "expected a finite number of 0 or more, got"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("port = 80", "port: unknown key here: port belongs in [server]",
                     id="key at the top"),
        pytest.param("[server]\nprot = 80", "[server] prot: unknown key: did you mean "
                     "port?", id="misspelt"),
        pytest.param("[log]\nx = 80", "[log] x: unknown key: expected access, "
                     "format or warnings", id="like no other"),
        pytest.param('[log]\n"a\\nb" = 80', '[log] "a\\nb": unknown key: expected '
                     "access, format or warnings", id="with a line break"),
        pytest.param("[server]\nws = true", "[server] ws: unknown key here: ws "
                                            'belongs in [routes."/prefix"]',
                     id="of another table"),
        pytest.param('[defaults]\ntarget = "x"', "[defaults] target: unknown key "
                                                 "here: target belongs in "
                                                 '[routes."/prefix"]',
                     id="of a route only"),
        pytest.param("[server]\nhttps = true", "[server] https: unknown key: write "
                                               "tls_certificate and tls_key under "
                                               "[server]",
                     id="of a dev server"),
    ],
)  # fmt: skip
def test_unknown_keys(refuse: Refuse, text: str, fault: str) -> None:
    assert refuse(text + ROUTE) == [f"config.toml: {fault}"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param("changeOrigin = true", "changeOrigin: unknown key: write "
                     "change_origin", id="changeOrigin"),
        pytest.param("pathRewrite = {}", "pathRewrite: unknown key: write path_rewrite",
                     id="pathRewrite"),
        pytest.param("change-origin = true", "change-origin: unknown key: write "
                     "change_origin", id="kebab case"),
        pytest.param("xfwd = true",
                     "xfwd: unknown key: remove it: X-Forwarded-* fields are always "
                     "sent (see trust_forwarded)", id="xfwd"),
        pytest.param("secure = false",
                     "secure: unknown key: write verify = false, or set ca_file to "
                     "the CA certificate", id="secure"),
        pytest.param("proxyTimeout = 30000", "proxyTimeout: unknown key: write "
                     "first_byte_timeout_seconds = 30 or idle_timeout_seconds = 30 (in "
                     "seconds, 0: no limit)", id="proxyTimeout"),
        pytest.param('proxy_read_timeout = "5m"', "proxy_read_timeout: unknown key: "
                     "write first_byte_timeout_seconds = 300 or idle_timeout_seconds = "
                     "300 (in seconds, 0: no limit)", id="proxy_read_timeout"),
        pytest.param("timeout = []", "timeout: unknown key: write idle_timeout_seconds "
                     "(in seconds, 0: no limit)", id="timeout without a number"),
        pytest.param('proxy_pass = "http://a"', "proxy_pass: unknown key: write target "
                     '= "http://host:port"', id="proxy_pass"),
        pytest.param("proxy_buffering = false", "proxy_buffering: unknown key: "
                                                "remove it: nothing is ever "
                                                "buffered here", id="proxy_buffering"),
        pytest.param("flushInterval = -1", "flushInterval: unknown key: remove it: "
                                           "every piece is sent immediately",
                     id="flushInterval"),
        pytest.param("compress = false", "compress: unknown key: remove it: "
                                         "responses are never compressed here",
                     id="compress"),
        pytest.param("trusted_proxy = []", "trusted_proxy: unknown key: did you "
                                           "mean trusted_proxies, which belongs in "
                                           "[server]?",
                     id="nearest in another table"),
        pytest.param("idleTimeout = 5", "idleTimeout: unknown key: write "
                     "idle_timeout_seconds = 5 if it was in seconds, "
                     "idle_timeout_seconds = 0.005 if in milliseconds",
                     id="unit left out"),
        pytest.param('prefix = "/x"', "prefix: unknown key: the prefix is the name "
                                      'of the route table: [routes."/prefix"]',
                     id="prefix"),
        pytest.param('change_origin = "yes"', "change_origin: expected true or false, "
                     'got the string "yes": write true', id="string for a boolean"),
        pytest.param("ws = 1", "ws: expected true or false, got the integer 1",
                     id="integer for a boolean"),
        pytest.param('decode = "maybe"', 'decode: expected "always", "never", '
                     '"streams" or "unless-no-transform", got the string "maybe"',
                     id="none of the choices"),
        pytest.param("idle_timeout_seconds = true", "idle_timeout_seconds: "
                     f"{NUMBER} true", id="boolean for a number"),
        pytest.param('idle_timeout_seconds = "4s"', "idle_timeout_seconds: "
                     f'{NUMBER} the string "4s": write 4', id="a duration"),
        pytest.param('idle_timeout_seconds = "5 m"', "idle_timeout_seconds: "
                     f'{NUMBER} the string "5 m": write 300', id="minutes"),
        pytest.param('idle_timeout_seconds = "soon"', "idle_timeout_seconds: "
                     f'{NUMBER} the string "soon"', id="string for a number"),
        pytest.param('max_body_bytes = "80"', "max_body_bytes: expected an integer "
                                              'of 0 or more, got the string "80": '
                                              "remove the quotes",
                     id="a number in quotes"),
        pytest.param('ws = "true"', "ws: expected true or false, got the string "
                                    '"true": remove the quotes',
                     id="a boolean in quotes"),
        pytest.param("idle_timeout_seconds = -0.5", "idle_timeout_seconds: "
                     f"{NUMBER} the number -0.5", id="negative"),
        pytest.param("idle_timeout_seconds = nan", "idle_timeout_seconds: "
                     f"{NUMBER} the number nan", id="NaN"),
        pytest.param("idle_timeout_seconds = inf", "idle_timeout_seconds: "
                     f"{NUMBER} the number inf", id="infinity"),
        pytest.param("idle_timeout_seconds = [1]", "idle_timeout_seconds: "
                     f"{NUMBER} a list", id="list for a number"),
        pytest.param("idle_timeout_seconds = 2026-01-01", "idle_timeout_seconds: "
                     f"{NUMBER} a date or time", id="date for a number"),
        pytest.param("path_rewrite = '^/a'", "path_rewrite: expected a table, got the "
                     'string "^/a"', id="string for the rules"),
        pytest.param("path_rewrite = { '^/a' = 5 }", 'path_rewrite."^/a": expected a '
                     "string, got the integer 5", id="integer for a replacement"),
        pytest.param("path_rewrite = { '^/(a' = '' }",
                     'path_rewrite."^/(a": the regular expression is not valid: '
                     "missing ), unterminated subpattern at position 2", id="pattern"),
        pytest.param("path_rewrite = { a = '$1' }", "path_rewrite.a: $1 in the "
                                                    "replacement: the pattern has "
                                                    "no groups", id="group"),
        pytest.param("path_rewrite = { a = '${NO}' }",
                     "path_rewrite.a: the environment variable NO is not set: set it, "
                     "or write ${NO:-default}", id="variable"),
    ],
)  # fmt: skip
def test_keys_of_a_route(refuse: Refuse, line: str, fault: str) -> None:
    assert refuse(ROUTE + line) == [f'config.toml: [routes."/sse"] {fault}']


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param("port = true",
                     "port: expected an integer from 0 to 65535, got true",
                     id="boolean for a port"),
        pytest.param("port = 80.0",
                     "port: expected an integer from 0 to 65535, got the number 80.0",
                     id="number with a point for a port"),
        pytest.param('port = "80a"',
                     'port: expected an integer from 0 to 65535, got the string "80a"',
                     id="string for a port"),
        pytest.param("port = 65536",
                     "port: expected an integer from 0 to 65535, got the integer 65536",
                     id="port too large"),
        pytest.param(f"port = 0x{'f' * 5000}", "port: expected an integer from 0 to "
                     "65535, got an integer", id="port too large to be told"),
        pytest.param("max_head_bytes = 1",
                     "max_head_bytes: expected an integer of 1024 or more, got the "
                     "integer 1", id="size too small"),
        pytest.param('host = ""', 'host: expected an address, such as "127.0.0.1" '
                                  "for this machine only", id="host empty"),
        pytest.param('host = "http://a"',
                     "host: expected a plain host name or IP address, got "
                     '"http://a": write host = "a"', id="host with scheme"),
        pytest.param('host = "[::1]"', "host: expected a plain host name or IP "
                                       "address without scheme, brackets or path, "
                                       'got "[::1]"', id="host in brackets"),
        pytest.param('host = "a:80"', "host: expected a plain host name or IP address, "
                     'got "a:80": write host = "a" and port = 80',
                     id="host with port"),
        pytest.param("host = 5", "host: expected a string, got the integer 5",
                     id="integer for a host"),
    ],
)  # fmt: skip
def test_keys_of_the_server(refuse: Refuse, line: str, fault: str) -> None:
    faults = refuse(f"[server]\n{line}{ROUTE}")
    assert faults == [f"config.toml: [server] {fault}"]


def test_a_value_from_the_environment_is_told_with_its_variable(
    refuse: Refuse,
) -> None:
    assert refuse('[server]\nport = "${PORT}"' + ROUTE, {"PORT": "http"}) == [
        "config.toml: [server] port: expected an integer from 0 to 65535, "
        'got the string "http" from ${PORT}'
    ]


def test_a_long_value_is_cut(refuse: Refuse) -> None:
    [fault] = refuse(f'{ROUTE}ws = "{"x" * 1000}"')
    assert fault.endswith(f'got the string "{"x" * 59}…"')
