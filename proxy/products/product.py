"""A row of the table of products: how it shows, how it holds, what frees a stream.

A cure is a measured fact or a may. `freed` names the versions at which its lines
were applied and the stream was measured free (`tests/products/`), `on` the day;
without them nobody measured it here, and `source` is where it was looked up. It is
from memory without one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from proxy.products.hold_kind import UPGRADE, Kind

BACK_END = "the response of the back end"
NO_TRANSFORM = "Cache-Control: no-cache, no-transform"
NO_STORE = "Cache-Control: no-store"
FLUSH_HEAD = (
    "Node sends a response head only with the first body byte; this sends it "
    "immediately"
)


@dataclass(frozen=True, slots=True)
class FieldSign:
    """A response field of a product: its name and what its value contains, in lower
    case.

    `coded`: only where the response is compressed (True) or is not (False).
    `beside`: only beside another such field.
    """

    field: str
    value: str = ""
    coded: bool | None = None
    beside: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Cure:
    """Lines against some kinds of hold.

    `coded`: only where the response is compressed (True) or is not (False).
    `event_stream`: only of type text/event-stream (True) or of another one (False).
    `when`: on what else it depends that does not show, as the rest of "if …".
    `websocket`: for a WebSocket, and not for a response.
    `idle`: against a limit on silence alone. `rate`: against one on bytes a second.
    `http1`: for a client by HTTP/1.1 alone.
    """

    kinds: tuple[Kind, ...]
    where: str
    lines: str
    reason: str
    coded: bool | None = None
    when: str = ""
    freed: str = ""  # versions; "": not measured
    on: str = ""  # the day of that measurement
    source: str = ""
    product: str = ""  # its key, given by the table
    websocket: bool = False
    event_stream: bool | None = None
    idle: bool = False
    rate: bool = False
    http1: bool = False

    @property
    def measured(self) -> bool:
        """Was a stream free with these lines, that was held without them?"""
        return bool(self.freed)

    @property
    def fact(self) -> bool:
        """Measured, and for what shows here without an if?"""
        return self.measured and not self.when

    @property
    def standing(self) -> str:
        """How far the lines can be relied upon."""
        if self.measured:
            return f"measured: freed {self.freed}, {self.on}"
        if not self.product:
            return "not measured here"
        where = f"from {self.source}" if self.source else "from memory"
        return f"not measured; {where}"

    def fits(
        self,
        kind: Kind,
        *,
        coded: bool,
        websocket: bool = False,
        event_stream: bool | None = None,
    ) -> bool:
        """Is it for such a hold? `event_stream`: None, where no response shows."""
        return (
            kind in self.kinds
            and self.coded in (None, coded)
            and (event_stream is None or self.event_stream in (None, event_stream))
            and (websocket is self.websocket or kind in UPGRADE)
        )


@dataclass(frozen=True, slots=True)
class Product:
    """A product with its signs and cures.

    `ignores_fields`: measured with `no-transform` and `X-Accel-Buffering: no` from
    the back end, and held all the same.
    `passes`: versions that passed every event on when it was sent, as they come.
    `passes_server`: a Server field beside its Via is that of the hop behind it.
    `nameless`: kinds of hold to suspect it of where no field shows a product.
    """

    key: str
    name: str
    signs: tuple[FieldSign, ...]
    cures: tuple[Cure, ...]
    ignores_fields: bool = False
    passes: str = ""
    passes_server: bool = False
    nameless: tuple[Kind, ...] = ()


def row(
    key: str,
    name: str,
    signs: tuple[FieldSign, ...],
    *cures: Cure,
    ignores_fields: bool = False,
    passes: str = "",
    passes_server: bool = False,
    nameless: tuple[Kind, ...] = (),
) -> Product:
    """A row of the table; its cures know whose they are."""
    own = tuple(replace(cure, product=key) for cure in cures)
    return Product(
        key, name, signs, own, ignores_fields, passes, passes_server, nameless
    )
