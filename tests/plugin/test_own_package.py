"""Whose project has a module or package `proxy`: it is theirs, and they are told."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from tests.plugin.conftest import ONLY_NAMED, QUIET, ROOT

# Where Python puts the folder of the project, and where it does not: `python -m pytest`
# does, the command `pytest` leaves it to pytest.
STARTS = {"python -m pytest": (), "pytest": ("-P",)}
FORMS = ("proxy.py", "proxy/__init__.py")
FIXTURES = """
def test_a_proxy(unbuffered_proxy): pass
def test_a_script(stream_origin): pass
def test_a_record(replay): pass
def test_a_fault(broken): pass
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages in which Unbuffered is installed: its entry points."""
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    folder = tmp_path / "site" / "unbuffered-0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Name: unbuffered\nVersion: 0\n", "utf-8")
    lines = ["[pytest11]"]
    for name, place in manifest["project"]["entry-points"]["pytest11"].items():
        lines.append(f"{name} = {place}")
    (folder / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    return folder.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def put(project: Path, form: str, text: str = "") -> Path:
    """Give a project a module of its own."""
    path = project / form
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(text), "utf-8")
    return path


def python(
    project: Path, *arguments: str, first: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder of a project, where the packages are at hand."""
    paths = os.pathsep.join(map(str, dict.fromkeys((first, ROOT))))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**os.environ, **ONLY_NAMED, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    sys.stdout.write(done.stdout)  # what a failure needs
    return done


def run_tests(
    project: Path, site: Path, start: str
) -> subprocess.CompletedProcess[str]:
    """Run the tests of a project, with the plugin as an installation has it."""
    arguments = (*STARTS[start], "-m", "pytest", *QUIET, "-p", "unbuffered")
    return python(project, *arguments, first=site)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("form", FORMS)
def test_who_uses_no_fixture_has_a_proxy_of_their_own(
    project: Path, site: Path, form: str, start: str
) -> None:
    own = put(project, form, "mine = True")
    put(
        project,
        "test_stranger.py",
        f"""
        import proxy

        def test_it():
            assert proxy.mine
            assert proxy.__file__ == {str(own)!r}

        """,
    )
    lines = run_tests(project, site, start).stdout.splitlines()
    assert pytest.RunResult.parse_summary_nouns(lines) == {"passed": 1}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("form", FORMS)
def test_each_fixture_names_the_file_that_hides_the_package(
    project: Path, site: Path, form: str, start: str
) -> None:
    own = put(project, form)
    put(project, "test_stranger.py", FIXTURES)
    lines = run_tests(project, site, start).stdout.splitlines()
    assert pytest.RunResult.parse_summary_nouns(lines) == {"errors": 4}
    told = [line[1:].strip() for line in lines if line.startswith("E ")]
    assert told == 4 * [f"ImportError: {hidden_by(own)}"]


def hidden_by(file: Path) -> str:
    """What is said of a file that hides the package."""
    what, folder = "this file", file.parent
    if file.name == "__init__.py":
        what, folder = f"the folder {file.parent}", file.parents[1]
    return (
        f"{file} hides the package 'proxy' of unbuffered: rename {what}, or start "
        f"Python so that {folder} is not first on sys.path (as python -P does)"
    )


# Also where a module of the same name as ours is below it: it is never run.
USES = {
    "a name": "import unbuffered; unbuffered.Proxy",
    "from": "from unbuffered import asgi_app",
    "the version": "import unbuffered; unbuffered.__version__",
    "types": "from unbuffered.testing import StartProxy",
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("form", FORMS)
def test_the_first_use_names_the_file_that_hides_the_package(
    project: Path, form: str, use: str
) -> None:
    own = put(project, form, "raise SystemExit('it was run')")
    put(project, "app.py", USES[use])
    done = python(project, "app.py")
    assert done.stdout.splitlines()[-1] == f"ImportError: {hidden_by(own)}"
    assert python(project, "-P", "app.py").stdout == ""


def test_the_program_itself_may_hide_the_package(project: Path) -> None:
    own = put(project, "proxy.py", USES["a name"])
    last = python(project, "proxy.py").stdout.splitlines()[-1]
    assert last == f"ImportError: {hidden_by(own)}"


def test_a_package_with_modules_of_the_same_names_is_not_taken_for_ours(
    project: Path,
) -> None:
    own = put(project, "proxy/__init__.py")
    put(project, "proxy/errors.py", "ConfigError = 'theirs'")
    put(project, "app.py", "import proxy.errors, unbuffered; unbuffered.ConfigError")
    last = python(project, "app.py").stdout.splitlines()[-1]
    assert last == f"ImportError: {hidden_by(own)}"


def test_the_command_says_so_in_one_line(project: Path) -> None:
    own = put(project, "proxy.py")
    done = python(project, "-m", "unbuffered", "--version")
    assert done.stdout == f"unbuffered: {hidden_by(own)}\n"
    assert done.returncode == 1
    assert python(project, "-P", "-m", "unbuffered", "--version").returncode == 0


def test_a_package_of_somebody_else_is_to_be_uninstalled(project: Path) -> None:
    own = put(project, "app.py", USES["a name"]).parent / "site-packages" / "proxy.py"
    own.parent.mkdir()
    own.write_text("", "utf-8")
    last = python(project, "app.py", first=own.parent).stdout.splitlines()[-1]
    assert last == (
        f"ImportError: {own} hides the package 'proxy' of unbuffered: uninstall the "
        "package that it belongs to"
    )


def test_a_module_without_a_file_is_told_of(project: Path) -> None:
    made = "import sys, types; sys.modules['proxy'] = types.ModuleType('proxy')\n"
    put(project, "app.py", made + USES["a name"])
    last = python(project, "app.py").stdout.splitlines()[-1]
    assert last == (
        "ImportError: <module 'proxy'> hides the package 'proxy' of unbuffered: it was "
        "put into sys.modules, which must not have it"
    )


def test_a_folder_that_is_not_a_package_hides_nothing(project: Path) -> None:
    (project / "proxy").mkdir()
    (project / "proxy" / "nginx.conf").touch()
    put(project, "app.py", USES["a name"])
    assert python(project, "app.py").stdout == ""


def test_the_package_may_be_found_by_another_path(project: Path) -> None:
    """As where a folder is linked: the files are the same."""
    link = project / "linked"
    link.symlink_to(ROOT, target_is_directory=True)
    put(project, "app.py", f"import unbuffered, sys\nsys.path.insert(0, {str(link)!r})")
    with (project / "app.py").open("a", encoding="utf-8") as app:
        app.write("\nunbuffered.Proxy\n")
    assert python(project, "app.py").stdout == ""
