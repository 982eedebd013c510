"""A configuration is written as a file and read as a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import ConfigError

LINE = re.compile(r"\bline \d+: ")
Load = Callable[..., Config]
Refuse = Callable[..., list[str]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as `config.toml`."""
    monkeypatch.chdir(tmp_path)

    def read_text(
        text: str | bytes,
        environ: Mapping[str, str] = {},
        overrides: Mapping[str, object] = {},
    ) -> Config:
        path = Path("config.toml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return load(path, environ, overrides)

    return read_text


@pytest.fixture
def refuse(read: Load) -> Refuse:
    """The faults of a text that must not load, without the line of each."""

    def refused_text(
        text: str | bytes,
        environ: Mapping[str, str] = {},
        overrides: Mapping[str, object] = {},
    ) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text, environ, overrides)
        assert str(caught.value) == "\n".join(caught.value.faults)
        assert all(len(fault.splitlines()) == 1 for fault in caught.value.faults)
        return [without_line(fault) for fault in caught.value.faults]

    return refused_text


def without_line(fault: str) -> str:
    """A fault or a warning that does not say in which line it is."""
    return LINE.sub("", fault, count=1)
