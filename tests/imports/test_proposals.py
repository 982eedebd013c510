"""The lines that import proposes for the old file: the dev server keeps its paths."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.imports.conftest import Run, needs_node

AT = "http://127.0.0.1:8080"
EXCLUDES = '[{ "context": ["/api/**", "!/api/x"], "target": "http://a" }]'
SETUP = """
const { createProxyMiddleware: proxy } = require('http-proxy-middleware')
module.exports = (app) => app.use(%s)
"""
WEBPACK = "module.exports = { devServer: { proxy: [%s] } }"
BYPASS = "bypass: (req) => (req.url === '/api/x' ? '/x' : null)"


def proposed(run: Run, path: Path, text: str) -> list[str]:
    """The lines to be copied."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    outcome = run("import", str(path), "-o", "-")
    assert outcome.status == 0, outcome.err
    lines = outcome.err.partition("next:")[2].splitlines()
    lines = [line.strip() for line in lines if line.startswith(" " * 6)]
    return [re.sub(r"(?<=127\.0\.0\.1:)8\d+", "8080", line) for line in lines]


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        pytest.param(EXCLUDES, [["/api/**", "!/api/x"]], id="a list"),
        pytest.param(
            '[{ "context": ["/api", "!/api/x"], "target": "http://a" }]',
            [["/api/**", "!/api/x"]],
            id="plain texts beside it, which must not be mixed with globs",
        ),
        pytest.param(
            '[{ "context": ["/a/*.js", "/api/**", "!/api/x"], "target": "http://a" }]',
            [["/api/**", "!/api/x"]],
            id="not what stays as it was",
        ),
        pytest.param(
            '[{ "context": ["/api/**", "!/api/x"], "target": "http://a" },'
            ' { "context": ["/b", "/c/**"], "target": "http://b" }]',
            [["/api/**", "!/api/x"], ["/b", "/c"]],
            id="its own entry's paths alone",
        ),
        pytest.param(
            '{ "/api/**": { "target": "http://a" }, "!/static/**": '
            '{ "target": "http://b" } }',
            [["/api"], ["!/static/**"]],
            id="an exclusion alone, which takes all other paths",
        ),
    ],
)
def test_angular_goes_on_excluding(
    run: Run, tmp_path: Path, text: str, entries: list[list[str]]
) -> None:
    lines = proposed(run, tmp_path / "proxy.conf.json", text)
    found = json.loads("\n".join(lines))
    assert [each["context"] for each in found] == entries
    assert {each["target"] for each in found} == {AT}


def test_without_an_exclusion_it_is_a_table(run: Run, tmp_path: Path) -> None:
    text = (
        '{ "/a/**": { "target": "ws://a", "ws": true }, "/b": { "target": "ws://b" } }'
    )
    lines = proposed(run, tmp_path / "proxy.conf.json", text)
    assert json.loads("\n".join(lines)) == {
        "/a/**": {"target": AT, "ws": True},
        "/b": {"target": AT, "ws": True},
    }


def test_an_exclusion_alone_takes_all_other_paths(run: Run, tmp_path: Path) -> None:
    """As http-proxy-middleware has it, where it was lost."""
    text = '{ "!/static/**": { "target": "http://a" } }'
    (tmp_path / "proxy.conf.json").write_text(text)
    outcome = run("import", "proxy.conf.json", "-o", "-")
    assert '[routes."/"]' in outcome.out
    assert "PROTECTED BEFORE, BUT OPEN HERE" in outcome.out
    assert "the context !/static/** excluded paths from the target" in outcome.err


def test_an_exclusion_before_what_it_excludes_from_is_told_of(
    run: Run, tmp_path: Path
) -> None:
    """The last pattern that matches wins there: it excluded nothing."""
    text = '[{ "context": ["!/api/x", "/api/**"], "target": "http://a" }]'
    (tmp_path / "proxy.conf.json").write_text(text)
    outcome = run("import", "proxy.conf.json", "-o", "-")
    assert "only works after the pattern it excludes from" in outcome.err
    assert "OPEN HERE" not in outcome.out


@needs_node
@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        pytest.param(
            "webpack.config.js",
            WEBPACK % "{ context: ['/api/**', '!/api/x'], target: 'http://a' }",
            [f"proxy: [{{ context: ['/api/**', '!/api/x'], target: '{AT}' }}]"],
            id="webpack",
        ),
        pytest.param(
            "webpack.config.js",
            WEBPACK % f"{{ context: ['/api'], target: 'http://a', {BYPASS} }}, "
            "{ context: ['/b', '/c'], target: 'http://b', ws: true }",
            [
                "proxy: [",
                f"{{ context: ['/api'], target: '{AT}' }},  // keep its bypass",
                f"{{ context: ['/b', '/c'], target: '{AT}', ws: true }},",
                "]",
            ],
            id="webpack with a function that serves",
        ),
        pytest.param(
            "vite.config.mjs",
            "export default { server: { proxy: { '/api': { target: 'http://a', "
            f"{BYPASS}, configure() {{}} }}, '/b': 'http://b' }} }} }}",
            [
                "proxy: {",
                f"\"/api\": {{ target: '{AT}' }},  // keep its bypass, configure",
                f"\"/b\": {{ target: '{AT}' }},",
                "}",
            ],
            id="Vite with a function that serves",
        ),
        pytest.param(
            "vue.config.js",
            "module.exports = { devServer: { proxy: { '/api': { target: 'http://a', "
            f"{BYPASS} }} }} }} }}",
            [
                "proxy: {",
                f"\"/api\": {{ target: '{AT}', changeOrigin: false }},"
                "  // keep its bypass",
                "}",
            ],
            id="Vue CLI with a function that serves",
        ),
        pytest.param(
            "proxy.conf.js",
            f"module.exports = {{ '/api': {{ target: 'http://a', {BYPASS} }} }}",
            ["{", f'"/api": {{ "target": "{AT}" }}  // keep its bypass', "}"],
            id="Angular with a function that serves",
        ),
        pytest.param(
            "src/setupProxy.js",
            SETUP % "proxy(['/api/**', '!/api/x'], { target: 'http://a' })",
            [
                "app.use(createProxyMiddleware(['/api/**', '!/api/x'], "
                f"{{ target: '{AT}' }}))",
                "// from http-proxy-middleware 3 on:",
                "app.use(createProxyMiddleware({ pathFilter: ['/api/**', '!/api/x'], "
                f"target: '{AT}' }}))",
            ],
            id="Create React App",
        ),
        pytest.param(
            "src/setupProxy.js",
            SETUP % "'/api', proxy('!/api/x', { target: 'http://a' })",
            [
                "app.use(createProxyMiddleware(['/api/**', '!/api/x'], "
                f"{{ target: '{AT}' }}))",
                "// from http-proxy-middleware 3 on:",
                "app.use(createProxyMiddleware({ pathFilter: ['/api/**', '!/api/x'], "
                f"target: '{AT}' }}))",
            ],
            id="Create React App, mounted",
        ),
    ],
)
def test_what_the_dev_server_serves_itself_stays_there(
    run: Run, tmp_path: Path, name: str, text: str, lines: list[str]
) -> None:
    (tmp_path / "package.json").write_text("{}")
    assert proposed(run, tmp_path / name, text) == lines
