"""What the inspector records where `[inspector] record` does not say it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.model import Config, InspectorOptions, ListenOptions, ServerOptions


def config(
    *, listen: tuple[ListenOptions, ...] = (), inspector: Any = None, **server: Any
) -> Config:
    return Config(
        server=ServerOptions(**server),
        listen=listen,
        inspector=InspectorOptions(**inspector or {}),
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_on_loopback_it_is_what_streams(host: str) -> None:
    beside = ListenOptions(port=1), ListenOptions(host="::1", port=1)
    assert config(host=host, listen=beside).recording == "streams"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com"])
def test_where_others_connect_it_is_what_is_looked_at(host: str) -> None:
    assert config(host=host).recording == "on-look"
    assert config(listen=(ListenOptions(host=host, port=1),)).recording == "on-look"


def test_behind_another_proxy_it_is_what_is_looked_at() -> None:
    assert config(trusted_proxies=("127.0.0.1",)).recording == "on-look"


@pytest.mark.parametrize("record", ["streams", "on-look", "off"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_what_is_said_holds_everywhere(host: str, record: str) -> None:
    assert config(host=host, inspector={"record": record}).recording == record


def test_for_nobody_nothing_is_recorded() -> None:
    told = {"enabled": False, "record": "streams"}
    assert config(inspector=told).recording == "off"
