"""Which target would get a request: that it does, tests/wire/test_explained.py says."""

from __future__ import annotations

import pytest

from proxy.tools.explain.text import render_text
from tests.unit.explain.conftest import Explain

TARGETS = '[routes."/"]\ntarget = ["http://one", "http://two", "http://three"]\n'
LEAST = "the one with the fewest open exchanges"


def test_one_target_leaves_no_choice(account: Explain) -> None:
    text = '[routes."/"]\ntarget = "http://one"\nbalance = "client"\n'
    assert account(text, "GET", "/").choice is None


def test_open_exchanges_are_known_to_a_running_proxy_only(account: Explain) -> None:
    told = account(TARGETS, "GET", "/")
    assert told.choice is not None
    assert told.choice.target is None
    assert told.choice.reason == f'{LEAST} (balance = "least_open", default)'
    assert f"one of 3: {LEAST} is used" in render_text(told)


@pytest.mark.parametrize(
    ("balance", "given", "by", "shown"),
    [
        pytest.param("header:X-User", ("-HX-User: me",), "field x-user", "me",
                     id="a field"),
        pytest.param("header:Mcp-Session-Id", ("-HMcp-Session-Id: abc",),
                     "field mcp-session-id", "****", id="a session"),
        pytest.param("cookie:sid", ("-HCookie: sid=abc",), "cookie sid", "****",
                     id="a cookie"),
        pytest.param("client", ("--client", "10.1.2.3"), "the client's address",
                     "10.1.2.3", id="a client"),
    ],
)  # fmt: skip
def test_a_value_decides(
    account: Explain, balance: str, given: tuple[str, ...], by: str, shown: str
) -> None:
    told = account(f'{TARGETS}balance = "{balance}"\n', "GET", "/", *given)
    choice = told.choice
    assert choice is not None
    assert (choice.by, choice.value) == (by, shown)
    assert {choice.target, *choice.then} == {
        f"http://{n}" for n in ("one", "two", "three")
    }
    assert f"decided by {by} = {shown} (balance = " in choice.reason
    assert ("handed out" in choice.reason) is (balance != "client")
    text = render_text(told)
    assert f"sent to {choice.target}, one of 3: this one" in text
    assert f"sent to {choice.then[0]}, one of 3: choice 2" in text
    assert f"sent to {choice.then[1]}, one of 3: choice 3" in text
    assert "abc" not in text.replace("Mcp-Session-Id: abc", "")


def test_without_the_value_open_exchanges_decide(account: Explain) -> None:
    told = account(f'{TARGETS}balance = "header:X-User"\n', "GET", "/")
    assert told.choice is not None
    assert told.choice.target is None
    assert told.choice.reason.startswith(
        "the request has no value for field x-user, so"
    )
