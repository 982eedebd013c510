"""Where a value came from is told: from which .env file, or from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports.conftest import Run, needs_node

pytestmark = needs_node

ENTRY = "server: { proxy: { '/api': API } }"
# An installed package reads .env files by itself, in its own way.
INSTALLED = """
import { readFileSync } from 'node:fs'
export const loadEnv = (mode) => ({
  API: readFileSync('.env.' + mode + '.local', 'utf8').match(/API=(.*)/)[1],
})
"""


def package(name: str, text: str) -> None:
    """Install a package in the test's folder."""
    folder = Path("node_modules", name)
    folder.mkdir(parents=True)
    (folder / "index.mjs").write_text(text)
    (folder / "package.json").write_text('{ "exports": "./index.mjs" }')


@pytest.mark.parametrize(
    ("name", "config", "came_from"),
    [
        pytest.param(
            "vite.config.mjs",
            "import { loadEnv } from 'vite'\n"
            "const env = loadEnv('development', '.', '')\n"
            "export default { server: { proxy: { '/api': env.API } } }",
            ".env.development",
            id="Vite, which is not installed",
        ),
        pytest.param(
            "vite.config.mjs",
            "import { loadEnv } from 'vite'\n"
            "const { API } = loadEnv('development', 'folder', 'A')\n"
            f"export default {{ {ENTRY} }}",
            "folder/.env",
            id="from another folder, by a name of its own",
        ),
        pytest.param(
            "vite.config.mjs",
            "import { loadEnv } from 'tool'\nconst { API } = loadEnv('development')\n"
            f"export default {{ {ENTRY} }}",
            ".env.development.local",
            id="a package that is installed",
        ),
        pytest.param(
            "webpack.config.js",
            "require('dotenv').config({ path: 'conf/dev.env' })\n"
            "module.exports = { devServer: { proxy: { '/api': process.env.API } } }",
            "conf/dev.env",
            id="dotenv, which is not installed",
        ),
        pytest.param(
            "webpack.config.js",
            "const text = require('fs').readFileSync('.env', 'utf8')\n"
            "const env = { API: text.trim().split('=')[1] }\n"
            "module.exports = { devServer: { proxy: { '/api': env['API'] } } }",
            ".env",
            id="a configuration that reads it itself",
        ),
        pytest.param(
            "vue.config.js",
            "module.exports = { devServer: { proxy: { '/api': process.env.API } } }",
            ".env.development.local",
            id="Vue CLI",
        ),
        pytest.param(
            "proxy.conf.js",
            "module.exports = { '/api': { target: process.env.API || 'http://a' } }",
            "the environment",
            id="Angular, which reads none",
        ),
    ],
)
def test_the_file_that_gave_a_value_is_named(
    run: Run, tmp_path: Path, name: str, config: str, came_from: str
) -> None:
    files = [".env", ".env.development", "folder/.env", "conf/dev.env"]
    if came_from == ".env.development.local":
        files.append(came_from)
    for number, each in enumerate(files):
        path = tmp_path / each
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"API=http://localhost:{4000 + number}\n")
    (tmp_path / "package.json").write_text("{}")
    package("tool", INSTALLED)
    (tmp_path / name).write_text(config)
    outcome = run("import", name, "-o", "-")
    assert outcome.status == 0, outcome.err
    told = next(line for line in outcome.err.splitlines() if " reads API " in line)
    assert f"reads API from {came_from}. " in told
    assert ("does not read .env files" in told) == (came_from != "the environment")
    if came_from != "the environment":
        port = 4000 + files.index(came_from)
        assert f'target = "http://localhost:{port}"' in outcome.out


def test_the_environment_wins_and_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API", "http://localhost:5000")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / ".env").write_text("API=http://a\nOTHER=http://localhost:4000\n")
    (tmp_path / "vite.config.mjs").write_text(
        "import { loadEnv } from 'vite'\n"
        "const { API, OTHER } = loadEnv('development', '', '')\n"
        "export default { server: { proxy: { '/api': API, '/other': OTHER } } }"
    )
    outcome = run("import", "vite.config.mjs", "-o", "-")
    assert "reads API from the environment; OTHER from .env. " in outcome.err
    assert 'target = "http://localhost:5000"' in outcome.out
