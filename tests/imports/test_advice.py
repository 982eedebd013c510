"""What `unbuffered import` says beside the file: only what concerns the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports.conftest import Run, needs_node

VUE = "module.exports = { devServer: { port: 8000, proxy: { %s } } }"
OURS = "'^/sse': { target: 'http://127.0.0.1:8080', changeOrigin: false, ws: false }"


def told(run: Run, path: Path, text: str) -> str:
    path.write_text(text)
    outcome = run("import", str(path), "-o", "-")
    assert outcome.status == 0, outcome.err
    return outcome.err


@needs_node
def test_a_proxy_that_points_at_the_default_address_is_told_of(
    run: Run, tmp_path: Path
) -> None:
    said = told(run, tmp_path / "vue.config.js", VUE % OURS)
    assert "/sse: the proxy already points at http://127.0.0.1:8080" in said
    assert "Unbuffered gets port 8090 here" in said


@pytest.mark.parametrize(
    "target", ["http://localhost:8081", "http://elsewhere.example:8080"]
)
def test_a_proxy_that_points_elsewhere_is_not(
    run: Run, tmp_path: Path, target: str
) -> None:
    path = tmp_path / "proxy.conf.json"
    assert "already points at" not in told(run, path, f'{{ "/api": "{target}" }}')


@needs_node
@pytest.mark.parametrize(
    ("context", "example"),
    [
        pytest.param("^/sse", "'/sse' also matched /sses", id="anchored"),
        pytest.param("^/sse/", "", id="anchored, whole segments"),
        pytest.param("/sse", "'/sse' also matched /v1/sse", id="anywhere"),
    ],
)
def test_what_a_context_matched_besides_is_told_by_its_own_name(
    run: Run, tmp_path: Path, context: str, example: str
) -> None:
    text = VUE % f"'{context}': {{ target: 'http://localhost:8002' }}"
    said = told(run, tmp_path / "vue.config.js", text)
    assert example in said
    assert ("also matched" in said) == bool(example)


@needs_node
def test_websockets_stay_off_where_they_were_off(run: Run, tmp_path: Path) -> None:
    both = "'^/a': { target: 'http://a', ws: false }, '^/b': { target: 'http://b' }"
    said = told(run, tmp_path / "vue.config.js", VUE % both)
    entry = "target: 'http://127.0.0.1:8080', changeOrigin: false"
    assert f'"^/a": {{ {entry}, ws: false }},' in said
    assert f'"^/b": {{ {entry} }},' in said
    assert "Add ws: false to an entry that no WebSocket goes through." in said
    off = told(run, tmp_path / "vue.config.js", VUE % both.partition(", '^/b'")[0])
    assert "Add ws: false" not in off


@needs_node
def test_the_route_of_the_dev_server_has_to_be_uncommented(
    run: Run, tmp_path: Path
) -> None:
    text = VUE % "'^/sse': { target: 'http://localhost:8002' }"
    said = told(run, tmp_path / "vue.config.js", text)
    assert "uncomment the route / at the end, and open http://localhost:8080" in said
