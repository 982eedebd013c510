"""`serve --tls dev`: a certificate for this machine, and how to trust it.

Signed by mkcert's authority where there is one, else by one of our own. Both
are kept in the user's own folder and serve every project.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from proxy.errors import ConfigError
from proxy.system.install_command import install_command

NAMES = ("localhost", "127.0.0.1", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
# Apple's systems refuse certificates that are good for more than 825 days.
VALID = datetime.timedelta(days=397)
RENEWED = datetime.timedelta(days=30)
TRUST = """\
Browsers trust it after you install its certificate authority (CA), {ca}:
  macOS           sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain "{ca}"
  Windows         certutil -addstore -user Root "{ca}"
  Debian, Ubuntu  sudo cp "{ca}" /usr/local/share/ca-certificates/unbuffered-dev.crt && sudo update-ca-certificates
  Fedora          sudo trust anchor "{ca}"
  Chromium/Linux  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n unbuffered-dev -i "{ca}"   (package libnss3-tools)
  Firefox         Settings, Privacy & Security, View Certificates, Authorities, Import
  Node.js         export NODE_EXTRA_CA_CERTS="{ca}"
  curl            curl --cacert "{ca}" {url}
Keep its key private: anyone who has it can impersonate any site to everyone who trusts this CA."""  # noqa: E501


@dataclass(frozen=True, slots=True)
class DevCertificate:
    """The files of a certificate, its authority, and what to tell of them."""

    certificate: Path
    key: Path
    authority: Path
    made: bool
    by_mkcert: bool

    def told(self, port: int) -> str:
        """How to trust it; at length only when the authority is new."""
        if self.by_mkcert:
            return (
                f"TLS certificate from the mkcert CA, {self.authority} (trusted "
                "where mkcert -install was run)"
            )
        url = f"https://localhost:{port}/"
        text = TRUST.format(ca=self.authority, url=url)
        if self.made:
            return text
        file = self.authority.with_name("trust.txt")
        return f"TLS certificate from the CA {self.authority}; how to trust it: {file}"


def dev_certificate(host: str, environ: Mapping[str, str]) -> DevCertificate:
    """The certificate for this machine and `host`; made or renewed if need be.

    Raises:
        ConfigError: trustme is not installed, or the folder cannot be written.
    """
    folder = state_folder(environ) / "dev-tls"
    names = [*NAMES, *([host] if host not in (*NAMES, *WILDCARDS) else [])]
    if host in WILDCARDS:
        names.append(socket.gethostname())
    names = [name for name in names if address(name) or is_host_name(name)]
    root = mkcert_root(environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made, authority = own_authority(folder) if root is None else (False, root)
        return issued(folder, authority, made, root is not None, names)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([f"--tls dev: {error.filename}: {reason}"]) from error


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where a program keeps what it made for its user."""
    if environ.get("XDG_STATE_HOME"):
        return Path(environ["XDG_STATE_HOME"], "unbuffered")
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA", Path.home()), "unbuffered")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "unbuffered"
    return Path.home() / ".local" / "state" / "unbuffered"


def mkcert_root(environ: Mapping[str, str]) -> Path | None:
    """The certificate of mkcert's authority, if its key is there too."""
    folder = environ.get("CAROOT", "")
    program = shutil.which("mkcert", path=environ.get("PATH"))
    if not folder and program:
        folder = output_of(program, "-CAROOT")
    if not folder:
        return None
    root = Path(folder, "rootCA.pem")
    readable = [os.access(p, os.R_OK) for p in (root, root.with_name("rootCA-key.pem"))]
    return root if all(readable) else None


def output_of(*command: str) -> str:
    """What a program prints; "" if it does not come to its end."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()


def key_of(authority: Path) -> Path:
    return authority.with_name(authority.stem + "-key.pem")


def own_authority(folder: Path) -> tuple[bool, Path]:
    """An authority of our own, kept from run to run; and whether it is new."""
    path = folder / "ca.pem"
    if path.exists() and key_of(path).exists():
        return False, path
    authority = imported().CA(
        organization_name="Unbuffered development",
        organization_unit_name=socket.gethostname(),
        path_length=0,
    )
    private(key_of(path), authority.private_key_pem.bytes())
    private(path, authority.cert_pem.bytes(), mode=0o644)
    text = TRUST.format(ca=path, url="https://localhost:8080/")
    private(folder / "trust.txt", text.encode() + b"\n", mode=0o644)
    return True, path


def issued(
    folder: Path, authority: Path, made: bool, by_mkcert: bool, names: list[str]
) -> DevCertificate:
    """The certificate that is there, if it is still good; else a new one."""
    certificate, key = folder / "localhost.pem", folder / "localhost-key.pem"
    if made or not is_good(certificate, key, authority, names):
        ca = loaded(authority)
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        leaf = ca.issue_cert(
            *names,
            common_name=names[0],
            not_before=now - datetime.timedelta(days=1),
            not_after=now + VALID,
            organization_name="Unbuffered development",
            organization_unit_name=socket.gethostname(),
        )
        private(key, leaf.private_key_pem.bytes())
        private(certificate, b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    return DevCertificate(certificate, key, authority, made, by_mkcert)


def loaded(authority: Path) -> Any:
    """An authority that can sign.

    Raises:
        ConfigError: its files are broken.
    """
    files = authority, key_of(authority)
    try:
        ca = imported().CA.from_pem(*(path.read_bytes() for path in files))
        # Two first starts at once may have left the files of two authorities.
        if not is_pair(ca):
            raise ValueError
        return ca
    except (ValueError, TypeError) as error:
        advice = "delete both to create a new CA"
        message = f"--tls dev: {files[0]} and {files[1].name} cannot be used: {advice}"
        raise ConfigError([message]) from error


def is_pair(ca: Any) -> bool:
    """Is the key of an authority that of its certificate?"""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    key = load_pem_private_key(ca.private_key_pem.bytes(), None)
    return certificate.public_key() == key.public_key()


def is_good(certificate: Path, key: Path, authority: Path, names: list[str]) -> bool:
    """Is it signed by this authority, for these names, for long enough?"""
    if not (certificate.exists() and key.exists()):
        return False
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        leaf.verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.read_bytes())
        )
        said = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (
        ValueError,
        TypeError,
        InvalidSignature,
        x509.ExtensionNotFound,
        ssl.SSLError,
    ):
        return False
    known = {str(each.value) for each in said.value}
    wanted = {str(address(name) or name) for name in names}
    left = leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return wanted <= known and left > RENEWED


def address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def is_host_name(name: str) -> bool:
    """Can a certificate say it? Machines may be called my_machine."""
    import idna

    try:
        idna.encode(name, uts46=True)
    except idna.IDNAError:
        return False
    return True


def private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file at one stroke, for its owner alone unless `mode` says more."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(aside, path)


def imported() -> ModuleType:
    """The package trustme.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import trustme
    except ImportError:
        get = install_command("dev-tls")
        raise ConfigError([f"--tls dev needs the package trustme: {get}"]) from None
    return trustme
