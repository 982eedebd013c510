"""The ports of `[[listen]]`, for several processes: each as that of `[server]` is.

They are there as long as the supervisor: other addresses need a restart.
"""

from __future__ import annotations

import socket

from proxy.config.model import Config
from proxy.process.workers.listen_sockets import SharedPort
from proxy.server.further_listeners import told_of
from proxy.server.listener import TLS, tls_options


class FurtherPorts:
    """One `SharedPort` for each, and its TLS.

    Raises:
        ConfigError: an address is in use or not ours.
        CertificateFault: a certificate is not what it was at the check.
    """

    def __init__(self, config: Config, workers: int) -> None:
        self.ports: list[SharedPort] = []
        self.tls = further_tls(config)
        try:
            for number, options in enumerate(config.listen, start=1):
                with told_of(number, options, named=True):
                    self.ports.append(SharedPort(options, workers))
        except BaseException:
            self.close()
            raise

    def of(self, number: int) -> list[list[socket.socket]]:
        """What one worker accepts from, of each."""
        return [port.of(number) for port in self.ports]

    def leave(self, number: int) -> None:
        """In a worker: close what is not its own."""
        for port in self.ports:
            port.leave(number)

    def give_up(self, number: int) -> None:
        """Have nobody wait in the queues of a worker that is gone and not replaced."""
        for port in self.ports:
            port.give_up(number)

    def close(self) -> None:
        """Let go of the ports, here."""
        for port in self.ports:
            port.close()


def further_tls(config: Config) -> list[TLS]:
    """TLS of each, read so that no worker depends on the files.

    Raises:
        CertificateFault: a file has changed for the worse since the check.
    """
    found = []
    for number, options in enumerate(config.listen, start=1):
        with told_of(number, options):
            found.append(tls_options(options, config.certificate))
    return found
