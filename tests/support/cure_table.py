"""The tables of the doctor's cures, from the table of products."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.products.hold_kind import CUT, HELD
from proxy.products.product import Cure, FieldSign, Product
from proxy.products.product_table import (
    CURES,
    NAMES,
    PRODUCTS,
    freed_by_fields,
    ignore_fields,
)

HEADER = "| product | hold | where | lines | {} |\n| --- | --- | --- | --- | --- |\n"


def cure_tables() -> dict[str, str]:
    """Each table by the name that its marker has."""
    measured = [cure for cure in CURES if cure.measured]
    others = [cure for cure in CURES if not cure.measured]
    freed = "".join(row_of(cure, f"{cure.freed}, {cure.on}") for cure in measured)
    return {
        "measured cures": HEADER.format("freed") + freed,
        "other cures": HEADER.format("from")
        + "".join(row_of(cure, cure.source or "memory") for cure in others),
        "fields": fields(),
        "signs": signs(PRODUCTS.values()),
    }


def row_of(cure: Cure, last: str) -> str:
    """A cure."""
    return (
        f"| {NAMES[cure.product]} | {kinds(cure)} | {cure.where}"
        f"{f', if {cure.when}' if cure.when else ''} | "
        f"{code(cure.lines)} | {last} |\n"
    )


def kinds(cure: Cure) -> str:
    """For which holds it is."""
    coded = {True: ", compressed", False: ", not compressed", None: ""}[cure.coded]
    coded += ", a WebSocket" * (cure.websocket and cure.kinds == CUT)
    all_held = set(HELD) <= set(cure.kinds)
    rest = [kind.value for kind in cure.kinds if not (all_held and kind in HELD)]
    return ", ".join(["held"] * all_held + rest) + coded


def code(text: str) -> str:
    """Lines in a cell of a table."""
    lines = [line.replace("|", "\\|") for line in text.split("\n")]
    return "<br>".join(
        f"{'&nbsp;' * (len(line) - len(line.lstrip()))}`{line.strip()}`"
        for line in lines
    )


def fields() -> str:
    """Who heeds fields of the back end, and who does not."""
    return (
        "| | |\n| --- | --- |\n"
        f"| freed by one of them | {', '.join(freed_by_fields())} |\n"
        f"| held all the same | {', '.join(ignore_fields())} |\n"
    )


def signs(products: Iterable[Product]) -> str:
    """By what each product is recognised."""
    rows = ""
    for product in products:
        seen = "; ".join(map(sign, product.signs))
        passes = f"streams as it comes ({product.passes})" if product.passes else ""
        rows += f"| {product.name} | `{product.key}` | {seen} | {passes} |\n"
    return (
        "| product | `--product` | fields | measured |\n| --- | --- | --- | --- |\n"
        + rows
    )


def sign(each: FieldSign) -> str:
    """A field and what it contains."""
    text = f"`{each.field}: … {each.value} …`" if each.value else f"`{each.field}`"
    field, other = each.beside
    if field:
        text += f" beside `{field}: … {other} …`"
    return text + (" of a compressed response" if each.coded else "")
