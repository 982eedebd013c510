"""The page server."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

import aiohttp
import pytest

from proxy import __version__
from proxy.web.files import SHARED, TYPES
from tests.demo.conftest import Connect, Serve
from upstream_demo import pages
from upstream_demo.document import POLICY, render_page
from upstream_demo.pages import PAGE, create_pages_app

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def port(serve_app: Serve) -> int:
    return await serve_app(create_pages_app(events_url=NOWHERE, proxy_url=NOWHERE))


@pytest.mark.parametrize(
    ("path", "file", "content_type"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/index.html", "index.html", "text/html; charset=utf-8"),
        ("/main.js", "main.js", "text/javascript; charset=utf-8"),
        ("/base.css", "base.css", "text/css; charset=utf-8"),
        ("/web/dom.js", "dom.js", "text/javascript; charset=utf-8"),
        ("/web/icon.svg", "icon.svg", "image/svg+xml"),
    ],
)
async def test_file_comes_with_its_type_and_is_not_cached(
    port: int, session: aiohttp.ClientSession, path: str, file: str, content_type: str
) -> None:
    folder = SHARED if path.startswith("/web/") else PAGE
    async with session.get(f"http://127.0.0.1:{port}{path}") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == content_type
        assert response.headers["Cache-Control"] == "no-cache"
        assert await response.read() == (folder / file).read_bytes()


def test_every_file_of_the_page_has_a_type() -> None:
    suffixes = {path.suffix for path in PAGE.rglob("*") if path.is_file()}
    assert suffixes <= set(TYPES)


@pytest.mark.parametrize(
    "target",
    [
        "/missing.html",
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/..%2fsecret.html",
        "/x/../../secret.html",
        "/web/files.py",
        "/web/../files.py",
        "/web%2fdom.js%00",
        "/web/x/dom.js",
        "/x%2f..%2f..%2fsecret.html",
        "/%2fetc%2fhostname.txt",
        "/script.py",
        "/%00.html",
        "/index.html%00",
        "/.",
        "/folder.html",
        "/docs/missing.md",
        "/docs/page_language.py",
        "/docs/../README.md",
        "/docs/zh-CN/../../README.md",
        "/docs/%2e%2e/README.md",
        "/docs/..%2fREADME.md",
        "/docs//etc/hostname.md",
    ],
)
async def test_nothing_else_is_shown(
    port: int,
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
) -> None:
    page = tmp_path / "page"
    monkeypatch.setattr(pages, "PAGE", page)
    (page / "folder.html").mkdir(parents=True)
    (page / "script.py").touch()
    (tmp_path / "secret.html").touch()
    client = await connect(port)
    await client.request(target)
    assert (await client.head()).status == 404


async def test_settings_name_the_port_and_the_version(
    port: int, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"http://127.0.0.1:{port}/settings.json") as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.json() == {
            "holding_port": port,
            "version": __version__,
            "docs": True,
        }


async def test_every_page_of_the_documentation_is_shown_with_links_that_work(
    port: int, session: aiohttp.ClientSession
) -> None:
    pytest.importorskip("markdown_it", reason="the extra demo is not installed")
    pages_ = {
        path.relative_to(pages.DOCS).as_posix(): "" for path in pages.DOCS.rglob("*.md")
    }
    for name in pages_:
        async with session.get(f"http://127.0.0.1:{port}/docs/{name}") as response:
            assert response.status == 200, name
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert response.headers["Content-Security-Policy"] == POLICY
            pages_[name] = await response.text()
    for name, page in pages_.items():
        for link in re.findall(r'(?:href|src)="([^"]*)"', page.partition("<main")[2]):
            place, _, anchor = link.partition("#")
            if "://" in place:
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), place))
            if place.endswith(".md") or not place:
                there = pages_[target if place else name]
                found = unquote(anchor)
                assert not found or f'id="{found}"' in there, (name, link)
            else:
                url = f"http://127.0.0.1:{port}/docs/{target}"
                async with session.get(url) as response:
                    assert response.status == 200, (name, link)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(
            "<script>x</script>", "&lt;script&gt;x&lt;/script&gt;", id="block"
        ),
        pytest.param(
            "a <img src=x onerror=y>", "a &lt;img src=x onerror=y&gt;", id="in"
        ),
        pytest.param("[a](javascript:x)", "[a](javascript:x)", id="link"),
        pytest.param("press <kbd>a</kbd>", "press <kbd>a</kbd>", id="keys"),
        pytest.param("`<kbd>`", "<code>&lt;kbd&gt;</code>", id="code"),
    ],
)
def test_html_in_a_document_is_text(text: str, shown: str) -> None:
    pytest.importorskip("markdown_it", reason="the extra demo is not installed")
    page = render_page("x.md", f"# <b>T</b>\n\n{text}\n")
    assert f"<p>{shown}</p>" in page
    assert "<script" not in page
    assert "<img" not in page
    assert '<a href="javascript' not in page
    assert "<title>&lt;b&gt;T&lt;/b&gt;</title>" in page


@pytest.mark.parametrize("name", ["quickstart.md", "zh-CN/quickstart.md"])
async def test_without_what_renders_it_documentation_is_shown_as_text(
    port: int,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(pages, "can_render", lambda: False)
    async with session.get(f"http://127.0.0.1:{port}/docs/{name}") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await response.read() == (pages.DOCS / name).read_bytes()


async def test_without_documentation_the_settings_say_so(
    port: int,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "DOCS", tmp_path / "docs")
    async with session.get(f"http://127.0.0.1:{port}/settings.json") as response:
        assert (await response.json())["docs"] is False
    async with session.get(f"http://127.0.0.1:{port}/docs/vue.md") as response:
        assert response.status == 404
