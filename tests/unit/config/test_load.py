from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.load import from_routes, load
from proxy.config.model import Config, LogOptions, ServerOptions
from proxy.config.route import FieldRules, Route
from proxy.config.target import parse_target
from tests.unit.config.conftest import Load

ROUTE = '\n[routes."/sse"]\ntarget = "http://upstream"\n'
REFERENCE = Path(__file__).parents[3] / "config.toml"


def test_the_reference_configuration_is_the_reference_system() -> None:
    config = load(REFERENCE, {})
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8080)
    routes = [
        (prefix, str(*route.targets), route.ws, route.change_origin, route.path_rewrite)
        for prefix, route in config.routes.items()
    ]
    assert routes == [
        ("/server1", "http://localhost:3001", False, True, {"^/server1": ""}),
        ("/server2", "http://localhost:3002", False, True, {"^/server2": ""}),
        ("/sse", "http://localhost:8002", False, True, {"^/sse": ""}),
    ]


def test_what_is_not_said_has_its_default(read: Load) -> None:
    target = parse_target("http://upstream")
    assert read(ROUTE) == Config(
        routes={"/sse": Route(prefix="/sse", targets=(target,))},
        sources={'routes."/sse".target': "config.toml"},
    )


def test_routes_keep_the_order_of_the_file(read: Load) -> None:
    prefixes = ["/b", "/", "/a", "/b/c"]
    text = "".join(f'[routes."{each}"]\ntarget = "http://a"\n' for each in prefixes)
    assert list(read(text).routes) == prefixes


def test_a_byte_order_mark_means_nothing(read: Load) -> None:
    assert list(read(b"\xef\xbb\xbf" + ROUTE.strip().encode()).routes) == ["/sse"]


def test_line_ends_of_windows_are_line_ends(read: Load) -> None:
    assert list(read(ROUTE.replace("\n", "\r\n")).routes) == ["/sse"]


def test_an_integer_is_good_for_seconds(read: Load) -> None:
    route = read(ROUTE + "idle_timeout_seconds = 5").routes["/sse"]
    assert isinstance(route.idle_timeout_seconds, float)
    assert route.idle_timeout_seconds == 5.0


def test_every_string_can_refer_to_the_environment(read: Load) -> None:
    text = """
        [server]
        host = "${HOST}"
        [log]
        format = "${FORMAT:-json}"
        [routes."/llm"]
        target = "http://${NAME}:${PORT:-80}/v1"
        decode = "${DECODE}"
        path_rewrite = { '^/(llm)$' = "/${NAME}$$/$1/$${x}" }
        headers.request = { set = { A = "Bearer ${KEY}" }, remove = ["${FIELD}"] }
    """
    environ = {
        "HOST": "::1",
        "NAME": "model",
        "DECODE": "always",
        "KEY": "k",
        "FIELD": "Cookie",
    }
    config = read(text, environ)
    route = config.routes["/llm"]
    assert config.server.host == "::1"
    assert config.log.format == "json"
    assert str(*route.targets) == "http://model:80/v1"
    assert route.decode == "always"
    assert route.path_rewrite == {"^/(llm)$": "/model$$/$1/${x}"}
    assert route.headers.request == FieldRules(set={"A": "Bearer k"}, remove=["Cookie"])


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        pytest.param(
            'port = "${X}"', {"X": "81"}, ServerOptions(port=81), id="integer"
        ),
        pytest.param('port = "${X:-82}"', {}, ServerOptions(port=82), id="default"),
        pytest.param(
            'port = "8${X}"', {"X": "3"}, ServerOptions(port=83), id="in part"
        ),
    ],
)
def test_text_of_the_environment_becomes_what_the_key_expects(
    read: Load, line: str, environ: dict[str, str], expected: ServerOptions
) -> None:
    assert read(f"[server]\n{line}{ROUTE}", environ).server == expected


def test_booleans_and_seconds_come_from_the_environment_too(read: Load) -> None:
    lines = 'ws = "${WS}"\nidle_timeout_seconds = "${IDLE}"'
    route = read(ROUTE + lines, {"WS": "true", "IDLE": "0.5"}).routes["/sse"]
    assert (route.ws, route.idle_timeout_seconds) == (True, 0.5)


