"""What TLS needs beside a C compiler: OpenSSL's library and a certificate."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HOW_TO_GET = "apt-get install libssl-dev pkg-config openssl"
REQUEST = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
    *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"),
    *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
)


@dataclass(frozen=True)
class Certificate:
    """Files in PEM. Nobody checks it: it costs what any of its kind costs."""

    chain: Path
    key: Path
    both: Path  # as HAProxy reads it


def tls_options() -> list[str] | None:
    """What the compiler is told so that the load program has TLS; None: it cannot."""
    if shutil.which("pkg-config") is None or shutil.which("openssl") is None:
        return None
    asked = ["pkg-config", "--cflags", "--libs", "openssl >= 1.1.1"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return ["-DWITH_TLS", *done.stdout.split()] if done.returncode == 0 else None


def certificate_of(program: Path) -> Certificate:
    """That which lies beside the load program."""
    folder = program.parent
    names = ("certificate.pem", "key.pem", "both.pem")
    found = Certificate(*(folder / name for name in names))
    if not found.both.exists():
        raise RuntimeError(f"the load program has no TLS: {HOW_TO_GET}")
    return found


def make_certificate(folder: Path) -> None:
    chain, key = folder / "certificate.pem", folder / "key.pem"
    command = [*REQUEST, "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, capture_output=True, check=True)
    (folder / "both.pem").write_text(chain.read_text() + key.read_text())
