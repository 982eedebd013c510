"""The files of the pages: what they import exists, once, and is served."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest

from proxy.inspector.static_files import PAGE as INSPECTOR
from proxy.web.files import SHARED, find_file
from upstream_demo.pages import PAGE as DEMO

PAGES = {"inspector": INSPECTOR, "demo": DEMO}
IMPORT = re.compile(r"""^(?:import .*|\} )from "(.+)";$""", re.M)
REFERENCE = re.compile(r'(?:href|src)="(?:page/)?([^"#]+\.\w+)"')


def modules(page: Path) -> dict[str, Path]:
    """The modules of a page, by the name under which they are asked for."""
    own = {path.relative_to(page).as_posix(): path for path in page.rglob("*.js")}
    return own | {f"web/{path.name}": path for path in SHARED.glob("*.js")}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_whatever_a_page_names_is_found(page: Path) -> None:
    names = set(REFERENCE.findall((page / "index.html").read_text("utf-8")))
    for module, path in modules(page).items():
        for name in IMPORT.findall(path.read_text("utf-8")):
            folder = posixpath.dirname(module)
            names.add(posixpath.normpath(posixpath.join(folder, name)))
    assert len(names) > 10
    assert {name for name in names if find_file(page, name) is None} == set()


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_module_of_a_page_is_imported(page: Path) -> None:
    texts = [path.read_text("utf-8") for path in page.rglob("*.[jh][st]*")]
    unused = {
        path.name
        for path in page.rglob("*.js")
        if not any(f'{path.name}"' in text for text in texts)
    }
    assert unused == set()


def test_no_two_modules_of_the_pages_have_one_name() -> None:
    """`main.js`, where each page starts, is the only name that both have."""
    names = {name: {path.name for path in modules(PAGES[name]).values()} - shared()
             for name in PAGES}  # fmt: skip
    assert names["inspector"] & names["demo"] == {"main.js"}
    assert len(names["inspector"]) == len(list(INSPECTOR.rglob("*.js")))


def shared() -> set[str]:
    return {path.name for path in SHARED.glob("*.js")}


def test_a_page_keeps_its_own_files_out_of_the_shared_folder() -> None:
    """What is in `web/` of a page's own folder would never be served."""
    assert [page for page in PAGES.values() if (page / "web").exists()] == []
    assert find_file(DEMO, "web/dom.js") == (
        "text/javascript; charset=utf-8",
        SHARED / "dom.js",
    )
