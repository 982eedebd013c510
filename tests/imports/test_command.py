"""`unbuffered import`: exit codes, files, and the node that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.tools.importers.draft import Unreadable
from proxy.tools.importers.evaluation import evaluate
from tests.imports.conftest import Run, needs_node

GUARD = 20  # seconds
JSON = '{ "proxy": "http://localhost:4000" }'
VITE = "module.exports = { server: { proxy: { '/a': 'http://localhost:1234' } } }"


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Path:
    path = tmp_path / "package.json"
    path.write_text(JSON)
    return path


def test_an_existing_file_is_kept_unless_force_says_otherwise(
    run: Run, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("mine")
    outcome = run("import", "package.json")
    assert (outcome.status, config.read_text()) == (2, "mine")
    assert "--force" in outcome.err
    assert run("import", "package.json", "--force").status == 0
    assert 'target = "http://localhost:4000"' in config.read_text()


def test_a_dangling_link_is_not_written_through(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to(tmp_path / "elsewhere")
    assert run("import", "package.json").status == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_dash_prints_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    outcome = run("import", "package.json", "-o", "-")
    assert outcome.status == 0
    assert outcome.out.startswith("# From package.json")
    assert "next:" in outcome.err
    assert not (tmp_path / "config.toml").exists()


@pytest.mark.parametrize(
    ("name", "text", "status", "told"),
    [
        pytest.param("x.txt", "", 2, "unknown file type", id="unknown"),
        pytest.param("absent.js", None, 2, "no such file", id="absent"),
        pytest.param(
            "proxy.conf.json", "{}", 1, "contains no proxy settings", id="empty"
        ),
        pytest.param(
            "proxy.conf.json", "{ nonsense", 1, "is not valid JSON", id="no JSON"
        ),
        pytest.param(
            "a.conf", "location / {", 1, "a.conf:1: the file ends", id="nginx"
        ),
        pytest.param("a.conf", 'x "y', 1, "a.conf:1: a quote", id="quote"),
        pytest.param(
            "proxy.conf.json", '{"/*.js": "http://a"}', 1, "nothing could be", id="lost"
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_exit_code(
    run: Run, tmp_path: Path, name: str, text: str | None, status: int, told: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    outcome = run("import", name)
    assert outcome.status == status
    assert told in outcome.err
    assert not (tmp_path / "config.toml").exists()


def test_a_folder_without_anything_says_what_was_looked_for(
    run: Run, package: Path
) -> None:
    package.unlink()
    outcome = run("import", ".")
    assert outcome.status == 1
    assert "vite.config.*" in outcome.err


def test_without_node_it_says_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vite.config.js").write_text(VITE)
    monkeypatch.setenv("PATH", "")
    outcome = run("import", "vite.config.js")
    assert outcome.status == 1
    assert "node is not on the PATH" in outcome.err


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT is KeyboardInterrupt, also in a background job, where shells ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def has_ended(pid: int) -> bool:
    """Is the process gone, or only not yet collected by its new parent?"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def wait_for_end(pid: int) -> None:
    """A killed process is gone when the kernel has got to it."""
    deadline = time.monotonic() + GUARD
    while not has_ended(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        os.sched_yield()


LEAVES_A_PROCESS = """
const child = require('child_process').spawn('sleep', ['60'], { detached: true })
child.unref()
require('fs').writeFileSync('pid', String(child.pid))
"""


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="there is no /proc"
)


@needs_node
@needs_proc
def test_nothing_that_a_configuration_starts_is_left(tmp_path: Path) -> None:
    path = tmp_path / "vite.config.js"
    path.write_text(LEAVES_A_PROCESS + VITE)
    assert evaluate("vite", path).found["server"]
    wait_for_end(int((tmp_path / "pid").read_text()))


@needs_node
@needs_proc
def test_ctrl_c_ends_a_configuration_that_hangs_and_what_it_started(
    tmp_path: Path, interruptible: None
) -> None:
    path, pid = tmp_path / "vite.config.js", tmp_path / "pid"
    path.write_text(f"{LEAVES_A_PROCESS}; for (;;) {{}}")

    def interrupt() -> None:
        deadline = time.monotonic() + GUARD
        while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        evaluate("vite", path)
    watcher.join()
    wait_for_end(int(pid.read_text()))


EVALUATES = """
import sys, pathlib
from proxy.tools.importers.evaluation import evaluate
evaluate("vite", pathlib.Path(sys.argv[1]))
"""