def test_keys_are_never_replaced(read: Load) -> None:
    text = ROUTE + "path_rewrite = { '^/${A}' = '' }"
    assert list(read(text, {"A": "b"}).routes["/sse"].path_rewrite) == ["^/${A}"]


# -- [defaults] -----------------------------------------------------------------


def test_a_default_holds_for_every_route_and_its_own_key_wins(read: Load) -> None:
    text = """
        [defaults]
        ws = true
        connect_timeout_seconds = 3
        [routes."/a"]
        target = "http://a"
        [routes."/b"]
        target = "http://b"
        ws = false
    """
    routes = read(text).routes
    assert [(route.ws, route.connect_timeout_seconds) for route in routes.values()] == [
        (True, 3.0),
        (False, 3.0),
    ]


# -- the command line -----------------------------------------------------------


def test_the_command_line_wins_over_the_file(read: Load) -> None:
    text = '[server]\nhost = "a"\nport = 1\n[log]\nformat = "text"' + ROUTE
    overrides = {"server.host": "b", "server.port": "2", "log.format": "json"}
    config = read(text, {}, overrides)
    assert (config.server, config.log) == (
        ServerOptions(host="b", port=2),
        LogOptions(format="json"),
    )


def test_a_flag_that_is_not_given_changes_nothing(read: Load) -> None:
    config = read("[server]\nport = 1" + ROUTE, {}, {"server.port": None})
    assert config.server.port == 1
    assert config.sources["server.port"] == "config.toml"


def test_a_route_without_a_file_strips_its_prefix() -> None:
    config = from_routes(
        {"/sse": "http://localhost:8002", "/a.b": "unix:/s", "/": "http://page"},
        {"server.port": 9000},
    )
    target = parse_target("http://localhost:8002")
    assert config.server == ServerOptions(port=9000)
    assert list(config.routes) == ["/sse", "/a.b", "/"]
    assert config.routes["/sse"] == Route(
        prefix="/sse",
        targets=(target,),
        change_origin=True,
        ws=True,
        path_rewrite={"^/sse": ""},
    )
    assert config.routes["/a.b"].path_rewrite == {r"^/a\.b": ""}
    assert config.routes["/"].path_rewrite == {}
    assert config.routes["/"].change_origin


def test_values_of_a_flag_are_taken_as_they_are() -> None:
    """The shell has replaced what was to be replaced."""
    config = from_routes({"/sse": "unix:/run/${A}.sock"})
    (target,) = config.routes["/sse"].targets
    assert target.socket_path == "/run/${A}.sock"


# -- sources --------------------------------------------------------------------


def test_every_value_knows_where_it_came_from(read: Load) -> None:
    text = """
        [server]
        host = "${HOST:-::1}"
        max_head_bytes = 2048
        [defaults]
        ws = true
        connect_timeout_seconds = "${CONNECT}"
        headers.request = { set = { A = "1", B = "${KEY}" }, remove = ["C"] }
        [routes."/a"]
        target = "http://${NAME}:${NUMBER:-80}"
        ws = false
        path_rewrite = { "^/a" = "" }
        headers.request = { set = { b = "2" }, remove = ["D"] }
    """
    environ = {"CONNECT": "1", "KEY": "k", "NAME": "a"}
    overrides = {"server.port": 9000, "log.format": "json"}
    assert read(text, environ, overrides).sources == {
        "server.host": "config.toml, ${HOST} (default)",
        "server.max_head_bytes": "config.toml",
        "server.port": "--port",
        "log.format": "--log-format",
        'routes."/a".ws': "config.toml",
        'routes."/a".connect_timeout_seconds': "config.toml [defaults], ${CONNECT}",
        'routes."/a".target': "config.toml, ${NAME}, ${NUMBER} (default)",
        'routes."/a".path_rewrite."^/a"': "config.toml",
        'routes."/a".headers.request.set.A': "config.toml [defaults]",
        'routes."/a".headers.request.set.b': "config.toml",
        'routes."/a".headers.request.remove': "config.toml [defaults]; config.toml",
    }


def test_sources_of_routes_without_a_file() -> None:
    assert from_routes({"/a": "http://a"}, {"server.host": "::"}).sources == {
        "server.host": "--host",
        'routes."/a".target': "--route",
        'routes."/a".change_origin': "--route",
        'routes."/a".ws': "--route",
        'routes."/a".path_rewrite."^/a"': "--route",
    }
