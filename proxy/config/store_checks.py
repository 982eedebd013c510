"""What has to be right in `[store]` for a store that several proxies share."""

from __future__ import annotations

import re

from proxy.config.environment import DEFAULT
from proxy.config.fault_text import quoted
from proxy.config.packages import is_installed
from proxy.config.reader import Entries, Reader
from proxy.config.store_url import parse_store_url
from proxy.system.install_command import install_command

TABLE = "store"
PACKAGES = ("redis", "hiredis", "cryptography")
SHORTEST_KEY = 16  # characters
PREFIX = re.compile(r"[A-Za-z0-9._:/-]{1,64}")


def check_store(reader: Reader, store: Entries) -> None:
    """Faults of `[store]`; none of them shows a secret."""
    url = text_of(store, "url")
    for key in ("url", "key"):
        if key in store and not text_of(store, key) and "${" in store[key].source:
            variable = store[key].source.split(", ")[-1]
            if not variable.endswith(DEFAULT):  # an empty default says: may be left out
                reader.fault(TABLE, key, f"{variable} is empty")
    valid = bool(url) and reader.passes(TABLE, "url", parse_store_url, url)
    if valid and not all(map(is_installed, PACKAGES)):
        message = (
            "needs the packages redis, hiredis and cryptography: "
            f"{install_command('redis')}, or remove url"
        )
        reader.fault(TABLE, "url", message)
    key = text_of(store, "key")
    if key and len(key) < SHORTEST_KEY:
        message = (
            f"expected {SHORTEST_KEY} characters or more: make one with "
            "`openssl rand -base64 32`"
        )
        reader.fault(TABLE, "key", message)
    if key and "url" not in store:
        reader.warn(TABLE, "key", "has no effect without url: nothing is stored")
    prefix = store.get("prefix")
    if prefix is not None and PREFIX.fullmatch(prefix.value) is None:
        message = (
            "expected 1 to 64 letters, digits and any of . _ : / -, got "
            f"{quoted(prefix.value[:80])}"
        )
        reader.fault(TABLE, "prefix", message)


def text_of(store: Entries, key: str) -> str:
    """The text of a key; "" where there is none, or a faulty one."""
    return str(store[key].value) if key in store else ""
