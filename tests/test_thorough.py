"""What is left out while developing is tried where it has to be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from hypothesis import settings

from tests.support.thorough import ALL, VARIABLE
from tests.unit.transport.test_splits import places
from tests.wire.conftest import pytest_asyncio_loop_factories

WHEN_IMPORTED = settings.default  # what a test has for good
ROOT = Path(__file__).parents[1]
RUN, README = ROOT / ".ci" / "run", ROOT / "README.md"


class Marked:
    """An item of a file with these marks."""

    def __init__(self, *marks: str) -> None:
        self.marks = marks

    def get_closest_marker(self, name: str) -> bool:
        return name in self.marks


def loops(request: pytest.FixtureRequest, *marks: str) -> list[str]:
    item = cast("pytest.Item", Marked(*marks))
    return [*pytest_asyncio_loop_factories(request.config, item)]


def test_all_is_tried_in_ci() -> None:
    """On other Pythons and compiled; the test command is what developers run."""
    lines = RUN.read_text("utf-8").splitlines()
    given = lines.index(f"export {VARIABLE}={ALL}")
    taken = lines.index(f"unset {VARIABLE}")
    tried = {line.split("make ")[1].split()[0]
             for line in lines[given:taken] if "try make " in line}  # fmt: skip
    assert tried >= {"matrix", "test-compiled"}
    (command,) = (line for line in lines[taken:] if line.endswith(" -m pytest"))
    assert command in README.read_text("utf-8")
    assert lines.count("try test_command") == 1


def test_a_file_is_run_by_one_process_and_what_drives_programs_by_one() -> None:
    """Two files of programs are run by one process, beside two of others."""
    folder = "tests/unit/http1"
    others = [f"{folder}/test_chunked.py", f"{folder}/test_framing.py"]
    programs = [f"tests/deploy/test_{name}.py" for name in ("kubernetes", "compose")]
    options = ("-n", "4", "-v", "-p", "no:cacheprovider")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *others, *programs],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    ran = re.findall(r"^\[(gw\d)\].* (tests/\S+?)::", ended.stdout, re.MULTILINE)
    by_file = {file: {by for by, each in ran if each == file} for _, file in ran}
    assert set(by_file) == {*others, *programs}, ended.stdout + ended.stderr
    assert [len(each) for each in by_file.values()] == [1] * 4
    assert by_file[programs[0]] == by_file[programs[1]]


def test_a_busy_machine_is_no_fault_of_a_test_wherever_it_is_imported() -> None:
    assert WHEN_IMPORTED is not None
    assert WHEN_IMPORTED.deadline is None
    assert WHEN_IMPORTED.max_examples in (25, 100)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has one loop")
def test_only_where_the_loop_does_not_matter_one_is_enough(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = loops(request)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert loops(request) == both
    assert loops(request, "any_loop") == both[:1]
    monkeypatch.setenv(VARIABLE, ALL)
    assert loops(request) == loops(request, "any_loop") == both


def test_a_message_is_cut_everywhere_and_otherwise_beside_each_end_of_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    monkeypatch.delenv(VARIABLE, raising=False)
    some = {*places(data, len(data))}
    assert some >= {14, 15, 16, 23, 24, 25, 26}
    monkeypatch.setenv(VARIABLE, ALL)
    assert [*places(data, len(data))] == [*range(len(data))]
    assert len(some) < len(data)
