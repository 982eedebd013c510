"""What a person reads first: the verdict of check, the banner, whom top asks."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.process.browser_addresses import browser_line
from proxy.tools.migrate.config_writer import NEEDED, needed
from proxy.tools.running_proxy import DEFAULT_URL, find_proxy

ROOT = Path(__file__).parents[2]
ROUTE = '[routes."/sse"]\ntarget = "http://localhost:8002"\n'
PAGES = {
    "vite": "vite",
    "next": "next",
    "angular": "angular",
    "webpack": "vue-cli-webpack",
    "vue": "vue-cli-webpack",
    "setup": "cra",
    "package": "cra",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNBUFFERED_TOKEN", raising=False)
    return tmp_path


def test_check_prints_what_differs_and_ends_with_a_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("config.toml").write_text(
        f'{ROUTE}[routes."/a"]\ntarget = "http://a"\n[server]\nport = 9000\n', "utf-8"
    )
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 routes, no fault"
    assert [line.split()[0] for line in lines[:-1] if line] == [
        "[server]",
        "port",
        '[routes."/sse"]',
        "target",
        '[routes."/a"]',
        "target",
    ]
    assert main(["check", "--all"]) == 0
    everything = capsys.readouterr().out.splitlines()
    assert everything[-1] == "2 routes, no fault"
    assert any(line.split()[:1] == ["idle_timeout_seconds"] for line in everything)


def test_a_verdict_counts_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.toml").write_text(f"{ROUTE}unhealthy_after = 2\n", "utf-8")
    assert main(["check"]) == 0
    assert capsys.readouterr().out.endswith("\n1 route, no fault, 1 warning\n")


def test_explain_shows_limits_that_differ_and_ends_with_a_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("config.toml").write_text(f"{ROUTE}idle_timeout_seconds = 7\n", "utf-8")
    assert main(["explain", "GET", "/sse/x"]) == 0
    told = capsys.readouterr().out
    assert "idle_timeout_seconds" in told
    assert "connect_timeout_seconds" not in told
    assert "have their defaults (--all)" in told
    assert told.endswith(
        "\nThe route /sse matches: it would go to http://localhost:8002. Nothing was "
        "sent.\n"
    )
    assert main(["explain", "GET", "/sse/x", "--all"]) == 0
    assert "connect_timeout_seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "url"),
    [
        pytest.param(
            f"[server]\nport = 9000\n{ROUTE}", "http://127.0.0.1:9000", id="port"
        ),
        pytest.param(
            '[server]\nport = 9000\n[routes."/a"]\ntarget = "${NOT_SET}"\n',
            "http://127.0.0.1:9000",
            id="a variable that is not set here",
        ),
        pytest.param("[server]\nport = 'x'\n" + ROUTE, DEFAULT_URL, id="a fault"),
        pytest.param("server:\n", DEFAULT_URL, id="not TOML"),
    ],
)  # fmt: skip
def test_top_finds_the_address_in_the_file_beside_it(text: str, url: str) -> None:
    Path("config.toml").write_text(text, "utf-8")
    beside = Path("config.toml")
    assert find_proxy(None, None, None, {}, beside).url == url
    assert find_proxy("http://h:1", None, None, {}, beside).url == "http://h:1"
    assert find_proxy(None, None, None, {}).url == DEFAULT_URL


@pytest.mark.parametrize(
    ("rest", "token"),
    [
        pytest.param('[metrics]\ntoken = "${NOT_SET}"\n', "", id="metrics"),
        pytest.param('[inspector]\ntoken = "${NOT_SET}"\n', "", id="inspector"),
        pytest.param('[routes."/a"]\ntarget = "${NOT_SET}"\n', "", id="a route"),
        pytest.param("[routes]\n", "", id="no route"),
        pytest.param(
            '[inspector]\ntoken = "${SET}"\n[metrics]\ntoken = "${NOT_SET}"\n',
            "0123456789abcdef",
            id="the token is set",
        ),
        pytest.param("inspector = 5\n", "", id="no table"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
def test_address_and_token_do_not_need_the_rest_of_a_file(
    rest: str, token: str, named: bool
) -> None:
    """The secrets of a service are in the environment of its unit, and nowhere else."""
    path = Path("config.toml")
    table = f"[server]\nport = 9000\n{ROUTE if '[routes' not in rest else ''}"
    path.write_text(table + rest if "[" in rest else rest + table, "utf-8")
    config, beside = (path, None) if named else (None, path)
    environ = {"SET": "0123456789abcdef"}
    found = find_proxy(None, config, None, environ, beside, guess=False)
    assert (found.url, found.token) == ("http://127.0.0.1:9000", token)
    shown = find_proxy(None, config, "x" * 16, environ, beside, guess=False)
    assert shown.token == "x" * 16


def test_top_without_a_file_asks_the_default_address() -> None:
    assert find_proxy(None, None, None, {}, Path("config.toml")).url == DEFAULT_URL


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_banner_has_addresses_that_a_browser_opens(host: str) -> None:
    line = browser_line(host, 8080, "http")
    assert line.startswith("Open http://localhost:8080/")
    assert "//0.0.0.0" not in line
    assert "//[::]" not in line


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.7", "proxy.example"])
def test_an_address_that_can_be_opened_is_not_said_twice(host: str) -> None:
    assert browser_line(host, 8080, "http") == ""


@pytest.mark.parametrize("kind", NEEDED)
def test_import_writes_the_keys_that_the_page_of_the_framework_has(kind: str) -> None:
    page = (ROOT / "docs" / "frameworks" / f"{PAGES[kind]}.md").read_text("utf-8")
    written = [line[2:].split(" #")[0] for line in needed(kind).splitlines()[2:]]
    assert written
    for key in ("connect_retry_seconds", "heartbeat_seconds", "on_upstream_failure"):
        assert (f"\n{key} = " in page) is any(line.startswith(key) for line in written)
    for line in written:
        assert f"\n{line}\n" in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["serve", "--prot", "9000"], "did you mean --port?", id="typo"),
        pytest.param(["serve", "--conf", "x"], "did you mean --config?", id="short"),
        pytest.param(["serve", "\u2014port", "9"], "did you mean --port?", id="em"),
        pytest.param(["serve", "\u2013host=x"], "did you mean --host?", id="en"),
        pytest.param(["serv"], "did you mean serve?", id="command"),
        pytest.param(["validate"], "did you mean check?", id="other name"),
        pytest.param(["serve", "--timeout", "3"], "--timeout 3\n", id="none"),
        pytest.param(["serve", "--tls-key", "x"], "--tls-key x\n", id="half a name"),
        pytest.param(["serve", "x"], "arguments: x\n", id="not an option"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_told_with_what_was_meant(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("key", ["port = {port}", 'admin = "127.0.0.1:{port}"'])
def test_drain_asks_the_proxy_of_the_file_beside_it(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:  # nobody listens there, and nobody else will
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        written = f"[server]\n{key.format(port=port)}\n{ROUTE}"
        Path("config.toml").write_text(written, "utf-8")
        assert main(["drain"]) == 1
    assert f"nothing listens at http://127.0.0.1:{port}: " in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[server]\nport = 'x'\n" + ROUTE, "server:\n"])
def test_drain_ends_nobody_where_the_file_beside_it_is_wrong(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What answers at the default address may be another proxy."""
    Path("config.toml").write_text(text, "utf-8")
    assert main(["drain"]) == 2
    assert capsys.readouterr().err.startswith("unbuffered: config.toml: line ")
