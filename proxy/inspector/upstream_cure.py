"""What frees a stream that its upstream holds, by the name that its response has.

By the same table of products as that of `unbuffered doctor`.
"""

from __future__ import annotations

from proxy.http1.head import ResponseHead
from proxy.products.hold_kind import Kind
from proxy.products.product_table import cures_for
from proxy.products.recognition import named_products


def likely_cure(head: ResponseHead | None) -> str:
    """The rest of a sentence on a stream that comes in bursts; "" where none is known.

    One line each: the log is read line by line.
    """
    if head is None:
        return ""
    fields = [
        (name.decode("latin-1"), at.decode("latin-1")) for name, at in head.fields
    ]
    known = [sign for sign in named_products(fields) if sign.product]
    if not known:
        return ""
    coded = any(each != b"identity" for each in head.members(b"content-encoding"))
    first = known[0]
    cures = cures_for((first.product,), Kind.BURSTS, coded=coded)
    named = f"; it looks like {first.name} ({first.seen})"
    own = [cure for cure in cures if cure.product == first.product]
    if not own:
        return named
    lines = " ".join(own[0].lines.split())
    how = "was measured to free it" if own[0].measured else "may free it"
    where = own[0].where + (f", if {own[0].when}," if own[0].when else "")
    return f"{named}: `{lines}` in {where} {how}"
