from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from proxy.config.effective import report, route_table
from tests.unit.config.conftest import Load, Refuse, without_line

ROUTE = '[routes."/a"]\ntarget = {}\n'


def test_one_target_or_several(read: Load) -> None:
    text = ROUTE.format('["http://a:${PORT}", "unix:/s"]')
    config = read(text, {"PORT": "81"})
    assert [*map(str, config.routes["/a"].targets)] == ["http://a:81", "unix:/s"]
    assert config.sources['routes."/a".target'] == "config.toml, ${PORT}; config.toml"
    assert '["http://a:81", "unix:/s"]' in report(config)
    assert "http://a:81, unix:/s" in route_table(config)


@pytest.mark.parametrize(
    ("target", "faults"),
    [
        pytest.param("[]", ["target: expected at least one address, got an empty "
                            "list"],
                     id="none"),
        pytest.param(
            '["http://a", 3, ["http://b"]]',
            [
                "target, item 2: expected a string, got the integer 3",
                "target, item 3: expected a string, got a list",
            ],
            id="no strings",
        ),
        pytest.param(
            '["http://a", "a:1"]',
            ["target, item 2: 'a:1' is not a valid upstream address: write "],
            id="no address",
        ),
        pytest.param(
            '["http://a", "http://A:80/"]',
            ["target, item 2: the same address as http://a: list each address only "
             "once"],
            id="twice",
        ),
        pytest.param(
            '["http://a", "http://127.0.0.1:8080"]',
            ["target, item 2: http://127.0.0.1:8080 is the address of the proxy"],
            id="the proxy itself",
        ),
    ],
)  # fmt: skip
def test_a_list_that_is_no_list_of_addresses_is_refused(
    refuse: Refuse, target: str, faults: list[str]
) -> None:
    found = refuse(ROUTE.format(target))
    assert len(found) == len(faults)
    for fault, words in zip(found, faults, strict=True):
        assert fault.startswith(f'config.toml: [routes."/a"] {words}')


def test_ca_file_is_found_from_where_the_configuration_is(
    read: Load, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "own.pem"))
    text = '[defaults]\nca_file = "own.pem"\n' + ROUTE.format('"https://a"')
    assert read(text).routes["/a"].ca_file == "own.pem"
    text = text.replace("own.pem", str(tmp_path / "own.pem"))
    assert read(text).routes["/a"].ca_file == str(tmp_path / "own.pem")
    text = text.replace(str(tmp_path / "own.pem"), "")
    assert read(text).routes["/a"].ca_file == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("none.pem", "cannot be read: no such file", id="no file"),
        pytest.param(".", "cannot be read: ", id="a folder"),
        pytest.param("empty.pem", "contains no certificate: expected PEM", id="empty"),
        pytest.param("key.pem", "contains no certificate: expected PEM", id="a key"),
    ],
)
def test_a_ca_file_without_a_certificate_is_refused(
    refuse: Refuse, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "empty.pem").touch()
    trustme.CA().private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (fault,) = refuse(ROUTE.format('"https://a"') + f'ca_file = "{name}"\n')
    assert fault.startswith('config.toml: [routes."/a"] ca_file: ')
    assert words in fault


# -- balance, health checks


@pytest.mark.parametrize(
    "value",
    ["least_open", "client", "header:X-User", "header:Host", "cookie:a.b", "cookie:A"],
)
def test_a_balance_is_taken_as_it_is_written(read: Load, value: str) -> None:
    text = ROUTE.format('"http://a"') + f'balance = "{value}"\n'
    assert read(text).routes["/a"].balance == value
    text = '[defaults]\nbalance = "${B}"\n' + ROUTE.format('"http://a"')
    assert read(text, {"B": value}).routes["/a"].balance == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("", 'expected "least_open", "client", "header:NAME" or '
                     '"cookie:NAME", got ""', id="empty"),
        pytest.param("Client", 'expected "least_open"', id="case"),
        pytest.param("X-User", 'expected "least_open"', id="a bare name"),
        pytest.param("query:a", 'expected "least_open"', id="a query"),
        pytest.param("header:", '"header:" does not end in a valid field name',
                     id="no name"),
        pytest.param("header:a b", '"header:a b" does not end in a valid field name',
                     id="a space"),
        pytest.param("cookie:a;b", '"cookie:a;b" does not end in a valid cookie name',
                     id="a semicolon"),
        pytest.param("header:Cookie", 'the field Cookie has all cookies of a client: '
                     'write "cookie:NAME"', id="all cookies"),
        pytest.param("ip_hash", '"ip_hash" is not known here: write "client"',
                     id="of nginx"),
        pytest.param("round-robin", '"round-robin" is not known here: write '
                     '"least_open"', id="in turn"),
    ],
)  # fmt: skip
def test_another_balance_is_refused(refuse: Refuse, value: str, words: str) -> None:
    (fault,) = refuse(ROUTE.format('"http://a"') + f'balance = "{value}"\n')
    assert fault.startswith(f'config.toml: [routes."/a"] balance: {words}')


@pytest.mark.parametrize("value", ["", "/", "/health?a=%20&b"])
def test_a_health_path_is_taken_as_it_is_written(read: Load, value: str) -> None:
    text = ROUTE.format('"http://a"') + f'health_path = "{value}"\n'
    assert read(text).routes["/a"].health_path == value


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param('health_path = "health"', 'health_path: "health" is not a valid '
                     "path: write a path that begins with /", id="no slash"),
        pytest.param('health_path = "http://a/health"', "health_path: "
                     '"http://a/health" is not a valid path: write', id="a URL"),
        pytest.param('health_path = "/a b"', 'health_path: "/a b" is not a valid path: '
                     "percent-encode", id="a space"),
        pytest.param('health_path = "/a#b"', "health_path: ", id="a fragment"),
        pytest.param('health_path = "/\\r\\nX: y"', "health_path: ", id="a line"),
        pytest.param("health_interval_seconds = 0", "health_interval_seconds: expected "
                     "a finite number greater than 0, got the integer 0",
                     id="no interval"),
        pytest.param("health_timeout_seconds = -1", "health_timeout_seconds: expected "
                     "a finite number greater than 0", id="no time"),
        pytest.param("unhealthy_after = 0", "unhealthy_after: expected an integer from "
                     "1 to 1000", id="at once"),
        pytest.param("healthy_after = 1.5", "healthy_after: expected an integer",
                     id="a half"),
    ],
)  # fmt: skip
def test_checks_that_cannot_be_made_are_refused(
    refuse: Refuse, line: str, words: str
) -> None:
    (fault,) = refuse(ROUTE.format('"http://a"') + f"{line}\n")
    assert fault.startswith(f'config.toml: [routes."/a"] {words}')


def test_what_is_said_of_checks_without_any_is_a_warning(read: Load) -> None:
    text = ROUTE.format('"http://a"') + "unhealthy_after = 2\n"
    assert tuple(map(without_line, read(text).warnings)) == (
        'config.toml: [routes."/a"] unhealthy_after: has no effect without '
        'health_path: write health_path = "/"',
    )
    assert not read(text + 'health_path = "/h"\n').warnings
    defaults = "[defaults]\nunhealthy_after = 2\n"
    assert not read(defaults + ROUTE.format('"http://a"')).warnings
