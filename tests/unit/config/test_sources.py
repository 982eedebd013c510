"""Where each value of a configuration comes from, and which ones differ.

For every key of the model, in every table and array: from a file, from the environment,
from `[defaults]`, from `[server]` and from the command line.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.effective import report
from proxy.config.kept_options import SWITCHES
from proxy.config.load import PLAIN_TABLES, load
from proxy.config.model import CertificateOptions, ListenOptions
from proxy.config.reader import fields_of
from proxy.config.route import Route
from tests.support.certificates import Authority

FILE = "config.toml"
TARGET = 'target = "http://upstream"'
ROUTE = '[routes."/a"]'
ROW = re.compile(r"  (\S+)  +(.*\S)  +(\S.*)")
# What another value than the default is, where the type does not say it.
VALUES: dict[str, str] = {
    "server.host": '"localhost"',
    "server.admin": '"127.0.0.1:9"',
    "server.trusted_proxies": '["10.0.0.1"]',
    "server.tls_certificate": '"cert.pem"',
    "server.tls_key": '"key.pem"',
    "inspector.token": '"0123456789abcdef"',
    "metrics.token": '"0123456789abcdef"',
    "store.url": '"redis://host:1"',
    "store.key": '"0123456789abcdef"',
    "store.prefix": '"p"',
    "listen.host": '"127.0.0.3"',
    "listen.tls_certificate": '"cert.pem"',
    "listen.tls_key": '"key.pem"',
    "certificate.tls_certificate": '"cert.pem"',
    "certificate.tls_key": '"key.pem"',
    "route.balance": '"client"',
    "route.ca_file": '"root.pem"',
    "route.client_by": '"header:X"',
    "route.health_path": '"/h"',
    "route.redirect_rewrite": "true",
    "route.resume": "true",
    "route.share": "true",
    "route.resume.bind": '["X"]',
    "route.resume.key": '"query:k"',
    "route.resume.path": '"/p/{key}"',
    "route.resume.stop": '"/s/{key}"',
    "route.share.by": '["X"]',
    "route.target": '"http://other"',
    "route.fault": '{ kind = "fin" }',
    "route.path_rewrite": '{ "^/a" = "" }',
    "route.cookie_domain_rewrite": '{ "a.b" = "c.d" }',
    "route.cookie_path_rewrite": '{ "/x" = "/y" }',
    "route.headers": '{ request = { set = { X = "y" } } }',
}
# What has to be said beside a key: the table, the key and the value.
BESIDE: dict[str, list[tuple[str, str, str]]] = {
    "server.tls_key": [("server", "tls_certificate", '"cert.pem"')],
    "listen.tls_key": [("listen", "tls_certificate", '"cert.pem"')],
    "listen.https_redirect": [
        ("server", "tls_certificate", '"cert.pem"'),
        ("server", "tls_key", '"key.pem"'),
    ],
    "server.tls_certificate": [("server", "tls_key", '"key.pem"')],
    "listen.tls_certificate": [("listen", "tls_key", '"key.pem"')],
    "certificate.tls_key": [("certificate", "tls_certificate", '"cert.pem"')],
    "certificate.tls_certificate": [("certificate", "tls_key", '"key.pem"')],
    "route.resume.key": [("route", "resume.bind", '["X"]')],
    "route.resume.path": [
        ("route", "resume.bind", '["X"]'),
        ("route", "resume.key", '"query:k"'),
    ],
    "route.resume.stop": [
        ("route", "resume.bind", '["X"]'),
        ("route", "resume.key", '"query:k"'),
    ],
    "route.heartbeat_before_head": [("route", "heartbeat_seconds", "15")],
    "route.fault": [("server", "allow_faults", "true")],
}
# What cannot be said together.
AGAINST = {
    "listen.https_redirect": "listen.tls_",
    "route.on_client_leave": "route.resume",
}
# How the rows of keys that hold tables are called.
LEAF = {
    "route.path_rewrite": 'path_rewrite."^/a"',
    "route.cookie_domain_rewrite": 'cookie_domain_rewrite."a.b"',
    "route.cookie_path_rewrite": 'cookie_path_rewrite."/x"',
    "route.headers": "headers.request.set.X",
}
FLAGS = ("server.host", "server.port", "server.workers", "log.format")
TITLES = {
    "listen": "[[listen]] number 1",
    "certificate": "[[certificate]] number 1",
    "route": ROUTE,
}


@functools.cache
def keys() -> dict[str, Any]:
    """Each key of the model with its declaration, called as in the tables above."""
    tables: dict[str, type[msgspec.Struct]] = {
        **PLAIN_TABLES,
        "listen": ListenOptions,
        "certificate": CertificateOptions,
        "route": Route,
        **{f"route.{name}": model for name, model in SWITCHES.items()},
    }
    return {
        f"{table}.{key}": each
        for table, model in tables.items()
        for key, each in fields_of(model).items()
    }


def other_value(key: str) -> str:
    """Another value than its default, as TOML writes it."""
    if key in VALUES:
        return VALUES[key]
    field = keys()[key]
    kind: Any = field.type
    while typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (typing.Union, UnionType):
        kinds = typing.get_args(kind)
        named = [each for each in kinds if typing.get_origin(each) is Literal]
        if bool in kinds:
            return "true" if field.default is not True else "false"
        assert named or int in map(bare, kinds), key
        return "2"
    if typing.get_origin(kind) is Literal:
        texts = typing.get_args(kind)
        return f'"{next(each for each in texts if each != field.default)}"'
    if kind is bool:
        return str(not field.default).lower()
    assert kind in (int, float), f"VALUES has nothing for {key}"
    default = field.default if isinstance(field.default, int | float) else 0
    return str(int(default) + 1)


def bare(kind: Any) -> Any:
    """A type without what limits it."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def default_value(key: str) -> str | None:
    """Its default, as TOML writes it; None: it has none, or none can be written."""
    default = keys()[key].default
    match default:
        case bool():
            return str(default).lower()
        case int() | float():
            return f"{default:.15g}"
        case str():
            return f'"{default}"' if default or key.startswith("route.resume") else None
        case tuple() if default and isinstance(default[0], str):
            return f"[{', '.join(f'{chr(34)}{each}{chr(34)}' for each in default)}]"
    return None


