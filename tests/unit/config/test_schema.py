"""The schema and `load` judge the form of a file alike."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from proxy.config.kept_options import SWITCHES
from proxy.config.load import PLAIN_TABLES, load
from proxy.config.reader import keys_of
from proxy.config.route import FieldRules, Route, RouteOptions
from proxy.config.schema import schema
from proxy.errors import ConfigError

SCHEMA = schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
TARGET = 'target = "http://upstream"\n'
# As TOML writes them: one of each kind that a key could take, and more.
VALUES = [
    "true", "0", "1", "1023", "1024", "65535", "65536", "-1", "1.5", "-0.5",
    "2026-01-01", '""', '"x"', '"always"', '"json"', '"event"', '"strip"', '"80"',
    '"true"', '"http://a"', '"${NO:-1}"', '"${NO:-true}"', '"${"', "[]", "[1]",
    '["x"]', '["::1"]', '["http://a"]', '["http://a", "http://b"]', "{}", "{ a = 1 }",
    '{ "*" = "" }', '{ "^/a" = "/b" }',
]  # fmt: skip
# Of these the schema knows the kind, and `load` the meaning.
MEANT = {
    "heartbeat_before_head", "admin",
    "host", "trusted_proxies", "tls_certificate", "tls_key", "target", "ca_file",
    "cookie_domain_rewrite", "cookie_path_rewrite", "path_rewrite",
    "headers.request.set", "headers.request.remove",
    "headers.response.set", "headers.response.remove",
    "resume.bind", "resume.key", "resume.path", "resume.stop", "share.by",
    "url", "key", "prefix",
}  # fmt: skip


def documents() -> Iterator[tuple[str, str]]:
    """Every key with every value, in every table that may have it."""
    tables = {f"[{name}]": keys_of(model) for name, model in PLAIN_TABLES.items()}
    tables["[defaults]"] = keys_of(RouteOptions)
    tables['[routes."/x"]'] = keys_of(Route)
    for table, keys in tables.items():
        names = [name for name in keys if name != "headers"]
        if "headers" in keys:
            names += [
                f"headers.{direction}.{name}"
                for direction in ("request", "response")
                for name in keys_of(FieldRules)
            ]
            for switch, model in SWITCHES.items():
                names += [f"{switch}.{name}" for name in keys_of(model)]
        for name in names:
            for value in VALUES:
                text = f"{table}\n{name} = {value}\n"
                if "routes" not in table:
                    text += '[routes."/x"]\n'
                yield name, text if name == "target" else text + TARGET


def loads(path: Path, text: str) -> bool:
    path.write_text(text, "utf-8")
    try:
        load(path, {})
    except ConfigError:
        return False
    return True


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_whatever_the_schema_refuses_does_not_load(tmp_path: Path) -> None:
    """And what it takes loads, where it is the kind alone that counts."""
    path = tmp_path / "config.toml"
    count = 0
    for name, text in documents():
        valid = VALIDATOR.is_valid(tomllib.loads(text))
        if valid and name in MEANT:
            continue
        # "${NO:-1}" is a string, and so in its form good for any number.
        if valid and "${" in text:
            continue
        assert loads(path, text) == valid, text
        count += 1
    assert count > 1000


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[routes."/x"]\ntarget = "http://a"', id="the smallest"),
        pytest.param('[routes."/"]\ntarget = "unix:/run/a.sock"', id="a socket"),
        pytest.param('[routes."/%E4%BD%A0"]\ntarget = "WSS://a"\nws = true',
                     id="encoded"),
        pytest.param('[routes."/x"]\ntarget = ["http://a", "${B:-http://b}"]',
                     id="a list"),
        pytest.param('[routes."/x"]\ntarget = ["http://a"]', id="a list of one"),
        pytest.param('[server]\nport = "${PORT:-1}"\n[routes."/x"]\n' + TARGET,
                     id="a number from the environment"),
        pytest.param('[routes."/x"]\nws = "${WS:-false}"\n' + TARGET,
                     id="a boolean from the environment"),
        pytest.param('[routes."/x"]\nheaders.request.set = { A-b = "c" }\n' + TARGET,
                     id="a field"),
        pytest.param('[routes."/x"]\nheaders.request.remove = ["${F:-A}"]\n' + TARGET,
                     id="the name of a field from the environment"),
        pytest.param('[routes."/x"]\ncookie_path_rewrite = ""\n' + TARGET,
                     id="a string for a table of cookies"),
        pytest.param('[routes."/x"]\nidle_timeout_seconds = 5\n' + TARGET,
                     id="an integer of seconds"),
        pytest.param('[routes."/x"]\nresume = true\nshare = "${S:-false}"\n' + TARGET,
                     id="switches"),
        pytest.param('[routes."/x".resume]\nbind = ["cookie:a", "B", "${C:-D}"]\n'
                     'key = "header:X-A"\npath = "/${P:-p}/{key}"\n'
                     'stop = "/a/{key}/b"\n[routes."/x"]\n' + TARGET,
                     id="a stream with a key"),
        *(
            pytest.param(f'[routes."/x"]\n{line}\n{TARGET}', id=line)
            for line in (
                'balance = "client"', 'balance = "header:X-A"',
                'balance = "${B:-client}"',
                'balance = "cookie:a"', 'health_path = "/a?b=%20"', 'health_path = ""',
                'health_path = "/${P:-a}"', 'unhealthy_after = "${N:-2}"',
            )
        ),
    ],
)  # fmt: skip
def test_what_people_write_is_taken_by_both(tmp_path: Path, text: str) -> None:
    assert loads(tmp_path / "config.toml", text)
    VALIDATOR.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[server]\nport = 1", id="no routes"),
        pytest.param("[routes]", id="an empty table of routes"),
        pytest.param('[routes."/x"]\nws = true', id="no target"),
        pytest.param('[routes."/x"]\ntarget = "localhost:8002"', id="no scheme"),
        pytest.param('[routes."/x"]\ntarget = []', id="an empty list"),
        pytest.param('[routes."x"]\n' + TARGET, id="a prefix without its slash"),
        pytest.param('[routes."/x/"]\n' + TARGET, id="a prefix that ends in a slash"),
        pytest.param('[routes."/x*"]\n' + TARGET, id="a wildcard"),
        pytest.param('[routes."/你"]\n' + TARGET, id="a prefix that is not encoded"),
        pytest.param('[routes]\n"/x" = "http://a"', id="the short form elsewhere"),
        pytest.param('[routes."/x"]\nchangeOrigin = true\n' + TARGET, id="camel case"),
        pytest.param('[sever]\n[routes."/x"]\n' + TARGET, id="an unknown table"),
        pytest.param('[defaults]\ntarget = "http://a"\n[routes."/x"]\n' + TARGET,
                     id="a target for all"),
        pytest.param('[routes."/x"]\nheaders.request.set = { "a b" = "" }\n' + TARGET,
                     id="no name of a field"),
        pytest.param('[routes."/x"]\nheaders.request.remove = ["a b"]\n' + TARGET,
                     id="no name of a field to remove"),
        pytest.param('[routes."/x"]\nheaders.requst.set = {}\n' + TARGET,
                     id="no direction"),
        *(
            pytest.param(f'[routes."/x"]\nresume = {{ {line} }}\n{TARGET}', id=line)
            for line in (
                'bind = ["a b"]', 'bind = [], key = "id"',
                'bind = [], key = "cookie:a"', 'bind = [], key = "header:a b"',
                'bind = [], key = "body:a", path = "/a"',
                'bind = [], key = "body:a", path = "a/{key}"',
                'bind = [], key = "body:a", path = "/{key}/{key}"',
                'bind = [], key = "body:a", stop = "/{key}?a"',
            )
        ),
        *(
            pytest.param(f'[routes."/x"]\n{line}\n{TARGET}', id=line)
            for line in (
                'balance = "header:"', 'balance = "header:a b"', 'balance = "clients"',
                'health_path = "a"', 'health_path = "/a#b"', 'health_path = "/a b"',
                "health_interval_seconds = 0", "unhealthy_after = 0",
            )
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_both(tmp_path: Path, text: str) -> None:
    assert not loads(tmp_path / "config.toml", text)
    assert not VALIDATOR.is_valid(tomllib.loads(text))


def test_every_key_has_a_meaning_and_its_default() -> None:
    def keys(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, each in node.get("properties", {}).items():
            yield name, each
            yield from keys(each)
            for form in each.get("anyOf", ()):
                yield from keys(form)

    route = SCHEMA["properties"]["routes"]["additionalProperties"]
    found = [*keys(SCHEMA), *keys(route)]
    assert all(each["description"] for _, each in found)
    tables = {*SCHEMA["properties"], "headers", "request", "response"}
    said = {"target", "redirect_rewrite", "kind"}
    assert {name for name, each in found if "default" not in each} == tables | said
