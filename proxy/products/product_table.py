"""The table of products, and what to change at which of them: a cure is chosen here."""

from __future__ import annotations

from proxy.products.application_servers import APPLICATION_SERVERS
from proxy.products.clouds import CLOUDS
from proxy.products.dev_servers import DEV_SERVERS
from proxy.products.fastcgi import FASTCGI
from proxy.products.frameworks import FRAMEWORKS
from proxy.products.hold_kind import ANY, CUT, HOLDS, OLD, UPGRADE, Kind
from proxy.products.product import BACK_END, Cure, Product
from proxy.products.proxies import PROXIES

# What stands in front comes first: of two that show, its lines are printed first.
PRODUCTS: dict[str, Product] = {
    each.key: each
    for each in (
        *CLOUDS,
        *FASTCGI,
        *PROXIES,
        *DEV_SERVERS,
        *APPLICATION_SERVERS,
        *FRAMEWORKS,
    )
}
NAMES = {key: product.name for key, product in PRODUCTS.items()}
CURES = tuple(cure for product in PRODUCTS.values() for cure in product.cures)

FIELDS = "Cache-Control: no-cache, no-transform\nX-Accel-Buffering: no"
COMMENTS = Cure(
    CUT,
    "the back end",
    ": ping  (a comment line and an empty line, every 15 s)",
    "most hops have an idle timeout, which a comment resets, and clients ignore "
    "comments; a limit on the whole response it does not move",
)

PINGS = Cure(
    CUT,
    "the back end",
    "a ping frame every 15 s",
    "most hops have an idle timeout, which a ping resets, and browsers answer it by "
    "themselves",
)

PASS_ON = Cure(
    UPGRADE,
    "each hop before the back end",
    "Connection: upgrade\nUpgrade: websocket",
    "these fields are for one connection only: many proxies pass them on only if they "
    "are told to, often by a switch for WebSockets (`ws: true`)",
)


def freed_by_fields() -> list[str]:
    """The names of the products that a field from the back end was measured to free."""
    keys = {cure.product for cure in CURES if cure.where == BACK_END and cure.measured}
    return [NAMES[key] for key in NAMES if key in keys]


def ignore_fields() -> list[str]:
    """The names of those that held all the same."""
    freed = freed_by_fields()
    ignoring = [each.name for each in PRODUCTS.values() if each.ignores_fields]
    return [name for name in ignoring if name not in freed]


def from_the_back_end() -> Cure:
    """What may help where nobody knows the product."""
    reason = f"these fields free {listed(freed_by_fields())}"
    if ignored := ignore_fields():
        reason += f", but not {listed(ignored)}"
    return Cure(ANY, BACK_END, FIELDS, f"{reason}. Unbuffered sends both for you")


def listed(names: list[str]) -> str:
    """`a, b and c`"""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def cures_for(products: tuple[str, ...], kind: Kind, *, coded: bool) -> list[Cure]:
    """The cures of the products that were recognised; else what may help.

    Measured ones first; of two with the same lines, the first.
    """
    known = [PRODUCTS[key] for key in products if key in PRODUCTS]
    fitting = [
        cure
        for product in known
        for cure in product.cures
        if cure.fits(kind, coded=coded)
    ]
    found: dict[str, Cure] = {}
    for cure in sorted(fitting, key=lambda cure: not cure.measured):
        found.setdefault(cure.lines, cure)
    cures = list(found.values())
    if kind in OLD:  # nobody else asks like that
        nginx = PRODUCTS["nginx"].cures
        return cures or [cure for cure in nginx if cure.fits(kind, coded=coded)]
    if kind is Kind.CUT:
        return [*cures, COMMENTS]
    if kind in UPGRADE:
        return cures or [PASS_ON]
    if any(cure.measured for cure in cures) or kind not in HOLDS:
        return cures
    if cures and all(product.ignores_fields for product in known):
        return cures
    return [*cures, from_the_back_end()]
