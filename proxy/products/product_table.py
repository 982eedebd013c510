"""The table of products, and what to change at which of them: a cure is chosen here."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.application_servers import APPLICATION_SERVERS
from proxy.products.caches import CACHES
from proxy.products.clouds import CLOUDS
from proxy.products.dev_servers import DEV_SERVERS
from proxy.products.fastcgi import FASTCGI
from proxy.products.frameworks import FRAMEWORKS
from proxy.products.hold_kind import (
    CUT,
    HEAD,
    HELD,
    HOLDS,
    OLD,
    PACED,
    STORED,
    UPGRADE,
    Kind,
)
from proxy.products.load_balancers import LOAD_BALANCERS
from proxy.products.pings import (
    COMMENTS,
    FRAMES,
    FROM,
    GREETINGS,
    greetings_at,
    pings_at,
)
from proxy.products.product import BACK_END, NO_STORE, Cure, Product
from proxy.products.proxies import PROXIES
from proxy.products.rate_limits import rate_limits_at
from proxy.products.websockets import MESSAGES, PASS_ON, websockets_at

# What stands in front comes first: of two that show, its lines are printed first.
PRODUCTS: dict[str, Product] = {
    each.key: replace(
        each,
        cures=(
            *each.cures,
            *websockets_at(each.key),
            *pings_at(each.key),
            *greetings_at(each.key),
            *rate_limits_at(each.key),
        ),
    )
    for each in (
        *CLOUDS,
        *FASTCGI,
        *CACHES,
        *PROXIES,
        *LOAD_BALANCERS,
        *DEV_SERVERS,
        *APPLICATION_SERVERS,
        *FRAMEWORKS,
    )
}
NAMES = {key: product.name for key, product in PRODUCTS.items()}
# What may stand before another proxy as well as behind it.
BEFORE = frozenset(
    each.key for each in (*CLOUDS, *CACHES, *PROXIES, *LOAD_BALANCERS, *DEV_SERVERS)
)
CURES = tuple(cure for product in PRODUCTS.values() for cure in product.cures)

IDENTITY = "Accept-Encoding: identity"
FIELDS = "Cache-Control: no-cache, no-transform\nX-Accel-Buffering: no"

# Of a response that is compressed, and held, by whom nobody knows.
COMPRESSED = (
    Cure(
        HELD,
        "the request that a proxy sends to the compressor",
        IDENTITY,
        "most compressors leave a response as it is where the request asks for it",
    ),
    Cure(
        HELD,
        "the program that compresses, after each event",
        "gzip.flush(zlib.constants.Z_SYNC_FLUSH);  // Node\n"
        "compressor.flush(zlib.Z_SYNC_FLUSH)  # Python",
        "a compressor outputs nothing until its block is full or it is flushed",
    ),
)

# Of a response that is not compressed, and held to the end, by whom nobody knows.
COLLECTED = Cure(
    (Kind.AT_THE_END,),
    "the program that passes the response on",
    "for await (const piece of answer.body) response.write(piece);  // Node\n"
    "async for piece in answer.aiter_bytes(): yield piece  # Python, httpx",
    "a program that reads a whole body, as by `await answer.text()`, sends nothing "
    "before its end",
)

# Of a response that ends before its Content-Length is there.
LENGTH = Cure(
    CUT,
    BACK_END,
    "# without Content-Length, or with the right one",
    "a length that is larger than the body looks like a broken connection; of a stream "
    "it is not known when the head is sent (RFC 9112 §6.2)",
)

# Of a response from a cache.
UNSTORED = Cure(
    STORED,
    BACK_END,
    NO_STORE,
    "no cache may keep such a response (RFC 9111 §5.2.2.5)",
)


def freed_by_fields() -> list[str]:
    """The names of the products that a field from the back end was measured to free."""
    keys = {
        cure.product
        for cure in CURES
        if cure.where == BACK_END and cure.measured and {*cure.kinds} & {*HELD}
    }
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
    return Cure(HELD, BACK_END, FIELDS, f"{reason}. Unbuffered sends both for you")


def listed(names: list[str]) -> str:
    """`a, b and c`"""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def cures_for(
    products: tuple[str, ...],
    kind: Kind,
    *,
    coded: bool,
    event_stream: bool | None = None,
    guessed: tuple[str, ...] = (),
) -> list[Cure]:
    """The cures of the products that were recognised; else what may help.

    Measured ones first; of two with the same lines, the first. Where there are none,
    those of products that are only guessed, and of those that no field shows.
    `event_stream`: is it one? None: nothing shows what it is.
    """

    def fitting(those: list[Product]) -> list[Cure]:
        return sorted_cures(those, kind, coded=coded, event_stream=event_stream)

    known = [PRODUCTS[key] for key in products if key in PRODUCTS]
    cures = fitting(known)
    # Behind those that pass a Server field on there may be one that sends none.
    hiding = any(each.passes_server for each in known)
    # HAProxy and Puma show by nothing, whatever name stands before or behind them.
    unseen = not coded and kind in (*PACED, Kind.FIRST_LATE)
    facts = [cure.product for cure in cures if cure.fact]
    if (
        not cures
        or (hiding and not facts)
        or (unseen and not any(kind in PRODUCTS[key].nameless for key in facts))
    ):
        own = {cure.product for cure in cures}
        others = [PRODUCTS[key] for key in guessed]
        others += [each for each in PRODUCTS.values() if kind in each.nameless]
        cures += [
            if_it_is(PRODUCTS[cure.product], cure)
            for cure in fitting(others)
            if cure.measured
            and cure.where not in (BACK_END, FROM)
            and cure.product not in own
            # what is compressed, and held to the end, a compressor holds
            and (cure.coded or not coded or kind is not Kind.AT_THE_END)
        ]
    return completed(cures, known, kind, coded=coded, event_stream=event_stream)


def completed(
    cures: list[Cure],
    known: list[Product],
    kind: Kind,
    *,
    coded: bool,
    event_stream: bool | None,
) -> list[Cure]:
    """The cures of products, with those that are nobody's in particular."""
    if kind in OLD:  # nobody else asks like that
        nginx = PRODUCTS["nginx"].cures
        return cures or [cure for cure in nginx if cure.fits(kind, coded=coded)]
    if kind in HEAD:
        there = {cure.lines for cure in cures}
        return cures + [
            cure
            for cure in GREETINGS
            if cure.fits(kind, coded=coded, event_stream=event_stream)
            and cure.lines not in there
        ]
    if kind is Kind.CUT:
        measured = any(cure.lines == COMMENTS.lines for cure in cures)
        return cures if measured else [*cures, COMMENTS]
    if kind in UPGRADE:
        return cures or [PASS_ON]
    if kind in STORED:
        return (
            cures
            if any(NO_STORE in cure.lines for cure in cures)
            else [*cures, UNSTORED]
        )
    sure = known != [] and any(cure.measured for cure in cures)
    if sure or kind not in HOLDS:
        return cures
    if known and cures and all(product.ignores_fields for product in known):
        return cures
    by_program = COMPRESSED if coded else (COLLECTED,)
    cures = [*cures, from_the_back_end(), *by_program]
    return [cure for cure in cures if kind in cure.kinds]


