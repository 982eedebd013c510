"""Which products a response names: by its fields alone. Pure.

A sign is never more than a sign: a hop can hide, or pass on the fields of the one
behind it. So each is told with what it was seen by. A name that the table does not
have is told as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy.products.product_table import BEFORE, NAMES, PRODUCTS

Fields = Sequence[tuple[str, str]]
NAMING = ("server", "via", "x-powered-by")  # fields by which a hop says its name
SHOWN = 40  # characters of a value


@dataclass(frozen=True, slots=True)
class Sign:
    """A product, and what it was recognised by.

    `product`: its key in the table, "" for a name that the table does not have.
    `behind`: it is the one behind a hop that passes its fields on.
    """

    product: str
    seen: str
    guess: bool = False
    behind: bool = False

    @property
    def name(self) -> str:
        return NAMES.get(self.product) or self.seen.partition(": ")[2]


def named_products(fields: Fields) -> tuple[Sign, ...]:
    """The products that the fields of a response name, the one in front first.

    Of a name that is not in the table there is a sign without a product.
    """
    values = joined(fields)
    coded = values.get("content-encoding", "identity").lower() not in ("identity", "")
    found: dict[str, Sign] = {}
    said: set[str] = set()  # fields whose name is in the table
    # Is a Server field that of the hop behind? A proxy in front may have set it: nginx
    # replaces it, Caddy and lighttpd add theirs where there is none.
    passed = False
    for product in PRODUCTS.values():
        for sign in product.signs:
            value = values.get(sign.field)
            if value is None or sign.value not in value.lower():
                continue
            field, other = sign.beside
            if other not in values.get(field, "").lower():
                continue
            if sign.coded in (None, coded):
                name, first = member(value, sign.value)
                behind = sign.field == "server" and not first
                seen = f"{sign.field}: {name[:SHOWN]}"
                found.setdefault(product.key, Sign(product.key, seen, behind=behind))
                said.add(sign.field)
                passed |= sign.field == "via" and product.passes_server
    rest = (
        Sign("", f"{field}: {values[field][:SHOWN]}")
        for field in NAMING
        if field not in said and values.get(field, "").strip()
    )
    signs = [
        replace(
            sign,
            behind=sign.behind
            or (
                passed
                and sign.seen.startswith("server: ")
                and sign.product not in BEFORE
            ),
        )
        for sign in (*found.values(), *rest)
    ]
    return tuple(sorted(signs, key=lambda sign: (not sign.product, sign.behind)))


def member(value: str, part: str) -> tuple[str, bool]:
    """The member of a list that says it, and whether it is the first one.

    Caddy adds a Server of its own before that of the hop behind, up to some version.
    """
    first, *others = value.split(", ")
    if part in first.lower():
        return first, True
    return next((each for each in others if part in each.lower()), value), False


def joined(fields: Fields) -> dict[str, str]:
    """The value of each field by its name in lower case, repetitions joined."""
    values: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        values[key] = f"{values[key]}, {value}" if key in values else value
    return values
