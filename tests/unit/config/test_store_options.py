"""`[store]` with a server that several proxies share: what it takes, what it hides."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.effective import report
from proxy.config.load import load
from proxy.config.model import Config
from proxy.config.store_url import StoreUrl, parse_store_url, place_of
from proxy.errors import ConfigError
from proxy.process.reload import asks_for_restart
from proxy.system.install_command import install_command

Refuse = Callable[[str], list[str]]

ROUTE = '\n[routes."/a"]\ntarget = "http://upstream"\n'
PASSWORD = "pa55word"
KEY = "0123456789abcdef-this-is-secret"


@pytest.mark.parametrize(
    ("url", "place", "parts"),
    [
        pytest.param("redis://cache", "redis://cache:6379", {"host": "cache"},
                     id="a host"),
        pytest.param("redis://cache:7000/3", "redis://cache:7000 (db 3)",
                     {"host": "cache", "port": 7000, "db": 3}, id="a database"),
        pytest.param("redis://u:pa55word@cache:7000", "redis://cache:7000",
                     {"username": "u", "password": PASSWORD}, id="a user"),
        pytest.param("redis://:pa%2F55%40@cache", "redis://cache:6379",
                     {"username": "", "password": "pa/55@"}, id="escapes"),
        pytest.param("rediss://[::1]:7000", "rediss://[::1]:7000",
                     {"tls": True, "host": "::1"}, id="TLS"),
        pytest.param("rediss://a?ssl_ca_certs=/a.pem&ssl_check_hostname=false",
                     "rediss://a:6379",
                     {"options": {"ssl_ca_certs": "/a.pem",
                                  "ssl_check_hostname": "false"}}, id="options"),
        pytest.param("unix:///run/redis.sock?db=2&password=pa55word",
                     "unix:///run/redis.sock (db 2)",
                     {"path": "/run/redis.sock", "db": 2, "password": PASSWORD},
                     id="a socket"),
    ],
)  # fmt: skip
def test_an_address_is_read(url: str, place: str, parts: dict[str, object]) -> None:
    found = parse_store_url(url)
    assert found.place == place == place_of(url)
    assert {key: getattr(found, key) for key in parts} == parts


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param("cache:6379", "expected redis://host:port, rediss://host:port or "
                     "unix:///path", id="no scheme"),
        pytest.param("http://cache", "expected redis://host:port, rediss://host:port "
                     "or unix:///path", id="another scheme"),
        pytest.param("redis://", "has no host: expected redis://host:port",
                     id="no host"),
        pytest.param("redis://:pa55word@", "has no host: expected redis://host:port",
                     id="a password only"),
        pytest.param("redis://u@cache", "has a user without a password: write "
                     "redis://user:password@host, or redis://:password@host for the "
                     "default user", id="no password"),
        pytest.param("unix://run/redis.sock", "expected an absolute path: "
                     "unix:///run/redis.sock", id="a relative path"),
        pytest.param("unix:///", "expected an absolute path: unix:///run/redis.sock",
                     id="no path"),
        pytest.param("redis://cache?ssl_ca_certs=/a", 'unknown parameter '
                     '"ssl_ca_certs": expected db, username or password; ESCAPES',
                     id="TLS without TLS"),
        pytest.param("redis://cache?PA55word", "unknown parameter: expected db, "
                     "username or password; ESCAPES", id="a password behind a ?"),
        pytest.param("rediss://cache?ssl_check_hostname=no",
                     "ssl_check_hostname must be true or false", id="no boolean"),
        pytest.param("redis://:pa55%word@cache", "a % does not start an escape: "
                     "ESCAPES", id="a %"),
        pytest.param("redis://:pa55/word@cache", "host or port cannot be read: ESCAPES",
                     id="a slash"),
        pytest.param("redis://:pa55#word@cache", "host or port cannot be read: ESCAPES",
                     id="a hash"),
        pytest.param("redis://cache/#pa55word", "a # is not allowed: ESCAPES",
                     id="a fragment"),
        pytest.param("redis://cache/pa55word", "the database behind the port must be a "
                     "number: ESCAPES", id="no number"),
        pytest.param("redis://cache:port", "host or port cannot be read: ESCAPES",
                     id="no port"),
        pytest.param("redis://ca che", "contains a space or a control character",
                     id="a space"),
    ],
)  # fmt: skip
def test_a_faulty_address_is_refused_and_not_shown(
    refuse: Refuse, url: str, fault: str
) -> None:
    fault = fault.replace(
        "ESCAPES",
        "percent-encode what is special in the password (@ : / ? # % as %40 %3A …)",
    )
    assert refuse(f"[store]\nurl = '{url}'{ROUTE}") == [
        f"config.toml: [store] url: {fault}"
    ]
    assert place_of(url) == "****"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        pytest.param("url = 'redis://a'\nkey = 'short'", "key: expected 16 characters "
                     "or more: make one with `openssl rand -base64 32`",
                     id="a short key"),
        pytest.param("key = 5", "key: expected a string, got an integer", id="no text"),
        pytest.param("url = ['redis://:pa55word@a']", "url: expected a string, got a "
                     "list", id="a list"),
        pytest.param("key = '${STORE_KEY}'", "key: the environment variable STORE_KEY "
                     "is not set: set it, or write ${STORE_KEY:-default}", id="unset"),
        pytest.param("prefix = ''", "prefix: expected 1 to 64 letters, digits and any "
                     'of . _ : / -, got ""', id="no prefix"),
        pytest.param("prefix = '{a}'", "prefix: expected 1 to 64 letters, digits and "
                     'any of . _ : / -, got "{a}"', id="a hash tag"),
    ],
)  # fmt: skip
def test_faults(refuse: Refuse, lines: str, fault: str) -> None:
    [told] = refuse(f"[store]\n{lines}{ROUTE}")
    assert told == f"config.toml: [store] {fault}"
    assert PASSWORD not in told


def loaded(tmp_path: Path, lines: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(f"[store]\n{lines}{ROUTE}")
    return load(path, {"PASSWORD": PASSWORD, "STORE_KEY": KEY, "EMPTY": ""})


def test_no_secret_is_reported(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        'url = "redis://user-1:${PASSWORD}@cache/2"\nkey = "${STORE_KEY}"\n'
        'prefix = "p"',
    )
    told = report(config)
    assert re.search(r'\[store\]\n +url +"redis://cache:6379 \(db 2\)"', told)
    assert re.search(r"\n +key +\*\*\*\* ", told)
    assert re.search(r'\n +prefix +"p" ', told)
    for secret in (PASSWORD, KEY, "user-1"):
        assert secret not in told
    assert parse_store_url(config.store.url) == StoreUrl(
        "redis://cache:6379 (db 2)",
        False,
        "",
        "cache",
        6379,
        2,
        "user-1",
        PASSWORD,
        {},
    )


def test_a_key_without_a_server_is_warned_of(tmp_path: Path) -> None:
    [warning] = loaded(tmp_path, f"key = '{KEY}'").warnings
    assert "[store] key: has no effect without url" in warning
    assert KEY not in warning


def test_an_empty_variable_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, "url = 'redis://a'\nkey = '${EMPTY}'")
    [fault] = refused.value.faults
    assert fault.endswith("[store] key: ${EMPTY} is empty")


def test_an_empty_default_leaves_the_store_out(tmp_path: Path) -> None:
    config = loaded(tmp_path, "url = '${NOT_THERE:-}'\nkey = '${NOT_THERE:-}'")
    assert (config.store.url, config.store.key, config.warnings) == ("", "", ())


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        pytest.param("url = 'redis://b:1'", "[store] url", id="url"),
        pytest.param(f"url = 'redis://a:1'\nkey = '{KEY}'", "[store] key", id="key"),
        pytest.param("url = 'redis://:pa55word@b'\nprefix = 'p'",
                     "[store] url, prefix", id="two"),
    ],
)  # fmt: skip
def test_another_server_requires_a_restart(
    tmp_path: Path, lines: str, told: str
) -> None:
    before, after = loaded(tmp_path, "url = 'redis://a:1'"), loaded(tmp_path, lines)
    refusal = asks_for_restart(before, after)
    assert refusal == f"{told}: another value requires a restart"
    assert asks_for_restart(after, after) == ""


def test_packages_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proxy.config import store_checks

    monkeypatch.setattr(store_checks, "PACKAGES", ("redis", "no_such_package"))
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, "url = 'redis://a'")
    [fault] = refused.value.faults
    assert fault.endswith(
        "[store] url: needs the packages redis, hiredis and cryptography: "
        f"{install_command('redis')}, or remove url"
    )
