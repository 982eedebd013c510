"""The connection of another worker, by which it hands a client's request over."""

from __future__ import annotations

from proxy.config.model import ServerOptions as Limits
from proxy.http1.grammar import Fields
from proxy.policy.handed_message import PeerReport, told_field
from proxy.policy.request_plan import RequestPlanner
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_host import ClientHandler
from proxy.transport.ticker import Ticker


class PeerConnection(ClientConnection):
    """Speaks for a client of that worker.

    `failed`: what that worker is told in trailers, behind a response that has failed.
    So it tells it from one that breaks off because this process has died.
    """

    __slots__ = ("failed",)

    def __init__(self, handler: ClientHandler, ticker: Ticker, limits: Limits) -> None:
        super().__init__(handler, ticker, limits)
        self.failed: PeerReport | None = None

    def speak_for(self, address: bytes, scheme: bytes) -> None:
        """A request of this client is next."""
        self.failed = None
        if address != self.planner.address or scheme != self.planner.scheme:
            self.address, self.scheme = address, scheme
            self.planner = RequestPlanner(address, scheme)

    def send_end(self, trailers: Fields) -> None:
        if self.failed is not None:
            trailers = [told_field(self.failed)]
        super().send_end(trailers)

    def break_off(self) -> None:
        if self.failed is not None and self.chunked:
            self.failed = self.failed._replace(whole=False)
            self.send_end([])
        super().break_off()
