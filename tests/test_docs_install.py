"""What the pages say of installing: it is true, from a clone, on Windows too."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.test_docs import EVERY_PAGE, PAGES, ROOT, blocks
from upstream_demo.__main__ import read_arguments

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = set(PROJECT["project"]["optional-dependencies"])
GROUPS = set(PROJECT["dependency-groups"])
QUICKSTART = ROOT / "docs" / "quickstart.md"
# The one page of what will be published, in each language: how its paragraph begins,
# and how it ends.
PROMISES = {
    "docs/quickstart.md": ("Once it is published, ", "It is not yet."),
    "docs/zh-CN/quickstart.md": ("将来发布之后", "目前尚未发布。"),
}
SYSTEMD = "/opt/unbuffered"  # where the units expect it
ONLY_LINUX = ("CONTRIBUTING.md", "bench/README.md", "fuzz/README.md")

# An installer up to the end of its command, in a block or in prose.
INSTALL = re.compile(
    r"((?:\S+python -m )?\S*\bpip|pipx|uv tool|uv pip)"
    r" (install|inject|run) ([^`\n&#|]+)"
)
MODULE = re.compile(r"python3? -m ([\w.]+)([^`\n&#|]*)")
PUBLISHED = re.compile(r"unbuffered(\[.*\])?")
OWN = re.compile(r"(\.|\.\./\.\.|path/to/unbuffered)(?:\[([\w,-]+)\])?")
WITH_VALUE = {"--group", "-r"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def installs() -> list[tuple[str, str, str]]:
    """Page, installer and arguments of each command that installs."""
    return [
        (name_of(page), found[1].lstrip("`'("), found[3].strip())
        for page in EVERY_PAGE
        for found in INSTALL.finditer(page.read_text("utf-8"))
    ]


def fault_of(page: Path, installer: str, arguments: str) -> str:
    """Why an installation would fail or do another thing; "" if it would not."""
    if installer == "pip":
        return "pip of no virtual environment: Debian refuses it"
    words = iter(shlex.split(arguments.replace("\\", "/")))
    for word in words:
        if word in WITH_VALUE:
            value = next(words)
            known = value in GROUPS or (page.parent / value).is_file()
            if not known:
                return f"{value} is not there"
        elif found := OWN.fullmatch(word):
            if unknown := set((found[2] or "demo").split(",")) - EXTRAS:
                return f"no such extra: {unknown}"
            place = page.parent if word.startswith("../") else ROOT
            if (
                "path/" not in word
                and not (place / found[1] / "pyproject.toml").exists()
            ):
                return f"{found[1]} is not the clone"
        elif PUBLISHED.fullmatch(word):
            return "it is not published"
    return ""


@pytest.mark.parametrize(("page", "installer", "arguments"), installs())
def test_every_installation_is_one_that_works(
    page: str, installer: str, arguments: str
) -> None:
    if page in PROMISES and PUBLISHED.fullmatch(arguments):
        return  # the next test
    assert fault_of(ROOT / page, installer, arguments) == ""


def test_what_is_published_stands_in_one_place_and_says_that_it_is_not_yet() -> None:
    said = [page for page, _, arguments in installs() if PUBLISHED.fullmatch(arguments)]
    assert Counter(said) == dict.fromkeys(PROMISES, 2)
    for page, (begin, end) in PROMISES.items():
        paragraphs = (ROOT / page).read_text("utf-8").split("\n\n")
        [of_it] = [each for each in paragraphs if "pip install unbuffered" in each]
        assert of_it.startswith(begin)
        assert of_it.endswith(end)


@pytest.mark.parametrize(
    ("installer", "arguments", "fault"),
    [
        ("pip", ".", "Debian"),
        (".venv/bin/pip", "unbuffered", "published"),
        ("uv tool", "'unbuffered[demo]'", "published"),
        ("uv tool", "'.[dmo]'", "extra"),
        ("pipx", "../..", "clone"),
        (".venv/bin/pip", "-e . --group tests", "not there"),
        (".venv/bin/pip", "-r requirements.txt", "not there"),
    ],
)
def test_an_installation_that_does_not_work_would_be_found(
    installer: str, arguments: str, fault: str
) -> None:
    assert fault in fault_of(QUICKSTART, installer, arguments)


def on_windows(text: str) -> str:
    """The commands of a block as they are typed in cmd and PowerShell."""
    text = text.replace(" && ", "\n").replace("'", '"')
    text = re.sub(r"^python3 -m", "py -m", text, flags=re.MULTILINE)
    text = re.sub(r"^\. \.venv", ".venv", text, flags=re.MULTILINE)
    text = text.replace(".venv/bin/", ".venv\\Scripts\\")
    # There, pip.exe cannot replace itself.
    return re.sub(
        r"pip (install .*\bpip)$", r"python -m pip \1", text, flags=re.MULTILINE
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_beside_each_virtual_environment_is_the_form_of_windows(page: Path) -> None:
    contents = [content for _, _, content in blocks(page)]
    for content, after in pairwise([*contents, ""]):
        if "python3 -m venv" in content and SYSTEMD not in content:
            assert after == on_windows(content)


@pytest.mark.parametrize(
    "page",
    [each for each in EVERY_PAGE if name_of(each) not in ONLY_LINUX],
    ids=name_of,
)
def test_a_page_with_a_virtual_environment_speaks_of_windows(page: Path) -> None:
    text = page.read_text("utf-8").replace(f"python3 -m venv {SYSTEMD}", "")
    assert ("python3 -m venv" in text) <= ("py -m venv" in text)
    assert (".venv/bin/" in text) <= (".venv\\Scripts\\" in text)


def test_the_readme_begins_with_a_clone_and_python_alone() -> None:
    """And installs after that, for what all pages write."""
    for page in (ROOT / "README.md", ROOT / "README.zh-CN.md"):
        shown = [content for language, _, content in blocks(page) if not language]
        assert shown[0] == (
            "python3 -m venv .venv && .venv/bin/pip install -q -e '.[demo]' && "
            ".venv/bin/unbuffered demo\n"
        )
        assert shown[2].splitlines()[1].startswith("uv tool install .")


def modules() -> list[tuple[str, str, str]]:
    """Page, module and arguments of each `python -m`."""
    return [
        (name_of(page), found[1], found[2])
        for page in EVERY_PAGE
        for found in MODULE.finditer(page.read_text("utf-8"))
    ]


@pytest.mark.parametrize(("page", "module", "arguments"), modules())
def test_every_module_that_is_run_is_there(
    page: str, module: str, arguments: str
) -> None:
    path = ROOT.joinpath(*module.split("."))
    ours = path.with_suffix(".py").exists() or (path / "__main__.py").exists()
    assert ours or module in ("venv", "pip", "pytest", "proxy", "http.server"), page
    if module == "upstream_demo":
        read_arguments(shlex.split(arguments.strip(" .,*")))
