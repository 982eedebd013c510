"""`[[certificate]]`: certificates for other names than those of a listener's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from proxy.config.certificate import CERTIFICATE, read_certificate
from proxy.config.certificate_names import host_names
from proxy.config.fault_text import described, listed
from proxy.config.listen_reader import listening_name
from proxy.config.model import CertificateOptions
from proxy.config.reader import Entries, Reader

CERTIFICATES = "certificate"
MOST = 1000  # each is read at the start and at each reload


def certificate_name(number: int) -> str:
    """How one of the tables is called in faults and sources."""
    return f"[[{CERTIFICATES}]] number {number}"


def read_certificates(
    reader: Reader, raw: object, listeners: Sequence[Entries]
) -> list[Entries]:
    """Read all tables; those with a fault are left out."""
    place = f"[[{CERTIFICATES}]]"
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        given = "one table" if isinstance(raw, dict) else described(raw)
        reader.fault("", place, f"got {given}: write {place}")
        return []
    if len(raw) > MOST:
        reader.fault("", place, f"there are {len(raw)} of them, at most {MOST} work")
        return []
    found: list[Entries] = []
    for number, content in enumerate(raw, start=1):
        table = certificate_name(number)
        entries = reader.plain(table, content, CertificateOptions)
        if not content.get(CERTIFICATE):
            message = 'missing: write tls_certificate = "certificate.pem"'
            reader.fault(table, CERTIFICATE, message)
        read_certificate(reader, entries, table)
        if CERTIFICATE in entries:
            found.append(entries)
    if found and not reader.faults:
        warn_of_unused(reader, found, listeners)
    return found


def warn_of_unused(
    reader: Reader, found: Sequence[Entries], listeners: Sequence[Entries]
) -> None:
    """Certificates that no client is shown."""
    own = {
        f"the certificate of {listening_name(number) if number else '[server]'}": {
            *names_of_file(path)
        }
        for number, each in enumerate(listeners)
        for path in files_of(each)
    }
    if not own:
        message = (
            "is shown to nobody: no listener has TLS. Write tls_certificate in [server]"
        )
        reader.warn(certificate_name(1), CERTIFICATE, message)
    seen: dict[str, str] = {}
    for number, entries in enumerate(found, start=1):
        table = certificate_name(number)
        names = [name for path in files_of(entries) for name in names_of_file(path)]
        if not names:
            message = (
                "has no host in it (subjectAltName), so it is shown to nobody: ask its "
                "authority for one with names"
            )
            reader.warn(table, CERTIFICATE, message)
        left = {*names}.difference(seen)
        # Each listener shows its own certificate for the names in that.
        in_own = bool(own) and all(left <= each for each in own.values())
        if names and (not left or in_own):
            others = [*own] if left else []
            others += dict.fromkeys(seen[name] for name in names if name in seen)
            verb = "is" if len(others) == 1 else "are"
            message = (
                f"all of its names are in {listed(others)}, too, which {verb} shown: "
                "remove one"
            )
            reader.warn(table, CERTIFICATE, message)
        for name in names:
            seen.setdefault(name, table)


def files_of(entries: Entries) -> Iterator[str]:
    """The certificate of a table, if it has one."""
    if CERTIFICATE in entries and entries[CERTIFICATE].value:
        yield entries[CERTIFICATE].value


def names_of_file(path: str) -> list[str]:
    """The hosts that a certificate is for; none, if it cannot be read."""
    try:
        return host_names(Path(path).read_bytes())
    except OSError:
        return []
