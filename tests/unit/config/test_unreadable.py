"""Whatever a file holds that is no configuration: a fault of the file, not of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.errors import ConfigError
from proxy.process.reload import faults_of


def absent(path: Path) -> None:
    pass


def folder(path: Path) -> None:
    path.mkdir()


def in_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def of(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


WAYS = {
    "no file": absent,
    "a folder": folder,
    "a file for a folder": in_a_file,
    "a link to itself": link_to_itself,
    "not UTF-8": of(b"a = '\xff'"),
    "UTF-16": of("[server]\n".encode("utf-16")),
    "a zero byte": of(b"[server]\n\0"),
    "no value": of(b"port = yes"),
    "a table that is not closed": of(b"[server\nport = 1"),
    "a string that is not closed": of(b"a = 'x"),
    "a key twice": of(b"a = 1\na = 2"),
    "a table twice": of(b"[a]\n[a]"),
    "a value and a table": of(b"a = 1\n[a.b]"),
    "an escape that is none": of(b'a = "\\q"'),
    "a code point that is none": of(b'a = "\\ud800"'),
    "a date that is none": of(b"a = 2026-13-41"),
    "a time that is none": of(b"a = 25:61:00"),
    "an integer that is too long": of(b"a = " + b"9" * 5000),
    "lists too deep": of(b"a = " + b"[" * 100_000),
    "tables too deep": of(b"a = " + b"{a=" * 100_000),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_no_toml_is_one_line_at_a_reload(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "config.toml"
    path.parent.mkdir()
    WAYS[way](path)
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    (line,) = faults_of(refused.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert caplog.messages == []  # such as an internal error with its traceback