def cures_for_websocket(
    products: tuple[str, ...],
    kind: Kind,
    *,
    coded: bool = False,
    guessed: tuple[str, ...] = (),
) -> list[Cure]:
    """The same for a WebSocket. What frees a response may help there, or does not."""
    if kind in UPGRADE:
        return cures_for(products, kind, coded=coded, guessed=guessed)
    known = [PRODUCTS[key] for key in products if key in PRODUCTS]
    cures = [cure for product in known for cure in kept_open(product, kind)]
    if not cures:
        others = [PRODUCTS[key] for key in guessed]
        others += [each for each in PRODUCTS.values() if kind in each.nameless]
        cures = [
            if_it_is(product, cure)
            for product in others
            for cure in kept_open(product, kind)
            if cure.measured and cure.where != FROM
        ]
    cures.sort(key=lambda cure: not cure.measured)
    if kind is not Kind.CUT:
        return cures or [MESSAGES]
    measured = any(cure.lines == FRAMES.lines for cure in cures)
    return cures if measured else [*cures, FRAMES]


def kept_open(product: Product, kind: Kind) -> list[Cure]:
    """The cures of a product for a WebSocket; of a cut one also those of responses."""
    own = [c for c in product.cures if c.fits(kind, coded=False, websocket=True)]
    if kind is not Kind.CUT or any(cure.where != FROM for cure in own):
        return own
    return own + [
        replace(cure, freed="", on="", source="its timeouts of responses")
        for cure in product.cures
        if cure.fits(kind, coded=False) and cure.where != FROM
    ]


def sorted_cures(
    products: list[Product], kind: Kind, *, coded: bool, event_stream: bool | None
) -> list[Cure]:
    """The cures of products, measured ones first.

    Of two with the same lines the first, or the one without an if.
    """
    fitting = [
        cure
        for product in products
        for cure in product.cures
        if cure.fits(kind, coded=coded, event_stream=event_stream)
    ]
    found: dict[str, Cure] = {}
    for cure in sorted(fitting, key=lambda cure: not cure.measured):
        if cure.lines not in found or (found[cure.lines].when and not cure.when):
            found[cure.lines] = cure
    return list(found.values())


def if_it_is(product: Product, cure: Cure) -> Cure:
    """A cure of a product that does not show."""
    when = f"it is {product.name}"
    return replace(cure, when=f"{when} and {cure.when}" if cure.when else when)
