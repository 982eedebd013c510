"""Values that open more than somebody may have meant, and those that do not."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.config.dangers import dangers
from proxy.config.listen_address import ListenAddress
from proxy.config.load import from_routes, load
from proxy.process.socket_activation import listening_there
from tests.support.certificates import Authority
from tests.unit.config.conftest import Load, without_line

ROOT = Path(__file__).parents[3]
ROUTE = '[routes."/a"]\ntarget = "http://upstream"\n'
PUBLIC = '[server]\nhost = "0.0.0.0"\n'
PRIVATE = "[server]\n"
TOKEN = 'token = "${T}"\n'
ENVIRON = {"T": "0123456789abcdef"}
OPEN = "[inspector]\nenabled = true\n"
COUNTED = "[metrics]\nenabled = true\n"
UNCHECKED = '[routes."/a"]\ntarget = "https://upstream"\nverify = false\n'


def told(text: str, read: Load) -> list[str]:
    """Table and key of each warning."""
    warnings = [without_line(each) for each in read(text, ENVIRON).warnings]
    found = [re.match(r"config\.toml: (\[.*?\](?:, | )[\w.]+): ", w) for w in warnings]
    assert all(found), warnings
    return [each[1] for each in found if each]


DANGEROUS = {
    "inspector": (PUBLIC + OPEN + ROUTE, "[inspector] enabled"),
    "inspector at another listener": (
        f'[[listen]]\nhost = "::"\nport = 5\n{OPEN}{ROUTE}',
        "[inspector] enabled",
    ),
    "inspector by name": (
        f'[server]\nhost = "proxy.example"\n{OPEN}{ROUTE}',
        "[inspector] enabled",
    ),
    "inspector at a public admin": (
        f'[server]\nadmin = "0.0.0.0:9"\n{OPEN}{ROUTE}{COUNTED}',
        "[inspector] enabled",
    ),
    "metrics": (PUBLIC + COUNTED + ROUTE, "[metrics] enabled"),
    "metrics beside an inspector with a token": (
        PUBLIC + OPEN + TOKEN + COUNTED + ROUTE,
        "[metrics] enabled",
    ),
    "admin": (f'[server]\nadmin = "10.0.0.1:9"\n{ROUTE}', "[server] admin"),
    "admin with a token of the inspector": (
        f'[server]\nadmin = "0.0.0.0:9"\n[inspector]\n{TOKEN}{ROUTE}',
        "[server] admin",
    ),
    "everyone": (
        f'[server]\ntrusted_proxies = ["0.0.0.0/0"]\n{ROUTE}',
        "[server] trusted_proxies",
    ),
    "everyone by IPv6": (
        f'[server]\ntrusted_proxies = ["10.0.0.0/8", "::/0"]\n{ROUTE}',
        "[server] trusted_proxies",
    ),
    "half of all": (
        f'[server]\ntrusted_proxies = ["128.0.0.0/1"]\n{ROUTE}',
        "[server] trusted_proxies",
    ),
    "wide by IPv6": (
        f'[server]\ntrusted_proxies = ["2000::/3"]\n{ROUTE}',
        "[server] trusted_proxies",
    ),
    "error_detail": (f'{PUBLIC}error_detail = "all"\n{ROUTE}', "[server] error_detail"),
    "heads": (
        f"{PUBLIC}head_timeout_seconds = 0\n{ROUTE}",
        "[server] head_timeout_seconds",
    ),
    "bodies": (
        f"{PUBLIC}body_timeout_seconds = 0\n{ROUTE}",
        "[server] body_timeout_seconds",
    ),
    "resets": (
        f"{PUBLIC}http2_max_resets_per_second = 0\n{ROUTE}",
        "[server] http2_max_resets_per_second",
    ),
    "frames": (
        f"{PUBLIC}http2_max_control_frames_per_second = 0\n{ROUTE}",
        "[server] http2_max_control_frames_per_second",
    ),
    "faults": (
        f'{PUBLIC}allow_faults = true\n{ROUTE}fault = {{ kind = "fin" }}',
        "[server] allow_faults",
    ),
    "verify": (UNCHECKED, '[routes."/a"] verify'),
    "verify in the defaults": (
        '[defaults]\nverify = false\n[routes."/a"]\ntarget = "https://upstream"\n',
        "[defaults] verify",
    ),
    "trust_forwarded": (
        f"{PUBLIC}{ROUTE}trust_forwarded = true",
        '[routes."/a"] trust_forwarded',
    ),
    "rewrite_origin": (
        f"{PUBLIC}{ROUTE}rewrite_origin = true",
        '[routes."/a"] rewrite_origin',
    ),
    "two routes of the defaults": (
        f"{PUBLIC}[defaults]\nrewrite_origin = true\n{ROUTE}"
        '[routes."/b"]\ntarget = "http://b"\n',
        "[defaults] rewrite_origin",
    ),
}


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_dangerous_value_is_warned_of_once(read: Load, name: str) -> None:
    text, key = DANGEROUS[name]
    assert told(text, read) == [key]


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_warning_is_one_line_that_says_what_to_write(read: Load, name: str) -> None:
    [warning] = read(DANGEROUS[name][0], ENVIRON).warnings
    assert len(warning.splitlines()) == 1
    assert re.search(r": (write|remove) |: [^:]+, or | write ", warning)
    assert "line " in warning


HARMLESS = {
    "nothing": ROUTE,
    "public": PUBLIC + ROUTE,
    "an open inspector on this machine": OPEN + COUNTED + ROUTE,
    "an inspector with a token": PUBLIC + OPEN + TOKEN + COUNTED + TOKEN + ROUTE,
    "an inspector for nobody": f"{PUBLIC}[inspector]\nenabled = false\n{ROUTE}",
    "an admin listener on this machine": (
        f'{PUBLIC}admin = "127.0.0.1:9"\n{OPEN}{COUNTED}{ROUTE}'
    ),
    "an admin listener of a file": (
        f'{PUBLIC}admin = "unix:/run/x.sock"\n{OPEN}{COUNTED}{ROUTE}'
    ),
    "a public admin listener that is meant": (
        f'{PUBLIC}admin = "0.0.0.0:9"\n{COUNTED}{ROUTE}'
    ),
    "a public admin listener with a token": (
        f'{PUBLIC}admin = "0.0.0.0:9"\n[metrics]\n{TOKEN}{ROUTE}'
    ),
    "a public admin listener without metrics": (
        f'{PUBLIC}admin = "0.0.0.0:9"\n[metrics]\nenabled = false\n{ROUTE}'
    ),
    "one's own networks": (
        '[server]\ntrusted_proxies = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", '
        '"fc00::/7", "fe80::/10", "104.16.0.0/13", "2400:cb00::/32", "::1", "1.2.3.4"]'
        f"\n{ROUTE}"
    ),
    "error_detail on this machine": f'[server]\nerror_detail = "all"\n{ROUTE}',
    "error_detail none": f'{PUBLIC}error_detail = "none"\n{ROUTE}',
    "no limits on this machine": (
        "[server]\nhead_timeout_seconds = 0\nhttp2_max_resets_per_second = 0\n" + ROUTE
    ),
    "faults on this machine": (
        f'[server]\nallow_faults = true\n{ROUTE}fault = {{ kind = "fin" }}'
    ),
    "faults that no route has": f"{PUBLIC}allow_faults = true\n{ROUTE}",
    "verify without TLS": f"{ROUTE}verify = false\n",
    "verify on this machine": (
        '[routes."/a"]\ntarget = ["https://localhost:5", "https://127.0.0.1:6"]\n'
        "verify = false\n"
    ),
    "development": (
        f"{ROUTE}trust_forwarded = true\nrewrite_origin = true\n"
        'cookie_secure = "strip"\n'
    ),
    "cookies for plain HTTP": f'{PUBLIC}{ROUTE}cookie_secure = "strip"\n',
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_harms_nobody_is_not_warned_of(read: Load, name: str) -> None:
    assert read(HARMLESS[name], ENVIRON).warnings == ()


def test_cookies_without_secure_are_warned_of_where_there_is_tls(
    read: Load, tmp_path: Path
) -> None:
    Authority(tmp_path)
    text = (
        f'{PUBLIC}tls_certificate = "cert.pem"\ntls_key = "key.pem"\n'
        f'{ROUTE}cookie_secure = "strip"\n'
    )
    assert told(text, read) == ['[routes."/a"] cookie_secure']


CONFIGURATIONS = [
    path
    for folder in ("deploy", "examples", "upstream_demo")
    for path in sorted((ROOT / folder).rglob("*.toml"))
    if path.name in ("config.toml", "demo.toml") and "node_modules" not in path.parts
] + [ROOT / "config.toml"]


@pytest.mark.parametrize(
    "path", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_what_comes_along_is_not_warned_of(path: Path) -> None:
    names = re.findall(r"\$\{(\w+)\}", path.read_text("utf-8"))
    environ = dict.fromkeys([*names, "UNBUFFERED_STORE_KEY"], "x" * 32)
    environ["UNBUFFERED_STORE_URL"] = "redis://store"
    assert [*dangers(load(path, environ))] == []


def test_routes_of_a_command_line_are_not_warned_of() -> None:
    routes = {"/a": "http://upstream", "/": "https://example.com"}
    assert from_routes(routes, {"server.host": "0.0.0.0"}).warnings == ()


def test_a_socket_of_the_service_manager_is_looked_at(read: Load) -> None:
    config = read(OPEN + ROUTE)
    assert config.warnings == ()
    local, public = ListenAddress("127.0.0.1", 443), ListenAddress("0.0.0.0", 443)
    assert listening_there(config, None).warnings == ()
    assert listening_there(config, local).warnings == ()
    [warning] = listening_there(config, public).warnings
    assert warning.startswith("[inspector] enabled: everyone who can reach 0.0.0.0:443")


def test_each_key_is_documented() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    section = page.partition("## Values that are warned of")[2].partition("\n## ")[0]
    keys = {key.rpartition(" ")[2] for _, key in DANGEROUS.values()}
    assert [key for key in keys if f"{key}`" not in section] == []


# -- the command -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "strict", "status"),
    [
        pytest.param(UNCHECKED, [], 0, id="a warning is no fault"),
        pytest.param(UNCHECKED, ["--strict"], 1, id="a warning, strict"),
        pytest.param(ROUTE, ["--strict"], 0, id="none, strict"),
        pytest.param("x = 1", ["--strict"], 2, id="a fault, strict"),
    ],
)
def test_check_tells_warnings_and_its_status(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    strict: list[str],
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(text, "utf-8")
    assert main(["check", *strict]) == status
    told = capsys.readouterr()
    if text == UNCHECKED:
        assert told.err.startswith(
            'unbuffered: warning: config.toml: line 3: [routes."/a"] verify: the '
            "certificate of https://upstream is not checked"
        )
        assert told.out.endswith("\n1 route, no fault, 1 warning\n")


# -- files -------------------------------------------------------------------------

needs_modes = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
SECRETS = {
    '[inspector]\ntoken = "0123456789abcdef"\n': "[inspector] token",
    '[metrics]\ntoken = "0123456789abcdef"\n': "[metrics] token",
    '[store]\nurl = "redis://:pa55word@host"\n': "[store] url",
    '[store]\nurl = "redis://a"\nkey = "0123456789abcdef"\n': "[store] key",
    f'{ROUTE}headers.request.set = {{ Authorization = "Bearer x" }}\n': (
        '[routes."/a"] headers.request.set.Authorization'
    ),
    f'{ROUTE}headers.request.set = {{ X-A = "Bearer xyz" }}\n': (
        '[routes."/a"] headers.request.set.X-A'
    ),
}


@pytest.fixture
def open_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that all users may look into, with all above it."""
    real = Path.stat

    def stat(path: Path, **given: bool) -> os.stat_result:
        found = real(path, **given)
        if path in tmp_path.parents:
            return os.stat_result((found.st_mode | 0o001, *found[1:]))
        return found

    monkeypatch.setattr(Path, "stat", stat)
    tmp_path.chmod(0o755)
    return tmp_path


