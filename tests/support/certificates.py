"""Certificates for the listener, and contexts of clients that trust them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import trustme

BEFORE = datetime(2000, 1, 1, tzinfo=UTC)  # a certificate is good from then on


class Authority:
    """An authority that the clients of a test trust, and its certificates."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.root = folder / "root.pem"
        self.authority.cert_pem.write_to_path(str(self.root))
        self.issue()

    def issue(self, expires: datetime | None = None) -> trustme.LeafCert:
        """Put a new certificate in place."""
        leaf = self.authority.issue_cert(
            "127.0.0.1", "localhost", not_before=BEFORE, not_after=expires
        )
        leaf.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        whole = b"".join(each.bytes() for each in leaf.cert_chain_pems)
        (self.folder / "cert.pem").write_bytes(whole)
        return leaf

    @property
    def server(self) -> dict[str, object]:
        """The keys of [server]."""
        return {
            "tls_certificate": str(self.folder / "cert.pem"),
            "tls_key": str(self.folder / "key.pem"),
        }

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context
