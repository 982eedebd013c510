"""What `explain` says below /_unbuffered/ where there is an admin listener."""

from __future__ import annotations

import pytest

from tests.unit.explain.conftest import Explain

TEXT = """
[server]
admin = "127.0.0.1:9090"

[routes."/x"]
target = "http://localhost:1"
"""


@pytest.mark.parametrize("path", ["health", "metrics", "feed", ""])
def test_the_public_port_leaves_it_to_the_routes(account: Explain, path: str) -> None:
    told = account(TEXT, "GET", f"/_unbuffered/{path}")
    assert told.own is not None
    assert not told.own.answered
    assert told.own.enabled is not None
    assert told.own.enabled.key == "admin"
    assert "127.0.0.1:9090" in told.own.whom
    assert told.refused is not None
    assert told.refused["status"] == 404


@pytest.mark.parametrize("path", ["health", "ready", "metrics"])
def test_the_admin_listener_answers_everybody(account: Explain, path: str) -> None:
    told = account(
        TEXT, "GET", f"http://10.0.0.1:9090/_unbuffered/{path}", "--client", "10.0.0.2"
    )
    assert told.own is not None
    assert told.own.answered
    assert told.refused is None
    assert told.own.whom.startswith("everyone who can reach the listener")


def test_the_inspector_has_its_rules_there_too(account: Explain) -> None:
    url = "http://127.0.0.1:9090/_unbuffered/feed"
    told = account(TEXT, "GET", url, "--header", "Connection: keep-alive")
    assert told.own is not None
    assert told.refused is None
    told = account(TEXT, "GET", url, "--client", "10.0.0.2")
    assert told.refused is not None
    assert told.refused["status"] == 404
