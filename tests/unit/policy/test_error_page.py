"""The page that a person gets: its language, what it leads to, what it may run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from proxy.config.model import Config, InspectorOptions, ServerOptions
from proxy.errors import (
    ConnectTimeout,
    FirstByteTimeout,
    InternalError,
    NoRoute,
    ProxyError,
    ShuttingDown,
    UpstreamDisconnected,
    UpstreamRefused,
    UpstreamTLSFailed,
    UpstreamUnavailable,
)
from proxy.policy.error_detail import (
    ELSEWHERE,
    LOG,
    LOG_AND_INSPECTOR,
    NOT_OPEN,
    ErrorDetail,
)
from proxy.policy.error_response import ADVICE, Failure, plan_failure, sentence
from proxy.policy.local_client import Entrance
from proxy.policy.response_plan import TERMS
from proxy.web.error_page import (
    AGAIN,
    CHINESE,
    RECORD,
    SENT,
    WAITS,
    hash_of,
    language_of,
)
from tests.unit.http1.heads import request

DATE = b"Thu, 01 Jan 1970 00:00:00 GMT"
REFUSED = UpstreamRefused("nothing listens at 127.0.0.1:1")


def shown(
    error: ProxyError,
    *lines: bytes,
    method: bytes = b"GET",
    detailed: bool = True,
    record: str = "",
) -> tuple[str, dict[bytes, bytes]]:
    """The page, and the fields of its response."""
    failure = Failure(
        error=error,
        elapsed=0.5,
        route="/sse",
        target="http://up:8002",
        routes=("/sse",),
        request_id=b"5c1f-1",
        detailed=detailed,
        record=record,
    )
    head = request(
        b"Host: a", b"Sec-Fetch-Mode: navigate", *lines, start=method + b" / HTTP/1.1"
    )
    plan, body = plan_failure(failure, head, TERMS[True][True], DATE)
    return body.decode(), dict(plan.fields)


# -- languages


@pytest.mark.parametrize(
    ("said", "language"),
    [
        pytest.param(None, "en", id="nothing"),
        pytest.param(b"", "en", id="empty"),
        pytest.param(b"zh-CN,zh;q=0.9,en;q=0.8", "zh-CN", id="Chinese first"),
        pytest.param(b"en-US,en;q=0.9,zh-CN;q=0.8", "en", id="English first"),
        pytest.param(b"zh", "zh-CN", id="no region"),
        pytest.param(b"ZH-TW", "zh-CN", id="another region, in capitals"),
        pytest.param(b"de, zh;q=0.5, en;q=0.3", "zh-CN", id="neither first"),
        pytest.param(b"en;q=0.3, zh ; q=0.5", "zh-CN", id="by weight, not by place"),
        pytest.param(b"zh;q=0", "en", id="not acceptable"),
        pytest.param(b"zh;q=x", "en", id="malformed weight"),
        pytest.param(b"zh;q=nan", "en", id="no number"),
        pytest.param(b"zh;q=2", "en", id="weight beyond 1"),
        pytest.param(b"zh;x=1", "en", id="another parameter"),
        pytest.param(b"*", "en", id="any"),
        pytest.param(b"\xe4\xb8\xad,,;", "en", id="no language tags"),
    ],
)
def test_language_is_the_preferred_one_of_two(
    said: bytes | None, language: str
) -> None:
    assert language_of(said) == language
    lines = [] if said is None else [b"Accept-Language: " + said]
    assert f'<html lang="{language}">' in shown(REFUSED, *lines)[0]


def kinds(base: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    yield base
    for each in base.__subclasses__():
        yield from kinds(each)


def test_every_text_of_the_page_is_there_in_chinese() -> None:
    summaries = {sentence(each.general) for each in kinds() if each.general}
    summaries.add(str(InternalError()))
    labels = set(re.findall(r"<dt>(.*?)</dt>", shown(NoRoute("x"))[0]))
    assert {"route", "request id", "routes"} <= labels
    texts = {AGAIN, RECORD, SENT, WAITS, NOT_OPEN, ELSEWHERE, *ADVICE.values()}
    texts |= {LOG, LOG_AND_INSPECTOR}
    assert set(CHINESE) == summaries | labels | texts


def test_in_chinese_what_is_exact_is_marked_as_english() -> None:
    page, _ = shown(REFUSED, b"Accept-Language: zh-CN")
    assert "请启动上游" in page
    assert '<p class="exact" lang="en">nothing listens at 127.0.0.1:1</p>' in page
    malformed, _ = shown(ProxyError("a text without translation"))
    assert "lang=en>" not in malformed


# -- what it leads to


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        pytest.param(REFUSED, True, id="refused"),
        pytest.param(UpstreamUnavailable("x"), True, id="unavailable"),
        pytest.param(ConnectTimeout("x"), True, id="not connected in time"),
        pytest.param(ShuttingDown("x"), True, id="drained"),
        pytest.param(FirstByteTimeout("x"), False, id="it had the request"),
        pytest.param(UpstreamDisconnected("x"), False, id="it has broken on it"),
        pytest.param(UpstreamTLSFailed("x"), False, id="a fault of the configuration"),
        pytest.param(NoRoute("x"), False, id="no route"),
    ],
)
def test_only_what_may_pass_by_itself_is_waited_for(
    error: ProxyError, waits: bool
) -> None:
    page, _ = shown(error)
    assert ("<script>" in page) is waits
    assert (WAITS in page) is waits
    assert AGAIN in page


@pytest.mark.parametrize("method", [b"POST", b"PUT"])
def test_what_was_sent_is_never_sent_again_by_the_page(method: bytes) -> None:
    page, _ = shown(REFUSED, method=method)
    assert "<script>" not in page
    assert AGAIN not in page
    assert SENT in page


def test_the_policy_allows_the_parts_of_the_page_and_nothing_else() -> None:
    page, fields = shown(REFUSED)
    policy = dict(
        each.strip().split(" ", 1)
        for each in fields[b"Content-Security-Policy"].decode().split(";")
    )
    for part in ("style", "script"):
        found = re.findall(f"<{part}>(.*?)</{part}>", page, re.DOTALL)
        assert [hash_of(text) for text in found] == [policy[f"{part}-src"]]
    assert policy["default-src"] == "'none'"
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page)


def test_json_has_no_policy_of_a_page() -> None:
    failure = Failure(error=REFUSED, elapsed=0.5)
    plan, body = plan_failure(failure, None, TERMS[True][True], DATE)
    assert json.loads(body)
    assert b"Content-Security-Policy" not in dict(plan.fields)


def test_a_link_leads_to_the_record_of_the_request_if_its_reader_may_look() -> None:
    link = '<a href="/_unbuffered/#request=5c1f-1">'
    assert link in shown(REFUSED, record="/_unbuffered/")[0]
    assert "_unbuffered" not in shown(REFUSED)[0]


@pytest.mark.parametrize("detailed", [True, False])
def test_a_stranger_gets_no_more_than_a_sentence_and_the_request_id(
    detailed: bool,
) -> None:
    page, _ = shown(REFUSED, detailed=detailed)
    for secret in (
        "http://up:8002",
        "127.0.0.1:1",
        "/sse",
        ADVICE["connection_refused"],
    ):
        assert (secret in page) is detailed
    assert "5c1f-1" in page


# -- who may look


LOCAL = b"127.0.0.1"
OTHER = b"203.0.113.9"
TOKEN = "0123456789abcdef0123"


@pytest.mark.parametrize(
    ("config", "address", "host", "shows"),
    [
        pytest.param(Config(), LOCAL, b"localhost", True, id="this machine"),
        pytest.param(Config(), OTHER, b"localhost", False, id="another machine"),
        pytest.param(Config(), LOCAL, b"example.com", False, id="by another's name"),
        pytest.param(
            Config(inspector=InspectorOptions(enabled=False)),
            *(LOCAL, b"localhost", False),
            id="off",
        ),
        pytest.param(
            Config(inspector=InspectorOptions(enabled=True)),
            *(OTHER, b"example.com", True),
            id="open to all",
        ),
        pytest.param(
            Config(inspector=InspectorOptions(enabled=True, token=TOKEN)),
            *(OTHER, b"example.com", False),
            id="by a token, another machine",
        ),
        pytest.param(
            Config(inspector=InspectorOptions(token=TOKEN)),
            *(LOCAL, b"localhost", True),
            id="by a token, this machine",
        ),
        pytest.param(
            Config(server=ServerOptions(admin="127.0.0.1:9090")),
            *(LOCAL, b"localhost", False),
            id="at the admin listener alone",
        ),
        pytest.param(
            Config(server=ServerOptions(error_detail="none")),
            *(LOCAL, b"localhost", False),
            id="nobody is told anything",
        ),
    ],
)
def test_who_is_led_to_the_record(
    config: Config, address: bytes, host: bytes, shows: bool
) -> None:
    rule = ErrorDetail(config)
    assert rule.shows_record(address, request(b"Host: " + host)) is shows


HERE = Entrance(b"http", "127.0.0.1", 8080, None)
PROXY = "http://127.0.0.1:8080/_unbuffered/"
KEEP = b"Connection: keep-alive"
CONFIGS = {
    "default": Config(),
    "trusts": Config(server=ServerOptions(trusted_proxies=["127.0.0.1", "::1"])),
    "open": Config(inspector=InspectorOptions(enabled=True)),
    "off": Config(inspector=InspectorOptions(enabled=False)),
    "admin": Config(server=ServerOptions(admin="127.0.0.1:9090")),
    "silent": Config(server=ServerOptions(error_detail="none")),
}


@pytest.mark.parametrize(
    ("config", "address", "lines", "at", "page"),
    [
        pytest.param(
            *("default", LOCAL, [b"Host: localhost:8080", KEEP], HERE),
            "/_unbuffered/",
            id="no server in front",
        ),
        pytest.param(
            *("default", LOCAL, [b"Host: localhost", KEEP]),
            *(HERE._replace(port=80), "/_unbuffered/"),
            id="the port that needs no name",
        ),
        pytest.param(
            *("default", LOCAL, [b"Host: [::1]", KEEP]),
            *(
                HERE._replace(scheme=b"https", port=443, server_name=""),
                "/_unbuffered/",
            ),
            id="that of TLS",
        ),
        pytest.param(
            *("default", LOCAL, [b"Host: localhost:8080", KEEP]),
            *(HERE._replace(host="", port=0), "/_unbuffered/"),
            id="a listener of which nothing is known",
        ),
        pytest.param(
            *("default", LOCAL, [b"Host: localhost:5173", KEEP], HERE, PROXY),
            id="Vite, which passes Host",
        ),
        pytest.param(
            *("default", LOCAL, [b"Host: 127.0.0.1:8080", b"Connection: close"]),
            *(HERE, PROXY),
            id="Vite with changeOrigin",
        ),
        pytest.param(
            *("default", LOCAL, [b"Host: localhost:5173", KEEP]),
            *(HERE._replace(host="::ffff:127.0.0.1"), PROXY),
            id="a listener for IPv4 and IPv6",
        ),
        pytest.param(
            *("default", b"::1", [b"Host: localhost:5173", KEEP]),
            Entrance(b"https", "::1", 8443, "localhost"),
            "https://[::1]:8443/_unbuffered/",
            id="IPv6 and TLS",
        ),
        pytest.param(
            *("default", LOCAL, [b"Host: a.example:5173", KEEP], HERE, ""),
            id="Vite, by the name of another machine",
        ),
        pytest.param(
            *("default", LOCAL),
            [b"Host: localhost:8080", KEEP, b"X-Forwarded-For: 127.0.0.1"],
            *(HERE, ""),
            id="Vue CLI, not trusted",
        ),
        pytest.param(
            *("trusts", LOCAL),
            [b"Host: localhost:8080", KEEP, b"X-Forwarded-For: ::ffff:127.0.0.1"],
            *(HERE, PROXY),
            id="Vue CLI, trusted",
        ),
        pytest.param(
            *("trusts", LOCAL),
            [b"Host: localhost:8080", KEEP, b"X-Forwarded-For: 203.0.113.9"],
            *(HERE, ""),
            id="Vue CLI, trusted, for another machine",
        ),
        pytest.param(
            *("open", OTHER, [b"Host: a.example:8080", KEEP], HERE, "/_unbuffered/"),
            id="open to all",
        ),
        pytest.param(
            *("open", OTHER, [b"Host: a.example", KEEP], HERE, ""),
            id="open to all, behind a server of another port",
        ),
        *(
            pytest.param(
                *(config, LOCAL, [b"Host: localhost:5173", KEEP], HERE, ""),
                id=f"{config}, behind Vite",
            )
            for config in ("off", "admin", "silent")
        ),
    ],
)
def test_the_link_leads_to_this_proxy_behind_another_server_too(
    config: str, address: bytes, lines: list[bytes], at: Entrance, page: str
) -> None:
    rule = ErrorDetail(CONFIGS[config])
    assert rule.record_page(address, request(*lines), at) == page
