"""The calls to try, and how what a client told of one is judged."""

from __future__ import annotations

import pytest

from tests.clients.answers import TEXT
from tests.clients.programs import Told
from tests.clients.table import CLIENTS, Client

CALLS = [(client, call) for client in CLIENTS for call in client.calls]
# Of event streams; NDJSON has no comments.
READERS = [case for case in CALLS if case[0].family != "ollama"]
# What asks for the rest of a stream whose events have ids.
RESUMING = [
    case for case in CALLS if case[0].family == "json-rpc" and case[1] == "2025"
]


def name(case: tuple[Client, str]) -> str:
    """The id of a test."""
    client, call = case
    return f"{client.name}-{call}"


each_call = pytest.mark.parametrize("asking", CALLS, ids=name, indirect=True)
each_reader = pytest.mark.parametrize("asking", READERS, ids=name, indirect=True)


def is_complete(client: Client, told: Told) -> bool:
    """The whole answer came, and the client calls it complete."""
    if client.reconnects:  # it calls no answer complete
        return (told.text, told.error) == (TEXT, "reconnects")
    return told == Told(TEXT, None, complete=True)


def is_error(told: Told) -> bool:
    """Less came, and the client reported an error."""
    return told.error is not None and not told.complete and told.text != TEXT
