"""Completion, asked of the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.cli.completion import completion
from proxy.cli.main import COMMANDS, SHELLS, main, parser


def ask(shell: str, tmp_path: Path, text: str) -> str:
    """What a shell says to a text, with the completion in the file `script`."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(completion(parser(), shell), "utf-8")
    (tmp_path / "config.toml").touch()
    plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    return subprocess.run(
        [program, *plain, "-c", text],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param('unbuffered ""', set(COMMANDS), id="commands"),
        pytest.param("unbuffered ex", {"explain"}, id="a command"),
        pytest.param('unbuffered completion ""', set(SHELLS), id="choices"),
        pytest.param("unbuffered serve --wa", {"--watch"}, id="an option"),
        pytest.param("unbuffered check --config c", {"config.toml"}, id="a file"),
        pytest.param("unbuffered import c", {"config.toml"}, id="a file to import"),
        pytest.param("unbuffered init --output c", {"config.toml"}, id="a new file"),
    ],
)
def test_bash_completes(tmp_path: Path, words: str, found: set[str]) -> None:
    text = f"""
        source ./script
        COMP_WORDS=({words})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        $(complete -p unbuffered | sed 's/.*-F \\([^ ]*\\).*/\\1/') unbuffered
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert set(ask("bash", tmp_path, text).split()) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param("unbuffered ", set(COMMANDS), id="commands"),
        pytest.param("unbuffered ex", {"explain"}, id="a command"),
        pytest.param("unbuffered completion ", set(SHELLS), id="choices"),
        pytest.param("unbuffered serve --wa", {"--watch"}, id="an option"),
        pytest.param("unbuffered check --config c", {"config.toml"}, id="a file"),
    ],
)
def test_fish_completes(tmp_path: Path, words: str, found: set[str]) -> None:
    output = ask("fish", tmp_path, f"source ./script; complete -C '{words}'")
    assert {line.split("\t")[0] for line in output.splitlines()} == found


def test_zsh_takes_the_completion(tmp_path: Path) -> None:
    """What it offers is seen in a terminal only."""
    text = """
        cp script _unbuffered
        fpath=($PWD $fpath)
        autoload -U compinit && compinit -u -D
        autoload +X $_comps[unbuffered] && print -r -- $_comps[unbuffered]
    """
    assert ask("zsh", tmp_path, text).strip() == "_unbuffered"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == completion(parser(), shell) + "\n"
