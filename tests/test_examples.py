"""The examples are whole: a README, a configuration that loads, pinned packages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.config.load import load

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NAMES = [path.parent.name for path in sorted(EXAMPLES.glob("*/README.md"))]
OF_TESTS = [ROOT / "tests" / name / "package.json" for name in ("browser", "e2e")]
MANIFESTS = [*EXAMPLES.glob("*/package.json"), *OF_TESTS]
REQUIREMENTS = [*EXAMPLES.glob("*/requirements.txt")]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_index_names_every_example() -> None:
    index = (EXAMPLES / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| \[(\S+)\]\(\1\)", index, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_configuration_of_an_example_loads(name: str) -> None:
    config = load(EXAMPLES / name / "config.toml", {}, {})
    assert config.routes


@pytest.mark.parametrize("path", MANIFESTS, ids=shown)
def test_npm_packages_are_pinned_by_their_bytes_whatever_registry(path: Path) -> None:
    manifest = json.loads(path.read_text("utf-8"))
    lock = json.loads(path.with_name("package-lock.json").read_text("utf-8"))
    kinds = ("dependencies", "devDependencies", "optionalDependencies")
    direct = {kind: manifest[kind] for kind in kinds if kind in manifest}
    assert direct
    for packages in direct.values():
        for version in packages.values():
            assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    root = lock["packages"][""]
    assert {kind: root[kind] for kind in kinds if kind in root} == direct
    for place, package in lock["packages"].items():
        assert "resolved" not in package
        assert place == "" or package["integrity"].startswith("sha512-")


@pytest.mark.parametrize("path", REQUIREMENTS, ids=shown)
def test_python_packages_are_pinned(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line)


def test_examples_of_one_page_share_its_files() -> None:
    """Each example is whole by itself, and the copies stay copies."""
    page = EXAMPLES / "vue-webpack" / "src"
    for path in page.iterdir():
        assert (EXAMPLES / "vue-vite" / "src" / path.name).read_bytes() == (
            path.read_bytes()
        )
    streams = (page / "streams.js").read_bytes()
    assert (EXAMPLES / "next" / "app" / "streams.js").read_bytes() == streams
