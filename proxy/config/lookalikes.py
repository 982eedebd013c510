"""Characters that look like ASCII and are not: full width, typographic, invisible.

Input methods, word processors and pages from which people copy put them in.
"""

from __future__ import annotations

import unicodedata

TWINS = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u300c\u300d\u300e"
                    "\u300f\u301d\u301e", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u00b4", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad", ""),
    "\u3001": ",",
    "\u3002": ".",
    "\u3010": "[",
    "\u3011": "]",
    "\u3014": "[",
    "\u3015": "]",
    "\u2044": "/",
    "\u2215": "/",
    "\ufe55": ":",
    "\u2236": ":",
}  # fmt: skip
NAMES = {"'": "a quote", '"': "a quote", "": "an invisible character"}


def twin(character: str) -> str | None:
    """The ASCII that a character looks like ("": it is invisible); None: none."""
    if character.isascii():
        return None
    if character in TWINS:
        return TWINS[character]
    plain = unicodedata.normalize("NFKC", character)
    wide = unicodedata.east_asian_width(character) in "FH" or character.isspace()
    return plain if wide and plain.isascii() else None


def first(text: str) -> int | None:
    """Where the first of them is in a text."""
    if text.isascii():
        return None
    return next((n for n, each in enumerate(text) if twin(each) is not None), None)


def in_ascii(text: str) -> str:
    """The text as it was meant."""
    if text.isascii():
        return text
    found = ((each, twin(each)) for each in text)
    return "".join(each if plain is None else plain for each, plain in found)


def named(character: str) -> str:
    """A character in words: `“` (U+201C, left double quotation mark)."""
    name = unicodedata.name(character, "").lower()
    code = f"U+{ord(character):04X}"
    told = f"{code}, {name}" if name else code
    visible = character.isprintable() and not character.isspace()
    return f"{character} ({told})" if visible else told
