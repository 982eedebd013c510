"""A case measured: the test origin, the product before it, and the doctor."""

from __future__ import annotations

from pathlib import Path

from proxy.products.hold_kind import HEAD
from proxy.products.pings import FROM
from proxy.products.product import BACK_END, Cure
from proxy.products.product_table import (
    FIELDS,
    PRODUCTS,
    cures_for,
    cures_for_websocket,
)
from proxy.tools.doctor.probe.fetch import Limits, fetch
from proxy.tools.doctor.probe.origin import OriginServer
from proxy.tools.doctor.probe.request import Ask, complete
from proxy.tools.doctor.record import ProbeRecording
from tests.products.case import Case
from tests.products.running import started

# Where a cure is a field, not a line of the product.
RESPONSES = (BACK_END, "the response of the application")
PING, HELLO = "&ping=0.5", "&hello=1"  # to a stream of the test origin
LIMITS = Limits(whole=25.0)


async def direct(case: Case) -> ProbeRecording:
    """The same stream with nothing between: what is late there is our own."""
    origin = OriginServer()
    port = await origin.start("127.0.0.1", 0)
    try:
        ask = Ask(f"http://127.0.0.1:{port}/api/events?stream={case.stream}")
        return await fetch(complete(ask), LIMITS)
    finally:
        await origin.stop()


def cures_of(case: Case) -> list[Cure]:
    """The cures that are printed for a case."""
    choose = cures_for_websocket if case.scheme == "ws" else cures_for
    return choose((case.cured_by,), case.kind, coded=case.coded)


def fields_of(case: Case, cure: Cure | None) -> tuple[str, ...]:
    """What the back end adds to its head.

    A product that ignores the fields is held with them; of another one they are
    the cure, or are not there.
    """
    if cure is None:
        known = PRODUCTS.get(case.cured_by)
        ignored = known is not None and known.ignores_fields
        found = cures_of(case)
        by_field = any(each.where in RESPONSES and each.measured for each in found)
        return tuple(FIELDS.splitlines()) if ignored and not by_field else case.fields
    return tuple(cure.lines.splitlines()) if cure.where in RESPONSES else case.fields


async def measured(
    case: Case, folder: Path, cure: Cure | None = None
) -> ProbeRecording:
    """The stream of a case, through the product with its fault, or with a cure."""
    fields = fields_of(case, cure)
    origin = OriginServer(fields=fields)
    sent = ""
    if cure is not None and cure.where == FROM:
        sent = HELLO if cure.kinds == HEAD else PING
    here_lines = None
    if cure is not None and cure.where not in (FROM, *RESPONSES):
        here_lines = cure.lines
    port = await origin.start("127.0.0.1", 0)
    try:
        async with started(
            case.product, port, case.lines(here_lines), folder, fields
        ) as here:
            scheme = "https" if case.scheme == "https" else "http"
            url = f"{scheme}://127.0.0.1:{here}/api/events"
            first = Ask(f"{url}?stream=steady&count=1", insecure=True)
            await fetch(complete(first), LIMITS)
            body = b"{}" if case.method == "POST" else b""
            if case.scheme == "ws":
                url = url.replace("http", "ws", 1)
            url = f"{url}?stream={case.stream}{sent}"
            ask = Ask(url, method=case.method, body=body, insecure=True)
            if case.again:
                await fetch(complete(ask), LIMITS)
            return await fetch(complete(ask), LIMITS)
    finally:
        await origin.stop()
