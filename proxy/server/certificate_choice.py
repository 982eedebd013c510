"""Which certificate a client is shown, by the name that it asks for (SNI).

The exact name wins over a wildcard, and a wildcard stands for one label (RFC 9525
§6.3). Of two for the same name the first one wins, and that of the listener itself
before all; it is shown, too, where the client sends no name, or one that nobody has.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import TypeAlias

from proxy.config.certificate import CertificateFault, certificate_context
from proxy.config.certificate_expiry import expiry_of
from proxy.config.certificates_reader import certificate_name, names_of_file
from proxy.config.model import CertificateOptions
from proxy.server.handshake import ClientContext

OnServerName: TypeAlias = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]


class CertificateChoice:
    """The certificates of a listener by their names; its callback for `ssl`."""

    def __init__(self, own: ssl.SSLContext, file: str, note: OnServerName) -> None:
        self.note = note
        self.by_name: dict[str, ssl.SSLContext] = {}
        self.add(own, file)

    def add(self, context: ssl.SSLContext, file: str) -> None:
        """One more, for the names that none before it has."""
        for name in names_of_file(file):
            self.by_name.setdefault(name, context)

    def of(self, name: str) -> ssl.SSLContext | None:
        """The one for a name; None: that of the listener."""
        name = name.lower().removesuffix(".")
        found = self.by_name.get(name)
        if found is None:
            found = self.by_name.get(f"*.{name.partition('.')[2]}")
        return found

    def choose(self, tls: ssl.SSLObject, name: str | None, own: ssl.SSLContext) -> None:
        """As `sni_callback`."""
        self.note(tls, name, own)
        chosen = self.of(name) if name else None
        if chosen is not None and chosen is not own:
            tls.context = chosen


def add_certificates(
    own: ClientContext,
    file: str,
    certificates: Sequence[CertificateOptions],
    protocols: Sequence[str],
    note: OnServerName,
) -> None:
    """Have a listener's context show others for their names.

    Raises:
        CertificateFault: one has changed for the worse since the check.
    """
    choice = CertificateChoice(own, file, note)
    beside: dict[str, float | None] = {}
    for number, each in enumerate(certificates, start=1):
        try:
            context = certificate_context(
                each.tls_certificate, each.tls_key, ssl.SSLContext
            )
        except CertificateFault as fault:
            fault.place = f"{certificate_name(number)}, "
            raise
        context.set_alpn_protocols(protocols)
        beside[certificate_name(number)] = expiry_of(each.tls_certificate)
        choice.add(context, each.tls_certificate)
    own.beside = beside
    own.sni_callback = choice.choose
