"""Which provider is asked, and how its failures are told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import openai
import pytest

from upstream_demo.provider import Provider, choose_provider, explain

KEY = "sk-a-secret-that-nobody-may-see"
# What the errors of the client carry and nobody here reads.
REQUEST: Any = None
REDIRECT: Any = SimpleNamespace(request=REQUEST, status_code=302, headers={})
DASHSCOPE = "https://dashscope.aliyuncs.com/compatible-mode/v1"


@pytest.mark.parametrize(
    ("environ", "name", "model", "base_url"),
    [
        pytest.param({}, "embedded", "unbuffered-demo", None, id="no key"),
        pytest.param(
            {"OPENAI_API_KEY": "", "OPENAI_MODEL": "m"},
            "embedded",
            "unbuffered-demo",
            None,
            id="an empty key is none",
        ),
        pytest.param(
            {"DASHSCOPE_API_KEY": KEY}, "dashscope", "qwen-plus", DASHSCOPE, id="qwen"
        ),
        pytest.param(
            {
                "DASHSCOPE_API_KEY": KEY,
                "DASHSCOPE_MODEL": "qwen-max",
                "DASHSCOPE_BASE_URL": "http://other/v1",
            },
            "dashscope",
            "qwen-max",
            "http://other/v1",
            id="qwen elsewhere",
        ),
        pytest.param(
            {"OPENAI_API_KEY": KEY, "DASHSCOPE_API_KEY": "another"},
            "openai",
            "gpt-4o-mini",
            "https://api.openai.com/v1",
            id="openai comes first",
        ),
        pytest.param(
            {
                "OPENAI_API_KEY": KEY,
                "OPENAI_MODEL": "local",
                "OPENAI_BASE_URL": "http://localhost:1234/v1",
            },
            "openai",
            "local",
            "http://localhost:1234/v1",
            id="openai elsewhere",
        ),
    ],
)
def test_provider_follows_from_the_environment(
    environ: dict[str, str], name: str, model: str, base_url: str | None
) -> None:
    provider = choose_provider(environ)
    assert (provider.name, provider.model) == (name, model)
    assert provider.base_url == base_url


@pytest.mark.parametrize(
    ("error", "status", "part"),
    [
        pytest.param(openai.APITimeoutError(REQUEST), 504, "in time", id="timeout"),
        pytest.param(
            openai.APIConnectionError(request=REQUEST),
            502,
            "closed the connection",
            id="broken",
        ),
        pytest.param(
            openai.APIStatusError("no", response=REDIRECT, body=None),
            502,
            "reported: no",
            id="a status that is no error of ours to pass on",
        ),
        pytest.param(
            openai.APIError("no", REQUEST, body="gone fishing"),
            502,
            "with the text 'gone fishing'",
            id="text in place of an error object",
        ),
        pytest.param(ValueError(f"odd {KEY}"), 502, "response: odd ***", id="anything"),
    ],
)
def test_failure_is_explained(error: Exception, status: int, part: str) -> None:
    told = explain(Provider("openai", "m", None, KEY), error)
    assert told.status == status
    assert part in told.message


def test_word_in_place_of_a_key_is_not_masked() -> None:
    told = explain(Provider("openai", "m", None, "read"), ValueError("odd"))
    assert "unreadable response: odd" in told.message


def test_provider_does_not_show_its_key() -> None:
    assert KEY not in repr(Provider("openai", "m", None, KEY))
