"""`unbuffered import` on configurations as people have them.

Each folder of cases/ is a project; its expected.toml is what comes out, word
for word. None has its packages installed, so missing modules are tested too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import NoRoute
from proxy.policy.path_rewrite import compile_rules, upstream_path
from proxy.policy.routing import Router
from proxy.tools.migrate.verification import AnyVariable
from tests.imports.conftest import Run, needs_node

CASES = Path(__file__).parent / "cases"
NEEDS_NO_NODE = {"cra-package", "angular-json"}

# A compiler that knows the types of the one case; a project has a real one.
TYPESCRIPT = r"""
exports.transpileModule = (text) => ({
  outputText: text
    .replace(/interface \w+ \{[^}]*\}/, '')
    .replace(/, type UserConfig/, '')
    .replace(/: (Options|UserConfig|string)\b/g, ''),
})
"""


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a case, in the test's folder."""
    shutil.copytree(CASES / request.param, tmp_path, dirs_exist_ok=True)
    (tmp_path / "expected.toml").unlink()
    if request.param == "vite-ts":
        package = tmp_path / "node_modules" / "typescript"
        package.mkdir(parents=True)
        (package / "index.js").write_text(TYPESCRIPT)
    return tmp_path


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        pytest.param(
            folder.name,
            folder / "expected.toml",
            id=folder.name,
            marks=[]
            if folder.name in NEEDS_NO_NODE or folder.name.startswith("nginx")
            else [needs_node],
        )
        for folder in sorted(CASES.iterdir())
    ],
    indirect=["project"],
)
def test_a_project_becomes_the_expected_configuration_and_loads(
    run: Run, project: Path, expected: Path
) -> None:
    before = {path for path in project.rglob("*") if path.is_file()}
    outcome = run("import", ".")
    assert outcome.status == 0, outcome.err
    written = project / "config.toml"
    assert written.read_text("utf-8") == expected.read_text("utf-8")
    assert load(written, AnyVariable()).routes
    assert "secret" not in written.read_text("utf-8") + outcome.out + outcome.err
    after = {path for path in project.rglob("*") if path.is_file()}
    assert after - before == {written}


def reached(config: Config, path: str) -> str:
    """Where a request goes: the target's address and the path that it is asked."""
    router = Router(config.routes)
    try:
        route = router.match(path.encode())
    except NoRoute:
        return "nowhere"
    target = route.targets[0]
    rules = compile_rules(route.path_rewrite)
    asked = upstream_path(target.path, rules, path.encode()).decode()
    return f"{target.socket_path or target.host}:{target.port} {asked}"


# As it was there; what webpack-dev-server 5, http-proxy-middleware 3, Vite 8 and
# nginx 1.22 really send was compared with this table when it was written.
@pytest.mark.parametrize(
    ("case", "path", "where"),
    [
        ("webpack-array", "/server1/open?a=b", "localhost:3001 /open?a=b"),
        ("webpack-array", "/server2", "localhost:3001 /"),
        ("webpack-array", "/server1/v2/x", "localhost:3001 /v2/x"),
        ("webpack-array", "/llm/chat", "api.example.com:443 /v1/llm/chat"),
        ("webpack-object", "/auth/in", "127.0.0.1:8004 /login/in"),
        ("webpack-object", "/users/auth", "127.0.0.1:8004 /users/login"),
        ("webpack-object", "/fixed/any?q=1", "localhost:8006 /one"),
        ("webpack-object", "/bare/x", "localhost:8007 /bare/x"),
        ("vite-js", "/api/users?x=/api", "localhost:8080 /users?x=/api"),
        ("vite-js", "/method/m", "localhost:8002 /v1/m"),
        ("vite-js", "/inferred/x?y", "localhost:8003 /deep/x?y"),
        ("vite-js", "/groups/1", "localhost:8005 /groups/1"),
        ("vite-js", "/apis", "nowhere"),
        ("vite-ts", "/api/a", "localhost:3456 /a"),
        ("vue", "/foo/x", "other.example:443 /bar/x"),
        ("angular-json", "/auth/token", "login.example:443 /token"),
        ("cra-setup", "/api/x", "localhost:5000 /api/x"),
        ("cra-setup-3", "/api/x?y", "localhost:5001 /base/x?y"),
        ("cra-setup-3", "/apis/x", "localhost:5002 /v1/x"),
        ("cra-setup-3", "/apis", "localhost:5002 /v1/"),
        ("cra-setup-3", "/filter/users/1", "localhost:5003 /users/1"),
        ("cra-setup-3", "/filter/other", "nowhere"),
        ("cra-setup-3", "/two/x", "localhost:5004 /x"),
        ("cra-setup-3", "/legacy/x", "localhost:5005 /l/x"),
        ("cra-setup-3", "/form", "nowhere"),
        ("webpack-corners", "/called/x", "localhost:3001 /called/x"),
        ("webpack-corners", "/unset/x", "nowhere"),
        ("next-base", "/docs/login/x", "a.example:443 /x/x"),
        ("next-base", "/docs/x", "old.example:443 /x"),
        ("next-list", "/docs/api/x/y?z", "localhost:8000 /x/y?z"),
        ("next-list", "/docs/same/x", "localhost:8001 /docs/same/x"),
        ("next-stages", "/api", "localhost:8000 /v1"),
        ("next-stages", "/any/thing", "old.example:443 /any/thing"),
        ("nginx", "/api/x?y", "127.0.0.1:3000 /x?y"),
        ("nginx", "/v1/x", "127.0.0.1:3001 /v2//x"),
        ("nginx", "/old/x?y", "127.0.0.1:3005 /new/x?y"),
        ("nginx", "/exact?y", "/run/app.sock:0 /there?y"),
        ("nginx", "/admin", "nowhere"),
        ("nginx-template", "/api/x", "set:80 /x"),
        ("nginx-template", "/auth/x", "set:80 /auth/x"),
        ("nginx-lua", "/gate/x", "nowhere"),
        # compared with http-proxy-middleware 2.0.9
        ("webpack-slashes", "/api/x?a=//b", "localhost:3000 /x?a=//b"),
        ("webpack-slashes", "/api", "localhost:3000 /"),
        ("webpack-slashes", "/api?x", "localhost:3000 /?x"),
        ("webpack-slashes", "/v1/x", "localhost:3000 /v2/x"),
        ("webpack-slashes", "/v1?x", "localhost:3000 /v2/?x"),
        ("webpack-slashes", "/bare/x", "localhost:3000 /x"),
        ("webpack-slashes", "/app/api/x", "localhost:3000 /app/rest/x"),
        ("webpack-slashes", "/rest/x?a", "localhost:3000 /v3/x?a"),
        ("webpack-slashes", "/made/x", "localhost:3000 /x"),
        ("webpack-slashes", "/base/x", "localhost:3001 /base/x"),
        ("webpack-sockets", "/api/ws/x", "localhost:3001 /api/ws/x"),
        ("webpack-sockets", "/api/users", "localhost:3000 /api/users"),
        ("vue-env", "/dev-api/login", "localhost:7001 /api/login"),
        ("vue-env", "/uploads/x", "store.example:9443 /bucket/uploads/x"),
        ("cra-env", "/api/x", "127.0.0.1:5002 /x"),
        ("next-env", "/api/x", "localhost:8000 /x"),
        ("next-env", "/media/x", "localhost:9000 /files/x"),
    ],
)
def test_a_request_reaches_what_it_reached_before(
    case: str, path: str, where: str
) -> None:
    config = load(CASES / case / "expected.toml", AnyVariable())
    found = reached(config, path)
    assert found == where