@needs_node
@needs_proc
def test_a_configuration_ends_when_who_waits_for_it_is_killed(tmp_path: Path) -> None:
    path, pid = tmp_path / "vite.config.js", tmp_path / "pid"
    path.write_text(
        "require('fs').writeFileSync('pid.new', String(process.pid));"
        "require('fs').renameSync('pid.new', 'pid'); for (;;) {}"
    )
    with subprocess.Popen([sys.executable, "-c", EVALUATES, str(path)]) as us:
        deadline = time.monotonic() + GUARD
        while not pid.exists() and time.monotonic() < deadline:
            os.sched_yield()
        us.kill()
    wait_for_end(int(pid.read_text()))


@needs_node
def test_a_configuration_has_a_time_limit(tmp_path: Path) -> None:
    path = tmp_path / "vite.config.js"
    path.write_text("for (;;) {}")
    with pytest.raises(Unreadable, match=r"was not evaluated within 0\.1 s"):
        evaluate("vite", path, seconds=0.1)


@needs_node
@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("throw new Error('no luck\\nat all')", "no luck", id="throws"),
        pytest.param("process.exit(3)", "it ended the node process (3)", id="exits"),
        pytest.param(
            "module.exports = new Promise(() => {})", "it did not finish", id="waits"
        ),
        pytest.param(
            "setImmediate(() => { throw new Error('too late') });"
            "module.exports = new Promise((done) => setTimeout(done, 9000))",
            "too late",
            id="throws later",
        ),
        pytest.param("module.exports = {", "Unexpected end", id="syntax"),
        pytest.param("require('./gone')", "./gone", id="own file missing"),
    ],
)
def test_a_broken_configuration_is_told_without_a_traceback(
    run: Run, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "webpack.config.js").write_text(text)
    outcome = run("import", "webpack.config.js")
    assert outcome.status == 1
    assert told in outcome.err
    assert len(outcome.err.splitlines()) == 1


@needs_node
def test_what_a_configuration_prints_is_no_part_of_the_output(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "vite.config.js").write_text(f"console.log('hello'); {VITE}")
    outcome = run("import", "vite.config.js", "-o", "-")
    assert outcome.out.startswith("# From vite.config.js")
    assert "hello" not in outcome.out + outcome.err


@needs_node
def test_middleware_of_version_3_takes_the_path_of_app_use_off(
    run: Run, tmp_path: Path
) -> None:
    package = tmp_path / "node_modules" / "http-proxy-middleware"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{ "version": "3.0.5" }')
    (tmp_path / "setupProxy.js").write_text(
        "const { createProxyMiddleware: proxy } = require('http-proxy-middleware')\n"
        "module.exports = (app) => app.use('/api', proxy({ target: 'http://h:1',"
        " pathRewrite: { '^/old': '/new' } }))\n"
    )
    outcome = run("import", "setupProxy.js", "-o", "-")
    assert 'path_rewrite = { "^/api/old" = "/new", "^/api" = "" }' in outcome.out


@needs_node
def test_values_of_the_javascript_cannot_leave_their_line(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "vite.config.js").write_text(
        "module.exports = { server: { proxy: {\n"
        "'/a\\n[routes.\"/evil\"]': 'http://localhost:1',\n"
        "'/b': { target: 'http://localhost:2',\n"
        "  headers: { 'X-A': 'one\\n[two]', 'X-B': '\"${HOME}\"' },\n"
        "  'odd\\n[routes.\"/evil\"]': 1 } } } }\n"
    )
    outcome = run("import", "vite.config.js")
    assert outcome.status == 0
    check = run("check")
    assert check.status == 0
    assert '[routes."/b"]' in check.out
    assert '[routes."/evil"]' not in check.out


NGINX = r"""
server {
  location / { proxy_pass http://localhost:3000; }
  location ~ /\.git { deny all; }
}
"""


def test_what_is_open_now_and_was_closed_is_the_first_thing_that_is_told(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "site.conf").write_text(NGINX)
    outcome = run("import", "site.conf")
    assert outcome.status == 0
    for text in (outcome.err, (tmp_path / "config.toml").read_text()):
        warning, rest = text.split("WARNING: PROTECTED BEFORE, BUT OPEN HERE:")
        assert len(warning.splitlines()) <= 3
        assert r"site.conf:4: location ~ /\.git" in rest


