"""What people really type: each wrong file is one line, with what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.config.load import from_routes, load
from proxy.config.model import Config
from proxy.config.suggestions import near
from proxy.config.syntax_fault import TABLE_NAMES
from proxy.errors import ConfigError

TABLE = Path(__file__).with_name("wrong_files.txt").read_text("utf-8")
WRONG: dict[str, tuple[str | bytes, str]] = {
    name: (text, message)
    for name, text, message in re.findall(
        r"^=== ([^\n]+)\n(.*?)^>>> ([^\n]+)$", TABLE, re.MULTILINE | re.DOTALL
    )
}
ROUTE = '[routes."/sse"]\ntarget = "http://localhost:8002"\n'
WRONG |= {
    "UTF-16": (ROUTE.encode("utf-16"), "the file is in UTF-16: save it in UTF-8"),
    "UTF-16 without a mark": (
        ROUTE.encode("utf-16-be"),
        "the file is in UTF-16: save it in UTF-8",
    ),
    "UTF-32": (ROUTE.encode("utf-32"), "the file is in UTF-32: save it in UTF-8"),
    "GBK": (
        f"{ROUTE}# 端口\n".encode("gbk"),
        "line 3: not valid UTF-8: save the file in UTF-8",
    ),
    "line ends of CR": (
        "[server]\rport = 8080\r",
        "line 1, column 9: lines end in CR alone: save the file with LF or CRLF line "
        "ends",
    ),
    "not text": (
        b"\x00\x01\x02",
        "line 1, column 1: contains a control character (U+0000): remove it, or save "
        "the file as text in UTF-8",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line_and_exit_status_2(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, message = WRONG[name]
    monkeypatch.chdir(tmp_path)
    content = text if isinstance(text, bytes) else text.encode("utf-8")
    Path("config.toml").write_bytes(content)
    assert main(["check"]) == 2
    output = capsys.readouterr()
    assert output.err.splitlines() == [f"unbuffered: config.toml: {message}"]
    assert output.out == "1 fault: the configuration cannot be used\n"
    assert "secret" not in output.err


def test_certificate_and_key_that_are_missing_are_both_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[server]\ntls_certificate = "a.pem"\ntls_key = "b.pem"\n{ROUTE}', "utf-8"
    )
    assert main(["check", "--config", str(path)]) == 2
    missing = "cannot be read: no such file or directory"
    output = capsys.readouterr()
    assert output.err.splitlines() == [
        f"unbuffered: {path}: line 2: [server] tls_certificate: {tmp_path}/a.pem "
        f"{missing}",
        f"unbuffered: {path}: line 3: [server] tls_key: {tmp_path}/b.pem {missing}",
    ]
    assert output.out == "2 faults: the configuration cannot be used\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '[routes."/users/:id"]\ntarget = "http://a"\n',
            'line 1: [routes."/users/:id"] prefix: :id is taken as it stands, prefixes '
            'are not patterns: write "/users", which matches every path below it',
            id="a parameter",
        ),
        pytest.param(
            '[routes."/sse$"]\ntarget = "http://a"\n',
            'line 1: [routes."/sse$"] prefix: $ is taken as it stands, prefixes are '
            'not patterns: write "/sse", which matches every path below it',
            id="an end",
        ),
        pytest.param(
            '[routes."/api"]\ntarget = "http://a/api"\n',
            'line 2: [routes."/api"] target: the path /api is doubled, /api/x is sent '
            'as /api/api/x: write "http://a", or a path_rewrite that removes it',
            id="a path of the target",
        ),
        pytest.param(
            '[routes."/v1"]\ntarget = "http://a/api"\n'
            'path_rewrite = { "^/v1" = "/api" }\n',
            'line 2: [routes."/v1"] target: the path /api is doubled, /v1/x is sent '
            'as /api/api/x: write "http://a", or a path_rewrite that removes it',
            id="a path of the target and a rewrite",
        ),
    ],
)
def test_what_may_be_meant_as_it_stands_is_a_warning(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(text, "utf-8")
    assert load(Path("config.toml"), {}).warnings == (f"config.toml: {message}",)


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{ROUTE}",
        ROUTE.replace("\n", "\r\n"),
        ROUTE.replace(" = ", "\t=\t"),
        f"# \u201c\uff1a\u201d\uff0c\u3002 \u2014 端口\n{ROUTE}",
        f"{ROUTE}headers.response.set = {{ X-Note = '\u201c\uff1a\u201d' }}\n",
        f"{ROUTE}path_rewrite = {{ '/v1/s' = '' }}\n",
        f"{ROUTE}path_rewrite = {{ '^/?sse' = '' }}\n",
        f"{ROUTE}path_rewrite = {{ '^a?/sse' = '' }}\n",
        '[routes."/v1/models:predict"]\ntarget = "http://a/b"\n',
        '[server]\nport = 0\n[routes."/a"]\ntarget = "http://localhost:8080"\n',
        '[routes."/a"]\ntarget = "http://127.0.0.2:8080"\n',
        '[routes."/a"]\ntarget = "http://unix:8080"\n',
    ],
)
def test_what_only_looks_wrong_is_read_without_a_word(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8"))
    assert load(path, {}).warnings == ()


def test_a_route_of_the_command_line_is_corrected_as_well() -> None:
    with pytest.raises(ConfigError) as caught:
        from_routes({"/sse": "localhost:8002", "/a": "\uff1a8003"})
    assert [fault.rpartition("write ")[2] for fault in caught.value.faults] == [
        '"http://localhost:8002"',
        '"http://localhost:8003"',
    ]


@pytest.mark.parametrize(
    ("written", "known", "found"),
    [
        ("heartbeat_seconds", ["max_duration_seconds", "drain_seconds"], []),
        ("retry_seconds", ["connect_retry_seconds"], ["connect_retry_seconds"]),
        ("idle_bytes", ["idle_timeout_seconds"], []),
        ("min_head_bytes", ["max_head_bytes"], []),
        ("no_access", ["access"], []),
        ("disable_ws", ["ws"], []),
        ("http3", ["http2"], []),
        ("tls_ca", ["tls_key", "tls_certificate"], []),
        ("tls_cert", ["tls_key", "tls_certificate"], ["tls_certificate"]),
        ("response_bytes", ["max_response_head_bytes"], ["max_response_head_bytes"]),
        ("secret", ["set", "remove"], []),
        ("move", ["set", "remove"], []),
        ("sever", ["server", "store"], ["server"]),
        ("logging", ["log", "routes"], ["log"]),
        ("prot", ["host", "port"], ["port"]),
        ("prt", ["host", "port"], ["port"]),
        ("pot", ["host", "set"], []),
        ("keep_alive_timeout", ["keepalive_timeout_seconds"],
         ["keepalive_timeout_seconds"]),
        ("timeout_seconds", ["idle_timeout_seconds"], []),
    ],
)  # fmt: skip
def test_a_suggestion_shares_its_words_with_what_was_written(
    written: str, known: list[str], found: list[str]
) -> None:
    assert near(written, known) == found


def test_the_tables_that_are_named_are_those_that_there_are() -> None:
    assert {*TABLE_NAMES} == {*Config.__struct_fields__} - {"sources", "warnings"}
