"""`cookie_domain_rewrite` and `cookie_path_rewrite`: tables of old = new.

As in a dev server, a string alone stands for any old value.
"""

from __future__ import annotations

import re
from typing import Any

from proxy.config.fault_text import described, key_name, quoted
from proxy.config.reader import Entries, Entry, Reader

ANY = "*"
DOMAIN = re.compile(r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
# RFC 6265 §4.1.1: any visible ASCII but the semicolon, which ends an attribute.
PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
COOKIE_TABLES = ("cookie_domain_rewrite", "cookie_path_rewrite")


def read_cookie_table(reader: Reader, table: str, key: str, raw: object) -> Entries:
    """Read one of the two; its entry holds a dict, sources by old value."""
    if isinstance(raw, str):
        raw = {ANY: raw}
    if not isinstance(raw, dict):
        message = f"expected a string or a table of strings, got {described(raw)}"
        reader.fault(table, key, message)
        return {}
    check = check_domain if key == "cookie_domain_rewrite" else check_path
    entries: dict[str, Entry] = {}
    for old, content in raw.items():
        place = f"{key}.{key_name(old)}"
        if old != ANY and not reader.passes(table, place, check, old):
            continue
        entry = reader.value(table, place, content, str)
        if entry and (
            not entry.value or reader.passes(table, place, check, entry.value)
        ):
            entries[old] = entry
    if len(entries) < len(raw):
        return {}
    values: dict[str, Any] = {old: entry.value for old, entry in entries.items()}
    sources = {old: entry.source for old, entry in entries.items()}
    return {key: Entry(key, values, "; ".join(dict.fromkeys(sources.values())))}


def check_domain(text: str) -> None:
    """A Domain as a cookie has it.

    Raises:
        ValueError: says what is wrong with it.
    """
    if DOMAIN.fullmatch(text) is None:
        raise ValueError(
            f"expected a domain without a scheme or port, got {quoted(text)}"
        )


def check_path(text: str) -> None:
    """A Path as a cookie has it.

    Raises:
        ValueError: says what is wrong with it.
    """
    if PATH.fullmatch(text) is None:
        raise ValueError(f'expected a path that begins with "/", got {quoted(text)}')
