"""One case for each fault, with the very line that a person gets to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.load import from_routes, load
from proxy.errors import ConfigError
from tests.unit.config.conftest import Load, Refuse

ROUTE = '\n[routes."/sse"]\ntarget = "http://upstream"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("a = ", "line 1, column 5: a: not a valid value: write text in "
                             "quotes, true and false without", id="value missing"),
        pytest.param("\na = yes\n",
                     "line 2, column 5: a: not a valid value: write a = true",
                     id="value without quotes"),
        pytest.param("[a]\n[a]\n", "line 2, column 3: [a] (first in line 1): this "
                                   "table is declared twice", id="table twice"),
        pytest.param('[log]\n[routes."/a"]\nws = true\n\n[routes."/b"]\n'
                     '[ routes."/a" ]  # again\n',
                     'line 6, column 15: [routes."/a"] (first in line 2): this '
                     "table is declared twice", id="route twice"),
        pytest.param('[routes."/a".headers]\n[log]\n[routes."/a".headers]\n',
                     'line 3, column 21: [routes."/a".headers] (first in line 1): '
                     "this table is declared twice", id="table of a route twice"),
        pytest.param("[a]\nb = 1\nb = 2\n", "line 3, column 6: [a] b (first in line "
                     "2): this key is set twice", id="key twice"),
        pytest.param('[routes."/a"]\nheaders.request.set = { A = "x", A = "y" }\n',
                     'line 2, column 41: [routes."/a"] headers.request.set: this '
                     "key is set twice", id="key twice within a value"),
        pytest.param("b = 1\nb = 2\n", "line 2, column 6: b (first in line 1): this "
                     "key is set twice",
                     id="key twice before all tables"),
        pytest.param("a = [1]\n[[a]]\n", "line 2, column 4: this key already has a "
                                         "value, set further up; it cannot also be "
                                         "a table",
                     id="value and table"),
        pytest.param("a = 1\nb = 'x", "line 2, column 5: b: the text does not end: "
                     "write ' behind it",
                     id="ends inside a string"),
        pytest.param("[routes./sse]\n", "line 1, column 9: write the prefix in "
                                        'quotes: [routes."/sse"]',
                     id="prefix without quotes"),
        pytest.param(b"a = 1\nb = '\xff'\n", "not valid UTF-8: save the file in "
                                             "UTF-8", id="not UTF-8"),
    ],
)  # fmt: skip
def test_syntax_faults_tell_line_and_column(
    refuse: Refuse, text: str | bytes, fault: str
) -> None:
    assert refuse(text) == [f"config.toml: {fault}"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a = " + "1" * 5000, id="integer beyond all measure"),
        pytest.param("a = " + "[" * 5000, id="nested beyond all measure"),
    ],
)
def test_what_overwhelms_the_parser_is_a_fault(refuse: Refuse, text: str) -> None:
    [fault] = refuse(text)
    assert fault.startswith("config.toml: not valid TOML: ")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.faults == [
        f"{path}: no such file: name a file with --config FILE, or use --route "
        "/prefix=http://host:port"
    ]


def test_a_missing_file_that_an_editor_has_called_txt_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.with_name("config.toml.txt").touch()
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.faults == [
        f"{path}: no such file: rename config.toml.txt, which is there, to config.toml"
    ]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    assert caught.value.faults == [f"{tmp_path}: cannot be read: is a directory"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("[sever]", "[sever]: unknown table: did you mean server?",
                     id="unknown table"),
        pytest.param("[x]", "[x]: unknown table: expected certificate, "
                     "defaults, inspector, listen, log, metrics, routes, server, store "
                     "or tracing",
                     id="table like no other"),
        pytest.param("[proxy]", '[proxy]: unknown table: write one table '
                     '[routes."/prefix"] for each entry', id="table of a dev server"),
        pytest.param('["/sse"]', '["/sse"]: write [routes."/sse"]',
                     id="route at the top"),
        pytest.param("server = 5", "[server]: expected a table, got the integer 5",
                     id="value instead of a table"),
    ],
)  # fmt: skip
def test_unknown_tables(refuse: Refuse, text: str, fault: str) -> None:
    faults = refuse(text + ROUTE)
    assert faults == [f"config.toml: {fault}"]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        pytest.param('[routes."/a"]', '[routes."/a"] target: missing: write target = '
                     '"http://host:port"', id="target missing"),
        pytest.param('[routes."/a"]\ntarget = "a:80"',
                     "[routes.\"/a\"] target: 'a:80' is not a valid upstream "
                     'address: write "http://a:80"', id="target without scheme"),
        pytest.param('[routes."/a"]\ntarget = 80', '[routes."/a"] target: expected a '
                     "string, got the integer 80: write \"http://localhost:80\"",
                     id="integer for a target"),
        pytest.param('[routes."/a"]\ntarget = "http://127.0.0.1:8080"',
                     '[routes."/a"] target: http://127.0.0.1:8080 is the address of '
                     "the proxy itself ([server] host and port), so requests would go "
                     "in a circle: write the address of the upstream, or another "
                     "[server] port",
                     id="target is the address of the proxy"),
        pytest.param('[routes."a"]\ntarget = "http://a"',
                     '[routes."a"] prefix: expected a path that begins with "/", '
                     'not a pattern: write "/a"', id="prefix without slash"),
        pytest.param('[routes."/a/"]\ntarget = "http://a"',
                     '[routes."/a/"] prefix: a prefix must not end with "/": write '
                     '"/a"',
                     id="prefix ends in slash"),
        pytest.param('[routes."/%73se"]\ntarget = "http://a"',
                     '[routes."/%73se"] prefix: the same path as [routes."/sse"] '
                     "in line 2",
                     id="prefix given twice"),
        pytest.param('[routes]\n"/a" = "http://a"',
                     '[routes."/a"]: expected a table: write target = "http://a" in it',
                     id="short form of a dev server"),
        pytest.param('[routes]\n"/a" = 5', '[routes."/a"]: expected a table, got the '
                     "integer 5", id="integer for a route"),
    ],
)  # fmt: skip
def test_routes(refuse: Refuse, table: str, fault: str) -> None:
    assert refuse(f"{ROUTE}{table}") == [f"config.toml: {fault}"]


@pytest.mark.parametrize("text", ["", "[routes]", "[defaults]\nws = true"])
def test_no_routes_at_all(refuse: Refuse, text: str) -> None:
    assert refuse(text) == [
        'config.toml: [routes]: there are no routes: write [routes."/sse"] with '
        'target = "http://localhost:8002"'
    ]


def test_all_faults_are_told_at_once_in_the_order_of_the_tables(
    refuse: Refuse,
) -> None:
    text = """
        [routes."/b"]
        target = "${UPSTREAM}"
        changeOrigin = true
        headers.request.set = { Connection = "close" }
        [routes."a"]
        ws = "no"
        [defaults]
        idle_timeout_seconds = -1
        [log]
        format = "xml"
        [server]
        port = 70000
        [severs]
    """
    faults = refuse(text, {}, {"server.host": ""})
    assert [fault.partition(": ")[2].partition(":")[0] for fault in faults] == [
        "[severs]",
        "[server] port",
        "[log] format",
        "[server] host",
        "[defaults] idle_timeout_seconds",
        '[routes."/b"] target',
        '[routes."/b"] changeOrigin',
        '[routes."/b"] headers.request.set.Connection',
        '[routes."a"] prefix',
        '[routes."a"] ws',
        '[routes."a"] target',
    ]


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        pytest.param("server.port", 70000, "--port: [server] port: expected an integer "
                     "from 0 to 65535, got the integer 70000", id="port"),
        pytest.param("server.host", "", "--host: [server] host: expected an "
                                        'address, such as "127.0.0.1" for this '
                                        "machine only", id="host"),
        pytest.param("log.format", "xml", "--log-format: [log] format: expected "
                     '"json" or "text", got the string "xml"', id="log format"),
    ],
)  # fmt: skip
def test_faults_of_the_command_line_name_the_flag(
    refuse: Refuse, key: str, value: object, fault: str
) -> None:
    assert refuse(ROUTE, {}, {key: value}) == [fault]
    with pytest.raises(ConfigError) as caught:
        from_routes({"/sse": "http://upstream"}, {key: value})
    assert caught.value.faults == [fault]


def test_faults_of_routes_without_a_file_name_the_flag() -> None:
    with pytest.raises(ConfigError) as caught:
        from_routes({"sse": "localhost:8002", "/a": "http://${HOST}"})
    assert caught.value.faults == [
        '--route: [routes."sse"] prefix: expected a path that begins with "/", not '
        'a pattern: write "/sse"',
        "--route: [routes.\"sse\"] target: 'localhost:8002' is not a valid upstream "
        'address: write "http://localhost:8002"',
        "--route: [routes.\"/a\"] target: 'http://${HOST}': '${host}' is not a valid "
        "host name or IP address",
    ]


@pytest.mark.parametrize("scheme", ["ws", "wss", "WS"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("", "not set"),
        ("ws = false", "false"),
    ],
    ids=["not set", "false"],
)
def test_a_target_for_websocket_wants_ws(
    refuse: Refuse, scheme: str, options: str, told: str
) -> None:
    [fault] = refuse(f'[routes."/a"]\ntarget = "{scheme}://h:1"\n{options}\n')
    assert fault.startswith('config.toml: [routes."/a"] target: ')
    assert fault.endswith(f" is a WebSocket URL, but ws is {told}: write ws = true")


def test_a_target_for_websocket_is_content_with_ws_for_all_routes(read: Load) -> None:
    text = '[defaults]\nws = true\n[routes."/a"]\ntarget = ["http://h:1", "ws://h:2"]\n'
    assert read(text).routes["/a"].ws


@pytest.mark.parametrize(
    ("options", "told"),
    [("", "not set"), ("heartbeat_seconds = 0", "0")],
    ids=["not set", "0"],
)
def test_a_response_that_begins_early_wants_heartbeats(
    refuse: Refuse, options: str, told: str
) -> None:
    [fault] = refuse(
        "[defaults]\nheartbeat_before_head = true\n"
        f'[routes."/a"]\ntarget = "http://h:1"\n{options}\n'
    )
    assert fault == (
        'config.toml: [routes."/a"] heartbeat_before_head: needs heartbeats, but '
        f"heartbeat_seconds is {told}: write heartbeat_seconds = 15"
    )


def test_a_route_may_say_that_none_of_its_responses_begins_early(read: Load) -> None:
    text = (
        "[defaults]\nheartbeat_before_head = true\nheartbeat_seconds = 15\n"
        '[routes."/a"]\ntarget = "http://h:1"\n'
        "heartbeat_before_head = false\nheartbeat_seconds = 0\n"
    )
    assert not read(text).routes["/a"].heartbeat_before_head
