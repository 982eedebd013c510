"""`tls_certificate` and `tls_key`: what the listener shows to its clients.

Reads the files, here at the check and again at each start and reload, so that
whatever is wrong with them is a fault of the configuration.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from proxy.config.certificate_expiry import expiry_of, expiry_warning
from proxy.config.file_path import check_file
from proxy.config.reader import Entries, Reader
from proxy.timeline import wall_clock

Context = TypeVar("Context", bound=ssl.SSLContext)

TABLE = "server"
CERTIFICATE, KEY = "tls_certificate", "tls_key"


def read_certificate(reader: Reader, server: Entries, table: str = TABLE) -> None:
    """Resolve both paths from where the file is, and try the pair."""
    readable = True
    for key in (CERTIFICATE, KEY):
        entry = server.get(key)
        if entry is not None and entry.value:
            path = str(Path(reader.origin).parent / entry.value)
            server[key] = replace(entry, value=path)
            readable &= reader.passes(table, key, check_file, path, entry.value)
    certificate, private_key = (
        server[key].value if key in server else "" for key in (CERTIFICATE, KEY)
    )
    if certificate and readable:
        try:
            certificate_context(certificate, private_key, ssl.SSLContext)
            if words := expiry_warning(expiry_of(certificate), wall_clock()):
                reader.warn(table, CERTIFICATE, words)
        except CertificateFault as fault:
            reader.fault(table, fault.key, str(fault))
    elif private_key and not certificate:
        reader.fault(table, KEY, "has no effect without tls_certificate: set both")


class CertificateFault(Exception):
    """What is wrong with the pair; `key` is the configuration key at fault.

    `place` is the table that has the key, as it is told.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.place = f"[{TABLE}] "


def certificate_context(
    certificate: str, private_key: str, kind: type[Context]
) -> Context:
    """A context of this kind that shows a certificate; `private_key` may be "".

    Raises:
        CertificateFault: a file cannot be read, or the two are no pair.
    """
    check_readable(CERTIFICATE, certificate)
    if private_key:
        check_readable(KEY, private_key)
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.set_alpn_protocols(["http/1.1"])
    key_file = private_key or certificate
    try:
        # Without a password function OpenSSL would ask on the terminal.
        context.load_cert_chain(certificate, key_file, password=refuse_password)
    except EncryptedKey:
        raise CertificateFault(
            KEY, f"{key_file} is encrypted: remove its password (openssl pkey)"
        ) from None
    except ssl.SSLError as error:
        raise pair_fault(error, certificate, key_file) from error
    return context


def check_readable(key: str, path: str) -> None:
    """Both files are readable, so that a fault names the right one."""
    try:
        check_file(path)
    except ValueError as error:
        raise CertificateFault(key, str(error)) from error


def pair_fault(error: ssl.SSLError, certificate: str, key: str) -> CertificateFault:
    """Which of the two files OpenSSL complains of."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return CertificateFault(
            KEY, f"{key} does not match the certificate in {certificate}"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        return CertificateFault(
            CERTIFICATE,
            f"{certificate} contains no certificate: expected PEM, -----BEGIN "
            "CERTIFICATE-----",
        )
    if error.reason is not None and "KEY_TOO_SMALL" in error.reason:
        return CertificateFault(CERTIFICATE, f"{certificate}: the key is too small")
    return CertificateFault(
        KEY, f"{key} contains no private key: expected PEM, -----BEGIN PRIVATE KEY-----"
    )


class EncryptedKey(Exception):
    """OpenSSL asked for a password."""


def refuse_password() -> str:
    """There is nobody to ask."""
    raise EncryptedKey