def mentions(config_warnings: tuple[str, ...]) -> list[str]:
    """Those of files, without where they are."""
    return [w for w in config_warnings if "every user of this machine" in w]


@needs_modes
@pytest.mark.parametrize("text", SECRETS, ids=SECRETS.values())
def test_a_secret_in_a_file_for_all_is_warned_of(
    read: Load, open_folder: Path, text: str
) -> None:
    whole = text if ROUTE in text else text + ROUTE
    file = open_folder / "config.toml"
    file.touch(0o644)
    file.chmod(0o644)
    [warning] = mentions(read(whole).warnings)
    assert f"{SECRETS[text]}: every user of this machine can read it" in warning
    assert "chmod 640" in warning
    assert ", with a group of the service, or take it from" in warning
    assert not re.search("0123456789abcdef|pa55word|xyz", warning)
    file.chmod(0o640)
    assert mentions(read(whole).warnings) == []


@needs_modes
def test_what_is_no_secret_may_stand_in_a_file_for_all(
    read: Load, open_folder: Path
) -> None:
    file = open_folder / "config.toml"
    file.touch(0o644)
    file.chmod(0o644)
    text = (
        '[inspector]\ntoken = "${T}"\n[metrics]\ntoken = ""\n'
        f'[store]\nurl = "redis://a"\n{ROUTE}'
        'headers.request.set = { X-A = "b", Authorization = "Bearer ${T}" }\n'
    )
    assert read(text, ENVIRON).warnings == ()
    auto = f'[inspector]\ntoken = "auto"\n{ROUTE}'
    assert read(auto).warnings == ()


