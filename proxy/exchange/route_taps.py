"""Which routes have taps: see `tapped_call`."""

from __future__ import annotations

from proxy.exchange.compiled_routes import CompiledRoutes, TapMaker
from proxy.exchange.fault_tap import fault_taps
from proxy.exchange.record_tap import TapeMaker, record_taps


def fit_taps(compiled: CompiledRoutes, tapes: TapeMaker | None) -> None:
    """Give each route the taps of its calls, the innermost first.

    What records comes before what interferes, so that a record has what was seen.
    """
    for prefix, route in compiled.by_prefix.items():
        taps: list[TapMaker] = []
        if tapes is not None and tapes.takes(prefix):
            taps.append(record_taps(tapes))
        if route.faults is not None:
            taps.append(fault_taps(route.faults))
        route.taps = tuple(taps)
