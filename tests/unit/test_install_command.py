"""What to type where a package is missing: as this Python was filled."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from proxy.system.install_command import ROOT, Installation, install_command
from upstream_demo import demo

REQUIRES = (
    "aiohttp>=3.14.3",
    "backports.zstd>=1.0; python_version < '3.14'",
    "openai>=2.0; extra == 'demo'",
    'redis>=6 ; extra == "redis"',
    "hiredis>=3; (python_version > '3') and extra == 'redis'",
)
BESIDE = Path(__file__).parents[2]  # also where the package is installed elsewhere
PROJECT = tomllib.loads((BESIDE / "pyproject.toml").read_text("utf-8"))["project"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="cmd quotes in another way")


def here(
    folder: Path,
    *,
    requires: tuple[str, ...] | None = REQUIRES,
    has_pip: bool = True,
    on_path: str = "",
) -> Installation:
    return Installation(
        prefix=folder,
        python=str(folder / "bin" / "python"),
        requires=requires,
        has_pip=has_pip,
        which=lambda _: on_path or None,
    )


@posix
@pytest.mark.parametrize(
    ("receipt", "command"),
    [
        pytest.param(
            '{ name = "unbuffered", directory = "/home/me/my clone" }',
            "uv tool install '/home/me/my clone[demo]'",
            id="a clone",
        ),
        pytest.param(
            '{ name = "unbuffered", editable = "/c" }',
            "uv tool install --editable '/c[demo]'",
            id="a clone, editable",
        ),
        pytest.param(
            '{ name = "unbuffered", extras = ["otel", "demo"], directory = "/c" }',
            "uv tool install '/c[otel,demo]'",
            id="other extras",
        ),
        pytest.param(
            '{ name = "unbuffered", directory = "/c" }, { name = "rich" }',
            "uv tool install '/c[demo]' --with rich",
            id="beside other packages",
        ),
        pytest.param(
            '{ name = "unbuffered", git = "https://h/r" }',
            "uv tool install 'unbuffered[demo] @ git+https://h/r'",
            id="git",
        ),
        pytest.param(
            '{ name = "unbuffered", path = "/w/u.whl" }',
            "uv tool install 'unbuffered[demo] @ /w/u.whl'",
            id="a wheel",
        ),
        pytest.param(
            '{ name = "unbuffered" }',
            "uv tool install 'unbuffered[demo]'",
            id="an index",
        ),
        pytest.param("1", "uv tool install 'unbuffered[demo]'", id="unreadable"),
    ],
)
def test_a_tool_of_uv_is_installed_again_from_where_it_came(
    tmp_path: Path, receipt: str, command: str
) -> None:
    text = f"[tool]\nrequirements = [{receipt}]\n"
    (tmp_path / "uv-receipt.toml").write_text(text, "utf-8")
    assert install_command("demo", here(tmp_path, has_pip=False)) == command


@posix
def test_pipx_gets_the_packages(tmp_path: Path) -> None:
    (tmp_path / "pipx_metadata.json").write_text("{}", "utf-8")
    assert install_command("redis", here(tmp_path)) == (
        "pipx inject unbuffered 'redis>=6' 'hiredis>=3'"
    )


@posix
def test_pip_is_that_of_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, python = str(tmp_path / "bin" / "pip"), tmp_path / "bin" / "python"
    short = "pip install 'unbuffered[demo]'"
    assert install_command("demo", here(tmp_path, on_path=own)) == short
    for other in ("", "/usr/bin/pip"):
        long = install_command("demo", here(tmp_path, on_path=other))
        assert long == f"{python} -m {short}"
    monkeypatch.chdir(tmp_path)
    assert install_command("demo", here(tmp_path)) == f"./bin/python -m {short}"


@posix
def test_without_pip_it_is_uv_and_the_packages(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    assert install_command("demo", here(tmp_path, has_pip=False)) == (
        f"uv pip install --python {python} 'openai>=2.0'"
    )


def test_a_clone_that_is_installed_nowhere_is_installed(tmp_path: Path) -> None:
    told = install_command("demo", here(tmp_path, requires=None))
    assert f"{ROOT}[demo]" in told


def test_here_it_is_a_command() -> None:
    assert "install" in install_command("demo")


def test_every_extra_that_is_asked_for_is_one() -> None:
    """The texts that name one: in the code, `install_command("…")`."""
    asked = set()
    for package in ("proxy", "upstream_demo"):
        for path in (ROOT / package).rglob("*.py"):
            for part in path.read_text("utf-8").split("install_command(")[1:]:
                if part[0] in "'\"":
                    asked.add(part[1:].partition(part[0])[0])
    asked.add(demo.EXTRA)
    assert asked == set(PROJECT["optional-dependencies"])


DOES_WITHOUT = {"markdown-it-py"}  # the demo shows docs/ as text then


def test_what_the_demo_looks_for_is_what_its_extra_installs() -> None:
    names = [
        each.partition(">")[0] for each in PROJECT["optional-dependencies"]["demo"]
    ]
    assert {*names} == {*demo.PACKAGES, *DOES_WITHOUT}


def test_a_plain_installation_has_nothing_that_only_the_demo_uses() -> None:
    """Each dependency is imported by the proxy itself."""
    of_proxy = "\n".join(
        path.read_text("utf-8") for path in (ROOT / "proxy").rglob("*.py")
    )
    for each in PROJECT["dependencies"]:
        name = re.split(r"[^\w]", each)[0]
        assert f"import {name}" in of_proxy or f"from {name}" in of_proxy, name


def test_what_is_missing_is_told_in_one_line_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module("proxy.cli.main").main
    monkeypatch.setattr(demo, "PACKAGES", ("no_such_package", "asyncio"))
    assert find_spec("no_such_package") is None
    assert main(["demo", "--no-open", "--port", "0"]) == 1
    assert capsys.readouterr().err == (
        "unbuffered: the demo needs the package no_such_package: "
        f"{install_command('demo')}\n"
    )
