"""`client_by` of a route: by what its clients are told apart."""

from __future__ import annotations

from proxy.config.fault_text import quoted
from proxy.config.reader import Entries, Reader
from proxy.config.upstream_options import check_request_value

ADDRESS = "address"
EXPECTED = '"address", "header:NAME" or "cookie:NAME"'
# As people write it who know it from elsewhere.
OTHER_NAMES = frozenset(
    {
        "ip",
        "client",
        "client_ip",
        "clientip",
        "source",
        "sourceip",
        "src",
        "remote_addr",
        "remote_host",
        "remote_ip",
        "$binary_remote_addr",
        "$remote_addr",
        "{remote_host}",
    }
)


def read_client_by(reader: Reader, table: str, raw: object) -> Entries:
    """Read `client_by`."""
    entry = reader.value(table, "client_by", raw, str)
    if entry is None or not reader.passes(
        table, "client_by", check_client_by, entry.value
    ):
        return {}
    return {"client_by": entry}


def check_client_by(text: str) -> None:
    """What makes two requests those of one client.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    if text == ADDRESS:
        return
    if text.strip().lower().replace("-", "_") in OTHER_NAMES:
        raise ValueError(f"{quoted(text)} is not known here: write {quoted(ADDRESS)}")
    check_request_value(text, EXPECTED)
