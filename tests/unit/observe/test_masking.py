from __future__ import annotations

import pytest

from proxy.observe.masking import masked, masked_fields, masked_target


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc", "Bearer ****"),
        ("authorization", "abc", "****"),
        ("Proxy-Authorization", "Basic eDp5", "Basic ****"),
        ("Cookie", "a=1; b=2", "a=****; b=****"),
        ("Cookie", "bare", "****"),
        ("Set-Cookie", "a=1; Path=/; HttpOnly", "a=****; Path=/; HttpOnly"),
        ("X-Api-Key", "abc", "****"),
        ("api-key", "abc", "****"),
        ("X-Goog-Api-Key", "abc", "****"),
        ("OpenAI-Token", "abc", "****"),
        ("X-Auth-Token", "abc", "****"),
        ("X-Session-Id", "abc", "****"),
        ("Location", "/x?token=abc&a=1", "/x?token=****&a=1"),
        ("Referer", "http://a/?key=abc", "http://a/?key=****"),
        ("Accept", "text/event-stream", "text/event-stream"),
        ("Author", "yy", "yy"),
        ("X-Monkey", "1", "1"),
        ("Content-Type", "text/event-stream; key=1", "text/event-stream; key=1"),
    ],
)
def test_credentials_lose_their_values_and_nothing_else(
    name: str, value: str, shown: str
) -> None:
    assert masked(name, value) == shown


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/x", "/x"),
        ("/x?a=1&b=2", "/x?a=1&b=2"),
        ("/x?key=abc", "/x?key=****"),
        ("/x?a=1&api_key=abc&b=2", "/x?a=1&api_key=****&b=2"),
        ("/x?access_token=a=b", "/x?access_token=****"),
        ("/x?a=1&client_secret=abc#f", "/x?a=1&client_secret=****#f"),
        ("/x?PASSWORD=abc", "/x?PASSWORD=****"),
        ("/key=abc", "/key=abc"),
        ("/x?last=4&sig=abc", "/x?last=4&sig=****"),
    ],
)
def test_parameters_that_are_credentials_lose_their_values(
    target: str, shown: str
) -> None:
    assert masked_target(target) == shown


def test_fields_keep_order_names_and_bytes() -> None:
    fields = [(b"X-A", b"\xff"), (b"Cookie", b"a=1"), (b"X-A", b"2")]
    assert masked_fields(fields) == [["X-A", "ÿ"], ["Cookie", "a=****"], ["X-A", "2"]]
