"""What to change at which product, and why: how a cure is chosen."""

from __future__ import annotations

from proxy.tools.doctor.cure import ANY, CUT, Cure
from proxy.tools.doctor.cures_dev import DEV
from proxy.tools.doctor.cures_servers import SERVERS
from proxy.tools.doctor.verdict import Kind

CURES = (*DEV, *SERVERS)

FROM_THE_BACK_END = Cure(
    "",
    ANY,
    "the response of the back end, whatever is in front of it",
    "Cache-Control: no-cache, no-transform\nX-Accel-Buffering: no",
    "`no-transform` switches off compression (webpack-dev-server, Express, Caddy), "
    "and the other header the buffering of nginx. Unbuffered sends both for you",
)
COMMENTS = Cure(
    "",
    CUT,
    "the back end",
    ": ping  (a comment line and an empty line, every 15 s)",
    "every hop has an idle timeout; a comment resets it, and clients ignore comments",
)


def cures_for(products: tuple[str, ...], kind: Kind, *, coded: bool) -> list[Cure]:
    """The cures of the products that were recognised; else what helps at most."""
    found = [
        cure
        for product in products
        for cure in CURES
        if cure.product == product
        and kind in cure.kinds
        and cure.coded in (None, coded)
    ]
    if kind is Kind.CUT:
        return [*found, COMMENTS]
    # A clock or a flag of the kernel asks for no field.
    by_clock = kind in (Kind.DELAYED, Kind.RHYTHM, Kind.HEAD_LATE) and not coded
    return found if found and by_clock else [*found, FROM_THE_BACK_END]