def document(said: Mapping[str, str], *, route: str = ROUTE) -> str:
    """A configuration that says these keys; those of routes in `route`."""
    tables: dict[str, list[str]] = {ROUTE: [TARGET]}
    for name, value in said.items():
        table, key = name.split(".", 1)
        place = {"route": route}.get(table, f"[{table}]")
        if table in ("listen", "certificate"):
            place = f"[{place}]"
        rows = tables.setdefault(place, [])
        if key == "target":
            rows.remove(TARGET)
        rows.append(f"{key} = {value}")
    if "[[listen]]" in tables and "listen.port" not in said:
        tables["[[listen]]"].append("port = 5")
    return "\n".join("\n".join([place, *rows]) for place, rows in tables.items())


def rows_of(text: str) -> dict[tuple[str, str], str]:
    """Table and key of each row of a report, with its source."""
    found, title = {}, ""
    for line in text.splitlines():
        if line.startswith("  "):
            key, source = line.split()[0], re.split(r"  +", line)[-1]
            found[title, key] = source
        else:
            title = line
    return found


def told(name: str) -> tuple[str, str]:
    """Where a report has a key."""
    table, key = name.split(".", 1)
    return TITLES.get(table, f"[{table}]"), LEAF.get(name, key)


def whole(name: str, value: str) -> dict[str, str]:
    """A key with what has to stand beside it."""
    said = {f"{table}.{key}": text for table, key, text in BESIDE.get(name, [])}
    return said | {name: value}


