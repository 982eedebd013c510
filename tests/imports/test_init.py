"""`unbuffered init`: what it sees in a project, and that the result loads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.tools.migrate.project_scan import survey
from tests.imports.conftest import Run


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def package(needs: str, **scripts: str) -> str:
    return json.dumps({"scripts": scripts, "devDependencies": {needs: "*"}})


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ({"package.json": package("vite")}, ["Vite on port 5173 (package.json)"]),
        (
            {"package.json": package("vite", dev="vite --port 4000", test="x -p 9")},
            ["Vite on port 4000 (package.json)"],
        ),
        (
            {
                "package.json": package("vite"),
                "vite.config.ts": "export default { server: { port: 3333 } }",
            },
            ["Vite on port 3333 (package.json)"],
        ),
        (
            {"package.json": package("next", dev="next dev -p 3100")},
            ["Next.js on port 3100 (package.json)"],
        ),
        (
            {"package.json": package("react-scripts", start="PORT=3006 react-scripts")},
            ["Create React App on port 3006 (package.json)"],
        ),
        (
            {"package.json": package("@angular/cli")},
            ["Angular on port 4200 (package.json)"],
        ),
        (
            {"requirements.txt": "Flask==3\n", "web/package.json": package("vite")},
            ["Vite on port 5173 (web/package.json)",
             "Flask on port 5000 (requirements.txt)"],
        ),
        (
            {"api/pyproject.toml": '[project]\ndependencies = ["fastapi[all]>=0.1"]\n',
             "api/Procfile": "web: uvicorn app:app --port 8123\n"},
            ["FastAPI on port 8123 (api/pyproject.toml)"],
        ),
        ({"manage.py": ""}, ["Django on port 8000 (manage.py)"]),
        (
            {"package.json": package("vite", dev="vite --port 99999")},
            ["Vite on port 5173 (package.json)"],
        ),
        (
            {
                "apps/web/package.json": package("vite"),
                "services/x\n[evil]/requirements.txt": "flask\n",
            },
            ["Vite on port 5173 (apps/web/package.json)",
             "Flask on port 5000 (services/x\n[evil]/requirements.txt)"],
        ),
        (
            {"package.json": json.dumps({"dependencies": {"express": "4", "vite": "8"},
              "scripts": {"api": "node api --port 4100"}})},
            ["Vite on port 5173 (package.json)", "Express on port 4100 (package.json)"],
        ),
        ({"server/package.json": package("express", start="node . --port=4100")},
         ["Express on port 4100 (server/package.json)"]),
        ({"package.json": "{ broken", "pyproject.toml": "= broken"}, []),
        ({"package.json": "[1, 2]"}, []),
    ],
)  # fmt: skip
def test_a_project_is_known_by_its_files(
    run: Run, tmp_path: Path, files: dict[str, str], seen: list[str]
) -> None:
    write(tmp_path, files)
    assert survey(tmp_path).seen == seen
    outcome = run("init")
    assert outcome.status == 0
    config = load(tmp_path / "config.toml", {})
    ports = {t.port for route in config.routes.values() for t in route.targets}
    named = {re.search(r"on port (\d+) ", line) for line in seen}
    assert {int(found[1]) for found in named if found} <= ports
    assert config.server.port not in ports


def test_the_dev_server_takes_what_is_left_and_a_proxy_block_is_pointed_at(
    run: Run, tmp_path: Path
) -> None:
    write(
        tmp_path,
        {
            "package.json": package("webpack-dev-server"),
            "webpack.config.js": "module.exports = { devServer: { proxy: [] } }",
            "requirements.txt": "django\n",
        },
    )
    outcome = run("init", ".")
    config = load(tmp_path / "config.toml", {})
    assert {prefix: route.ws for prefix, route in config.routes.items()} == {
        "/api": False,
        "/": True,
    }
    assert config.server.port == 8090  # the dev server has 8080
    assert "unbuffered import webpack.config.js" in outcome.err


def test_an_existing_file_is_kept_and_a_folder_must_be_there(
    run: Run, tmp_path: Path
) -> None:
    write(tmp_path, {"config.toml": "mine"})
    assert run("init").status == 2
    assert run("init", "absent").status == 2
    assert (tmp_path / "config.toml").read_text() == "mine"
    assert run("init", "-o", "-").out.startswith("# Unbuffered")


@pytest.mark.parametrize("name", ["compose.yaml", "docker-compose.yml"])
def test_a_compose_file_is_named_and_not_read(
    run: Run, tmp_path: Path, name: str
) -> None:
    write(tmp_path, {name: 'services:\n  search:\n    ports: ["7700:7700"]\n'})
    outcome = run("init")
    assert (
        f"{name} is not read: add a route for each service that a page calls"
        in outcome.err
    )
    assert "7700" not in (tmp_path / "config.toml").read_text("utf-8")
