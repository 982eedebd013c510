"""`serve --tls dev`: a certificate that a client trusts, kept from run to run."""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography import x509

from proxy.cli.main import main
from proxy.config.load import load
from proxy.errors import ConfigError
from proxy.process.dev_certificate import dev_certificate
from tests.conftest import StartProxy
from tests.support.raw import Upstream
from tests.wire.test_process import Process

ROUTE = '[routes."/"]\ntarget = "http://localhost:1"\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without mkcert, and with a folder of its own."""
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "PATH": ""}


def names(certificate: Path) -> set[str]:
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    said = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(each.value) for each in said.value}


async def test_a_client_that_trusts_the_authority_keeps_secure_cookies(
    proxy: StartProxy, upstream: Upstream, environ: dict[str, str]
) -> None:
    made = dev_certificate("127.0.0.1", environ)
    tls = {"tls_certificate": str(made.certificate), "tls_key": str(made.key)}
    running = await proxy({"/": {"target": upstream.url}}, server=tls)
    context = ssl.create_default_context(cafile=made.authority)
    answer = (
        b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=1; Secure\r\n"
        b"Connection: close\r\n\r\n"
    )

    async def answered() -> bytes:
        peer = await upstream.request()
        await peer.send(answer)
        return peer.head

    url = f"https://localhost:{running.port}/"
    async with aiohttp.ClientSession() as session:
        for cookie in (False, True):
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(answered())
                response = await session.get(url, ssl=context)
            assert response.status == 204
            assert (b"Cookie: a=1" in asked.result()) == cookie
            assert b"X-Forwarded-Proto: https" in asked.result()


def test_it_is_kept_and_only_its_owner_reads_the_keys(
    environ: dict[str, str],
) -> None:
    first = dev_certificate("127.0.0.1", environ)
    assert first.made
    content = first.certificate.read_bytes()
    second = dev_certificate("127.0.0.1", environ)
    assert not second.made
    assert second.certificate.read_bytes() == content
    folder = first.certificate.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for key in ("ca-key.pem", "localhost-key.pem"):
        assert stat.S_IMODE((folder / key).stat().st_mode) == 0o600
    assert names(first.certificate) == {"localhost", "127.0.0.1", "::1"}


def test_another_host_gets_a_certificate_by_the_same_authority(
    environ: dict[str, str],
) -> None:
    first = dev_certificate("127.0.0.1", environ)
    authority = first.authority.read_bytes()
    second = dev_certificate("dev.example", environ)
    assert "dev.example" in names(second.certificate)
    assert second.authority.read_bytes() == authority


def test_it_is_renewed_before_it_ends(environ: dict[str, str]) -> None:
    made = dev_certificate("127.0.0.1", environ)
    authority = trustme.CA.from_pem(
        made.authority.read_bytes(),
        made.authority.with_name("ca-key.pem").read_bytes(),
    )
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    soon = authority.issue_cert(
        "localhost", "127.0.0.1", "::1", not_after=now + datetime.timedelta(days=29)
    )
    soon.private_key_pem.write_to_path(made.key)
    soon.cert_chain_pems[0].write_to_path(made.certificate)
    dev_certificate("127.0.0.1", environ)
    leaf = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    left = leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=300) < left < datetime.timedelta(days=398)


def test_the_authority_of_mkcert_signs_where_it_is(
    environ: dict[str, str], tmp_path: Path
) -> None:
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    authority.cert_pem.write_to_path(tmp_path / "rootCA.pem")
    authority.private_key_pem.write_to_path(tmp_path / "rootCA-key.pem")
    own = dev_certificate("127.0.0.1", environ)
    made = dev_certificate("127.0.0.1", {**environ, "CAROOT": str(tmp_path)})
    assert made.by_mkcert
    assert "mkcert" in made.told(8080)
    leaf = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    leaf.verify_directly_issued_by(
        x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    )
    (
        tmp_path / "rootCA-key.pem"
    ).unlink()  # mkcert's root without its key signs nothing
    again = dev_certificate("127.0.0.1", {**environ, "CAROOT": str(tmp_path)})
    assert again.authority == own.authority
    leaf = x509.load_pem_x509_certificate(again.certificate.read_bytes())
    leaf.verify_directly_issued_by(
        x509.load_pem_x509_certificate(own.authority.read_bytes())
    )


def test_broken_files_of_the_authority_are_told(environ: dict[str, str]) -> None:
    made = dev_certificate("127.0.0.1", environ)
    made.authority.with_name("ca-key.pem").write_text("nonsense")
    made.certificate.unlink()
    with pytest.raises(ConfigError, match="delete both"):
        dev_certificate("127.0.0.1", environ)


def test_a_folder_that_cannot_be_made_is_told(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(ConfigError, match="not a directory"):
        dev_certificate("127.0.0.1", environ)


def test_two_certificates_are_one_too_many(
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = dev_certificate("127.0.0.1", environ)
    path = tmp_path / "config.toml"
    path.write_text(
        f'[server]\ntls_certificate = "{made.certificate}"\ntls_key = "{made.key}"\n'
        + ROUTE
    )
    assert load(path, {}).server.tls_certificate
    monkeypatch.setenv("XDG_STATE_HOME", environ["XDG_STATE_HOME"])
    assert main(["serve", "--tls", "dev", "--config", str(path)]) == 2
    assert "use only one of them" in capsys.readouterr().err


def test_without_trustme_the_command_to_install_it_is_told(tmp_path: Path) -> None:
    """In a process of its own, where the package is not to be found."""
    (tmp_path / "trustme.py").write_text("raise ImportError")
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "proxy",
            "serve",
            "--tls",
            "dev",
            "--route",
            "/=http://a",
        ],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}",
            "XDG_STATE_HOME": str(tmp_path),
            "CAROOT": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    told = "unbuffered: --tls dev needs the package trustme: "
    assert ended.stderr.startswith(told)
    assert "install" in ended.stderr.removeprefix(told)
    assert "Traceback" not in ended.stderr


@pytest.fixture
def serving(tmp_path: Path, environ: dict[str, str]) -> Iterator[Process]:
    (tmp_path / "config.toml").write_text(ROUTE)
    process = Process(
        "proxy", "serve", "--tls", "dev", "--port", "0", folder=tmp_path,
        XDG_STATE_HOME=environ["XDG_STATE_HOME"], CAROOT="",
    )  # fmt: skip
    yield process
    process.process.kill()
    process.process.communicate()


def test_the_banner_says_https_and_how_to_trust_it(serving: Process) -> None:
    port = serving.read_errors(r"on https://127\.0\.0\.1:(\d+)/")[1]
    authority = serving.read_errors(r'NODE_EXTRA_CA_CERTS="([^"]+)"')[1]
    serving.read_errors(rf"curl --cacert .* https://localhost:{port}/")
    assert Path(authority).read_bytes().startswith(b"-----BEGIN CERTIFICATE")
    assert serving.stop() == 0


@pytest.mark.parametrize("host", ["my_machine", "a" * 70])
def test_a_name_that_no_certificate_can_say_is_left_out(
    environ: dict[str, str], host: str
) -> None:
    made = dev_certificate(host, environ)
    assert names(made.certificate) == {"localhost", "127.0.0.1", "::1"}


def test_the_files_of_two_authorities_are_told(environ: dict[str, str]) -> None:
    authority = dev_certificate("127.0.0.1", environ).authority
    other = trustme.CA()
    authority.write_bytes(other.cert_pem.bytes())
    with pytest.raises(ConfigError, match="delete both"):
        dev_certificate("other.example", environ)