def test_sockets_are_let_through_where_they_were(run: Run, tmp_path: Path) -> None:
    (tmp_path / "proxy.conf.json").write_text(
        '{ "/a": { "target": "http://h:1" }, "/b": { "target": "http://h:1", '
        '"ws": true, }, } // and a comma'
    )
    outcome = run("import", "proxy.conf.json")
    assert '"/a": { "target": "http://127.0.0.1:8080" },' in outcome.err
    assert '"/b": { "target": "http://127.0.0.1:8080", "ws": true }' in outcome.err


@needs_node
@pytest.mark.parametrize("source", ["vite.config.mjs", "."])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "import * as acme from '@acme/x'; export default acme.make('web')", id="all"
        ),
        pytest.param(
            "import { make as m } from '@acme/x'; export default m()", id="by name"
        ),
        pytest.param("import made from '@acme/x'; export default made", id="default"),
        pytest.param("export { default } from '@acme/x'", id="handed on"),
        pytest.param(
            "const { make } = await import('@acme/x'); export default make()",
            id="dynamic",
        ),
        pytest.param("export default require('@acme/x').make()", id="require"),
    ],
)
def test_a_module_that_is_missing_is_named_where_no_proxying_is_found(
    run: Run, tmp_path: Path, package: Path, text: str, source: str
) -> None:
    package.unlink()
    (tmp_path / "vite.config.mjs").write_text(text)
    outcome = run("import", source)
    assert outcome.status == 1
    assert "@acme/x, not installed here" in outcome.err
    assert "contains no proxy settings" not in outcome.err


@needs_node
def test_a_name_that_a_stand_in_lacks_names_its_module(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "vite.config.mjs").write_text(
        "import * as acme from '@acme/x'\n"
        "const name = 'later'\n"
        "export default { plugins: [acme[name]()] }\n"
    )
    outcome = run("import", "vite.config.mjs")
    assert outcome.status == 1
    assert "without @acme/x, not installed here" in outcome.err


# By one start of node: a variable for each file, which those before it do not have.
NAMES = ["W0", "W1", "W2", "W3", "MINE"]


@needs_node
@pytest.mark.parametrize(
    ("name", "text", "order"),
    [
        pytest.param(
            "vue.config.js",
            "module.exports = { devServer: { proxy: Object.fromEntries("
            "names.map((n) => [`/${n}`, `http://${process.env[n]}`])) } }",
            [".env.development.local", ".env.development", ".env.local", ".env"],
            id="Vue CLI",
        ),
        pytest.param(
            "next.config.js",
            "module.exports = { rewrites: () => names.map((n) => ({ source: "
            "`/${n}/:path*`, destination: `http://${process.env[n]}/${n}/:path*` })) }",
            [".env.development.local", ".env.local", ".env.development", ".env"],
            id="Next.js",
        ),
        pytest.param(
            "src/setupProxy.js",
            "const { createProxyMiddleware: p } = require('http-proxy-middleware')\n"
            "module.exports = (app) => names.forEach((n) => "
            "app.use(`/${n}`, p({ target: `http://${process.env[n]}` })))",
            [".env.development.local", ".env.local", ".env.development", ".env"],
            id="Create React App",
        ),
        pytest.param(
            "vite.config.js",
            "const { loadEnv, defineConfig } = require('vite')\n"
            "module.exports = defineConfig(({ mode }) => ({ server: { proxy: "
            "Object.fromEntries(names.map((n) => [`/${n}`, "
            "`http://${loadEnv(mode, process.cwd(), '')[n]}`])) } }))",
            [".env.development.local", ".env.development", ".env.local", ".env"],
            id="Vite",
        ),
    ],
)
def test_env_files_count_in_the_order_of_their_tool(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str,
    order: list[str],
) -> None:
    """What is in the environment wins over all of them."""
    (tmp_path / "src").mkdir()
    (tmp_path / name).write_text(f"const names = {NAMES}\n{text}")
    for number, file in enumerate(order):
        given = [*NAMES[: number + 1], "MINE"]
        (tmp_path / file).write_text("".join(f"{key}=h{number}\n" for key in given))
    monkeypatch.setenv("MINE", "mine")
    routes = tomllib.loads(run("import", name, "-o", "-").out)["routes"]
    assert {prefix: table["target"] for prefix, table in routes.items()} == {
        "/W0": "http://h0",
        "/W1": "http://h1",
        "/W2": "http://h2",
        "/W3": "http://h3",
        "/MINE": "http://mine",
    }


