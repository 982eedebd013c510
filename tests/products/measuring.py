"""A case measured: the test origin, the product before it, and the doctor."""

from __future__ import annotations

from pathlib import Path

from proxy.tools.doctor.probe.fetch import Limits, fetch
from proxy.tools.doctor.probe.origin import OriginServer
from proxy.tools.doctor.probe.request import Ask, complete
from proxy.tools.doctor.record import ProbeRecording
from tests.products.cases import Case
from tests.products.running import started

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


async def measured(case: Case, folder: Path, cure: str | None = None) -> ProbeRecording:
    """The stream of a case, through the product with its fault, or with a cure."""
    origin = OriginServer()
    port = await origin.start("127.0.0.1", 0)
    try:
        async with started(case.product, port, case.lines(cure), folder) as here:
            url = f"http://127.0.0.1:{here}/api/events"
            await fetch(complete(Ask(f"{url}?stream=steady&count=1")), LIMITS)
            body = b"{}" if case.method == "POST" else b""
            ask = Ask(f"{url}?stream={case.stream}", method=case.method, body=body)
            return await fetch(complete(ask), LIMITS)
    finally:
        await origin.stop()