@needs_modes
@pytest.mark.parametrize("table", ["[server]", "[[listen]]\nport = 5"])
def test_a_private_key_for_all_is_warned_of(
    read: Load, open_folder: Path, table: str
) -> None:
    Authority(open_folder)
    key = open_folder / "key.pem"
    text = f'{table}\ntls_certificate = "cert.pem"\ntls_key = "key.pem"\n{ROUTE}'
    key.chmod(0o600)
    assert read(text).warnings == ()
    key.chmod(0o644)
    [warning] = read(text).warnings
    assert "tls_key: every user of this machine can read the private key" in warning
    assert 'chmod 600 "key.pem", or 640 with a group of the service' in warning
    open_folder.chmod(0o700)  # nobody else gets as far as the file
    assert read(text).warnings == ()


@needs_modes
def test_a_key_in_the_file_of_its_certificate_is_looked_at(
    read: Load, open_folder: Path
) -> None:
    Authority(open_folder)
    both = open_folder / "both.pem"
    both.write_bytes(
        b"".join((open_folder / n).read_bytes() for n in ("cert.pem", "key.pem"))
    )
    both.chmod(0o644)
    text = f'[server]\ntls_certificate = "both.pem"\n{ROUTE}'
    [warning] = read(text).warnings
    assert "[server] tls_certificate: every user of this machine" in warning
