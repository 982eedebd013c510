"""`tls_certificate` and `tls_key`: each fault names the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from proxy.config.load import load
from proxy.errors import ConfigError
from tests.unit.config.conftest import without_line

ROUTE = '[routes."/"]\ntarget = "http://localhost:1"\n'
PLAIN = serialization.PrivateFormat.PKCS8


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, authority: trustme.CA) -> Path:
    """A folder with a certificate, its key, and what is wrong with others."""
    leaf, other = authority.issue_cert("a.test"), authority.issue_cert("b.test")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    other.private_key_pem.write_to_path(str(tmp_path / "other.pem"))
    (tmp_path / "text.pem").write_text("no PEM at all")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    (tmp_path / "encrypted.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            PLAIN,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return tmp_path


def faults(folder: Path, **keys: str) -> list[str]:
    """The faults of a file in that folder, without what they begin with."""
    path = folder / "config.toml"
    lines = [f'{key} = "{value}"' for key, value in keys.items()]
    path.write_text("\n".join(["[server]", *lines, ROUTE]), "utf-8")
    try:
        load(path, {})
    except ConfigError as error:
        found = [without_line(fault) for fault in error.faults]
    else:
        return []
    begin = f"{path}: [server] "
    assert all(fault.startswith(begin) for fault in found)
    return [each.removeprefix(begin).replace(f"{folder}/", "") for each in found]


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"tls_certificate": "cert.pem", "tls_key": "key.pem"}, id="two"),
        pytest.param({"tls_certificate": "both.pem"}, id="one file"),
        pytest.param({"tls_certificate": "", "tls_key": ""}, id="none"),
    ],
)
def test_a_pair_is_good(folder: Path, keys: dict[str, str]) -> None:
    assert faults(folder, **keys) == []


def test_paths_begin_where_the_file_is(folder: Path) -> None:
    assert faults(folder, tls_certificate="both.pem") == []
    config = load(folder / "config.toml", {})
    assert config.server.tls_certificate == str(folder / "both.pem")
    assert faults(folder, tls_certificate=str(folder / "both.pem")) == []


@pytest.mark.parametrize(
    ("certificate", "key", "fault"),
    [
        pytest.param(
            "no.pem",
            "key.pem",
            "tls_certificate: no.pem cannot be read: no such file or directory",
            id="no certificate",
        ),
        pytest.param(
            "cert.pem",
            "no.pem",
            "tls_key: no.pem cannot be read: no such file or directory",
            id="no key",
        ),
        pytest.param(
            "cert.pem",
            ".",
            "tls_key: {folder} cannot be read: is a directory",
            id="a folder",
        ),
        pytest.param(
            "cert.pem",
            "other.pem",
            "tls_key: other.pem does not match the certificate in cert.pem",
            id="the key of another",
        ),
        pytest.param(
            "text.pem",
            "key.pem",
            "tls_certificate: text.pem contains no certificate: expected PEM, "
            "-----BEGIN CERTIFICATE-----",
            id="no PEM",
        ),
        pytest.param(
            "cert.pem",
            "text.pem",
            "tls_key: text.pem contains no private key: expected PEM, -----BEGIN "
            "PRIVATE KEY-----",
            id="no PEM of a key",
        ),
        pytest.param(
            "cert.pem",
            "",
            "tls_key: cert.pem contains no private key: expected PEM, -----BEGIN "
            "PRIVATE KEY-----",
            id="one file without the key",
        ),
        pytest.param(
            "cert.pem",
            "encrypted.pem",
            "tls_key: encrypted.pem is encrypted: remove its password (openssl pkey)",
            id="a password",
        ),
        pytest.param(
            "",
            "key.pem",
            "tls_key: has no effect without tls_certificate: set both",
            id="a key alone",
        ),
    ],
)
def test_a_fault_names_the_file_and_the_key(
    folder: Path, certificate: str, key: str, fault: str
) -> None:
    expected = fault.replace("{folder}", str(folder))
    assert faults(folder, tls_certificate=certificate, tls_key=key) == [expected]