def expected(said: Mapping[str, str], source: str) -> dict[tuple[str, str], str]:
    """The rows of what is said in one place."""
    rows = {told(name): source for name in said}
    for name in said:
        for switch in SWITCHES:
            if name.startswith(f"route.{switch}."):
                rows[ROUTE, switch] = source
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the files that a configuration may name."""
    found = tmp_path_factory.mktemp("sources")
    Authority(found)
    return found


@pytest.fixture(autouse=True)
def beside_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def rows(
    text: str,
    *,
    everything: bool = False,
    environ: Mapping[str, str] = {},
    flags: Mapping[str, object] = {},
) -> dict[tuple[str, str], str]:
    """What `check` prints of a text; without what every configuration here says."""
    Path(FILE).write_text(text, "utf-8")
    return rows_of(report(load(Path(FILE), environ, flags), everything=everything))


ALWAYS = {(ROUTE, "target"): FILE}
PORT = {("[[listen]] number 1", "port"): FILE}


def beside(name: str) -> dict[tuple[str, str], str]:
    """What stands there, whatever is looked at."""
    return ALWAYS | (PORT if name.startswith("listen.") else {})


@pytest.mark.parametrize("name", keys())
def test_another_value_is_told_with_the_file(name: str) -> None:
    said = whole(name, other_value(name))
    assert rows(document(said)) == beside(name) | expected(said, FILE)


@pytest.mark.parametrize(
    "name", [name for name in keys() if default_value(name) is not None]
)
def test_what_is_written_as_it_is_by_default_differs_from_nothing(name: str) -> None:
    value = default_value(name)
    assert value is not None
    found = rows(document({name: value}))
    switch = {each for each in found if each[1] in SWITCHES}
    assert found.keys() - switch == beside(name).keys()
    table, key = told(name)
    assert rows(document({name: value}), everything=True)[table, key] == FILE


@pytest.mark.parametrize(
    "name", [name for name in keys() if other_value(name)[0] in '"-0123456789']
)
def test_a_value_from_the_environment_is_told_with_its_name(name: str) -> None:
    said = whole(name, other_value(name))
    value = said[name].strip('"')
    said[name] = '"${V}"'
    found = rows(document(said), environ={"V": value})
    assert found[told(name)] == f"{FILE}, ${{V}}"
    assert found.keys() == (beside(name) | expected(said, FILE)).keys()
    if "{" in value:
        return  # what a default cannot have in it
    said[name] = f'"${{V:-{value}}}"'
    assert rows(document(said))[told(name)] == f"{FILE}, ${{V}} (default)"


OF_DEFAULTS = [
    name
    for name in keys()
    if name.startswith("route.")
    and name not in ("route.target", "route.fault", "route.path_rewrite")
]


@pytest.mark.parametrize("name", OF_DEFAULTS)
def test_what_a_route_has_of_the_defaults_is_told_with_them(name: str) -> None:
    said = whole(name, other_value(name))
    found = rows(document(said, route="[defaults]"))
    assert found == ALWAYS | expected(said, f"{FILE} [defaults]")


@pytest.mark.parametrize("name", FLAGS)
def test_the_command_line_wins_and_is_told(name: str) -> None:
    key = name.removeprefix("server.").replace(".", "-")
    value = other_value(name).strip('"')
    found = rows(document({}), flags={name: value})
    assert found == ALWAYS | {told(name): f"--{key}"}
    written = default_value(name)
    assert written is not None
    over = ALWAYS | {told(name): f"--{key}, not {FILE}"}
    assert rows(document({name: written}), flags={name: value}) == over
    text = document({name: other_value(name)})
    assert rows(text, flags={name: written.strip('"')}) == ALWAYS


@pytest.mark.parametrize(
    ("host", "environ", "flags", "source"),
    [
        pytest.param("", {}, {}, "default", id="default"),
        pytest.param('host = "::1"', {}, {}, f"{FILE} [server]", id="file"),
        pytest.param(
            'host = "${H}"', {"H": "::1"}, {}, f"{FILE} [server], ${{H}}", id="variable"
        ),
        pytest.param("", {}, {"server.host": "::1"}, "--host", id="flag"),
    ],
)
def test_a_listener_has_its_host_of_the_server(
    host: str, environ: Mapping[str, str], flags: Mapping[str, object], source: str
) -> None:
    """And so it differs from nothing."""
    text = f"[server]\n{host}\n[[listen]]\nport = 5\n{ROUTE}\n{TARGET}"
    place = "[[listen]] number 1", "host"
    assert place not in rows(text, environ=environ, flags=flags)
    whole = rows(text, everything=True, environ=environ, flags=flags)
    assert whole[place] == source


def test_a_route_that_says_what_the_defaults_do_not_is_told(folder: Path) -> None:
    text = f"[defaults]\nws = true\n{ROUTE}\n{TARGET}\nws = false\n"
    assert rows(text, everything=True)[ROUTE, "ws"] == FILE


@given(st.sets(st.sampled_from(sorted(keys())), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_of_any_keys_together_each_has_its_row_and_no_other(names: set[str]) -> None:
    said: dict[str, str] = {}
    for name in sorted(names):
        said |= whole(name, other_value(name))
    for name, others in AGAINST.items():
        if any(each.startswith(others) for each in said):
            said.pop(name, None)
    for switch in SWITCHES:  # it is a table, or true
        if any(name.startswith(f"route.{switch}.") for name in said):
            said.pop(f"route.{switch}", None)
    found = rows(document(said))
    listens = any(name.startswith("listen.") for name in said)
    assert found == ALWAYS | (PORT if listens else {}) | expected(said, FILE)
