"""The units of deploy/systemd, as systemd judges them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config.model import ServerOptions
from proxy.process.console import CUT, USAGE
from tests.deploy.files import ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICE = UNITS / "unbuffered.service"
FILES = sorted(UNITS.glob("unbuffered*"))
WORST = 20  # tenths: above 2.0 a line of the sandbox is missing
NEEDED = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units, with a command that is there."""
    for path in FILES:
        text = path.read_text("utf-8")
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text)
        (tmp_path / path.name).write_text(text, "utf-8")
    return [str(tmp_path / path.name) for path in FILES]


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@NEEDED
def test_every_unit_is_valid(units: list[str]) -> None:
    found = analyzed("verify", "--man=no", *units)
    assert found.stderr == ""
    assert found.returncode == 0


@NEEDED
def test_the_service_is_well_shut_in(units: list[str]) -> None:
    (service,) = [each for each in units if each.endswith(".service")]
    found = analyzed(
        "security", "--offline=true", f"--threshold={WORST}", "--no-pager", service
    )
    assert found.returncode == 0, found.stdout[-2000:]


@NEEDED
def test_the_page_has_the_figure_of_this_version(units: list[str]) -> None:
    page = (ROOT / "docs" / "deploying.md").read_text("utf-8")
    [(version, figure)] = re.findall(
        r"`systemd-analyze security` of systemd (\d+) gives (\S+) of 10", page
    )
    if analyzed("--version").stdout.split()[1] != version:
        pytest.skip(f"not systemd {version}")
    (service,) = [each for each in units if each.endswith(".service")]
    told = analyzed("security", "--offline=true", "--no-pager", service).stdout
    assert f"Overall exposure level for unbuffered.service: {figure} " in told


@NEEDED
@pytest.mark.parametrize("line", ["SupplementaryGroups=", "LoadCredential="])
def test_what_is_to_be_chosen_is_valid_once_it_is(tmp_path: Path, line: str) -> None:
    text = SERVICE.read_text("utf-8").replace(f"\n#{line}", f"\n{line}")
    assert f"\n{line}" in text
    text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text)
    path = tmp_path / SERVICE.name
    path.write_text(text, "utf-8")
    found = analyzed("verify", "--man=no", str(path))
    assert (found.stderr, found.returncode) == ("", 0)


def test_a_wrong_configuration_is_not_started_again() -> None:
    text = SERVICE.read_text("utf-8")
    assert f"\nRestartPreventExitStatus={USAGE}\n" in text
    assert f"\nSuccessExitStatus={CUT}\n" in text


def test_a_stop_has_time_for_the_drain() -> None:
    """As docs/deploying.md says: drain_delay_seconds + drain_seconds + 5."""
    found = re.search(r"(?m)^TimeoutStopSec=(\d+)$", SERVICE.read_text("utf-8"))
    assert found is not None
    defaults = ServerOptions()
    needed = defaults.drain_delay_seconds + defaults.drain_seconds + 5
    assert int(found[1]) == needed


def test_the_page_shows_the_unit_as_it_is() -> None:
    page = (ROOT / "docs" / "deploying.md").read_text("utf-8")
    for path in FILES:
        assert path.name in page