@needs_node
def test_json_is_imported_as_dev_servers_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "vite.config.mjs").write_text(
        "import whole, { proxy } from './package.json'\n"
        "export default { server: { proxy: { '/a': whole.proxy, '/b': proxy } } }\n"
    )
    outcome = run("import", "vite.config.mjs", "-o", "-")
    assert outcome.out.count('target = "http://localhost:4000"') == 2


@needs_node
def test_other_tools_load_no_env_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "webpack.config.js").write_text(
        "module.exports = { devServer: { proxy: { '/a': process.env.WHICH } } }"
    )
    (tmp_path / ".env").write_text("WHICH=http://h:1\n")
    assert run("import", "webpack.config.js").status == 1
    (tmp_path / "webpack.config.js").write_text(
        "require('dotenv').config()\n"
        "module.exports = { devServer: { proxy: { '/a': process.env.WHICH } } }"
    )
    assert run("import", "webpack.config.js").status == 0


LINES = [
    ("X=a", "a"),
    ("  X = a  ", "a"),
    ("export X=a", "a"),
    ("X='a # b'", "a # b"),
    ('X="a" # b', "a"),
    ("X=a # b", "a"),
    ("X=`a`", "a"),
    ("Y=b\nX=a${Y}", "ab"),
    ("X=a$Y\nY=b", "ab"),
    ("X=${Y:-c}", "c"),
    ("X=${X}a", "a"),
    ("X=a\r\nY=b\r\n", "a"),
    ("\ufeffX=a", "a"),
    ("# X=b\nX=a", "a"),
    ('Z="one\nX=b"\nX=a', "a"),
]


@needs_node
def test_lines_of_env_files(run: Run, tmp_path: Path) -> None:
    """Each in a folder of its own, which one configuration reads: one start of node.

    Numbers of two digits, since Vite would have /1 take /10, too.
    """
    for number, (line, _) in enumerate(LINES, 10):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / ".env").write_text(line, "utf-8", newline="")
    (tmp_path / "vite.config.js").write_text(
        "const { loadEnv } = require('vite')\n"
        f"const all = Array.from({{ length: {len(LINES)} }}, (_, n) => `${{n + 10}}`)"
        ".map((n) => [`/${n}`, "
        "{ target: 'http://h', headers: { 'X-Of': loadEnv('x', n, '').X } }])\n"
        "module.exports = { server: { proxy: Object.fromEntries(all) } }"
    )
    routes = tomllib.loads(run("import", "vite.config.js", "-o", "-").out)["routes"]
    read = [
        (line, routes[f"/{number}"]["headers"]["request"]["set"]["X-Of"])
        for number, (line, _) in enumerate(LINES, 10)
    ]
    assert read == LINES


def test_what_is_printed_into_a_pipe_is_utf_8(
    tmp_path: Path,
) -> None:
    (tmp_path / "package.json").write_text('{ "proxy": "http://localhost:4000" }')
    (tmp_path / "proxy.conf.json").write_text(
        '{ "/a": { "target": "http://h:1", "headers": { "X-A": "…中" } } }', "utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "import", "proxy.conf.json", "-o", "-"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii:backslashreplace",
             "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
    )  # fmt: skip
    assert 'X-A = "…中"' in done.stdout.decode("utf-8")


@needs_node
def test_an_entry_whose_variable_is_not_set_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "vite.config.js").write_text(
        "module.exports = { server: { proxy: { '/a': process.env.NOT_SET_AT_ALL,"
        " '/b': 'http://localhost:2' } } }"
    )
    outcome = run("import", "vite.config.js")
    assert "server.proxy['/a']: nothing (is an environment variable" in outcome.err


def test_a_file_of_nginx_is_known_by_its_text(run: Run, tmp_path: Path) -> None:
    (tmp_path / "default").write_text(NGINX)
    assert run("import", "default", "-o", "-").status == 0


def test_a_project_of_several_parts_names_them(
    run: Run, tmp_path: Path, package: Path
) -> None:
    (tmp_path / "apps" / "web").mkdir(parents=True)
    package.rename(tmp_path / "apps" / "web" / "package.json")
    outcome = run("import", ".")
    assert outcome.status == 1
    assert "unbuffered import apps/web" in outcome.err


def test_there_is_always_a_port(run: Run, tmp_path: Path) -> None:
    listen = "".join(f"listen {port};" for port in (8080, 8090, 8180, 8280, 8380))
    location = "location / { proxy_pass http://h:1; }"
    (tmp_path / "a.conf").write_text(f"server {{ {listen} {location} }}")
    assert "port = 8081" in run("import", "a.conf", "-o", "-").out
