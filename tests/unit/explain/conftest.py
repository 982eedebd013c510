"""`unbuffered explain` as a person runs it: a file, a command line, an account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.cli.main import main, parser
from proxy.config.load import load
from proxy.tools.explain.command import explain
from proxy.tools.explain.result import Account

Explain = Callable[..., Account]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def account(tmp_path: Path) -> Explain:
    """The account of a request under the text of a configuration."""

    def explained(text: str, *arguments: str, **environ: str) -> Account:
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        options = parser().parse_args(["explain", *arguments])
        return explain(options, load(path, environ))

    return explained


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The exit status, the output and the errors of the command."""

    def ran(text: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        Path("config.toml").write_text(text, "utf-8")
        try:
            status = main(["explain", *arguments])
        except SystemExit as left:
            status = int(str(left.code))
        output = capsys.readouterr()
        return status, output.out, output.err

    return ran
