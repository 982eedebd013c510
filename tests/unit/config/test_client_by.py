"""`client_by`: what may be written, and what is said of the rest."""

from __future__ import annotations

import re

import pytest

from proxy.config.client_by import check_client_by


@pytest.mark.parametrize("text", ["address", "header:X-User", "cookie:sid"])
def test_what_tells_clients_apart(text: str) -> None:
    check_client_by(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ip", '"ip" is not known here: write "address"'),
        ("$remote_addr", '"$remote_addr" is not known here: write "address"'),
        ("X-User", 'expected "address", "header:NAME" or "cookie:NAME", got "X-User"'),
        ("", 'expected "address", "header:NAME" or "cookie:NAME", got ""'),
        (
            "header:",
            '"header:" does not end in a valid field name (RFC 9110 §5.1)',
        ),
        (
            "cookie:a b",
            '"cookie:a b" does not end in a valid cookie name (RFC 6265 §4.1.1)',
        ),
        (
            "header:Cookie",
            'the field Cookie has all cookies of a client: write "cookie:NAME" with '
            "the name of one",
        ),
    ],
)
def test_what_does_not(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(fault)}$"):
        check_client_by(text)
