"""What `unbuffered explain` tells is what a proxy that runs does."""

from __future__ import annotations

import pytest

from proxy.tools.explain.dry_run import DryRun
from proxy.tools.explain.result import account
from tests.conftest import StartProxy
from tests.support.messages import without_id
from tests.support.raw import Upstream
from tests.support.targets import answering, ask, urls

pytestmark = pytest.mark.any_loop

REQUESTS = [
    pytest.param(b"GET /a/events?x=%2F HTTP/1.1\r\nHost: front\r\n\r\n", id="plain"),
    pytest.param(
        b"POST /a/b HTTP/1.1\r\nHost: front:81\r\nContent-Length: 5\r\n"
        b"Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n"
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Ssl: on\r\nForwarded: for=x\r\n"
        b"Cookie: a\r\nCookie: b\r\nX_Tenant: red\r\nOrigin: http://front\r\n\r\n",
        id="many fields",
    ),
    pytest.param(
        b"PUT /a HTTP/1.1\r\nHost: front\r\nTransfer-Encoding: chunked\r\n\r\n",
        id="chunked",
    ),
    pytest.param(
        b"GET /a/ws HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket, h2c\r\nSec-WebSocket-Key: x\r\n\r\n",
        id="upgrade",
    ),
    pytest.param(b"GET http://other/a?b HTTP/1.0\r\n\r\n", id="absolute form"),
    pytest.param(
        b"MOVE /a/b HTTP/1.1\r\nHost: front\r\nDestination: http://front/a/c\r\n\r\n",
        id="WebDAV",
    ),
]
OPTIONS = {
    "ws": True,
    "change_origin": True,
    "rewrite_origin": True,
    "path_rewrite": {"^/a": "/new"},
    "headers": {"request": {"set": {"X-Tenant": "blue"}, "remove": ["Cookie"]}},
}


@pytest.mark.parametrize("request_bytes", REQUESTS)
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["no options", "options"])
@pytest.mark.parametrize("trusted", [[], ["127.0.0.1"]], ids=["stranger", "trusted"])
async def test_the_upstream_gets_what_was_told(
    proxy: StartProxy,
    upstream: Upstream,
    request_bytes: bytes,
    options: dict[str, object],
    trusted: list[str],
) -> None:
    running = await proxy(
        {"/a": {"target": upstream.url + "/base", **options}},
        server={"trusted_proxies": trusted},
    )
    config = running.server.config
    dry_run = DryRun(config, request_bytes, "127.0.0.1", tls=False)
    assert dry_run.forward is not None
    _, server = await running.begin(upstream, request_bytes)
    (told,) = [without_id(plan.text) for plan in dry_run.forward.plans.values()]
    assert told == without_id(server.head)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", id="no route"),
        pytest.param(b"GET /a/..%2f HTTP/1.1\r\nHost: a\r\n\r\n", id="dot segments"),
        pytest.param(b"GET /a HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", id="malformed"),
    ],
)
async def test_the_client_gets_the_refusal_that_was_told(
    proxy: StartProxy, upstream: Upstream, request_bytes: bytes
) -> None:
    running = await proxy({"/a": {"target": upstream.url}})
    dry_run = DryRun(running.server.config, request_bytes, "127.0.0.1", tls=False)
    client = await running.client()
    await client.send(request_bytes)
    head = await client.read_head()
    assert head.decode().startswith(f"HTTP/1.1 {dry_run.answer['status']} ")
    body = await client.read_until(b"\n}\n")
    assert str(dry_run.answer["message"]).encode() in body.replace(b'\\"', b'"')


LOOK = b"Host: localhost\r\nConnection: keep-alive\r\n"
OWN_REQUESTS = [
    pytest.param(b"GET /_unbuffered/ HTTP/1.1\r\n" + LOOK, id="page"),
    pytest.param(b"GET /_unbuffered/page/x HTTP/1.1\r\nHost: a\r\n", id="bent name"),
    pytest.param(b"GET /_unbuffered/ HTTP/1.1\r\nHost: localhost\r\n", id="a hop?"),
    pytest.param(b"GET /_unbuffered/feed HTTP/1.1\r\n" + LOOK, id="feed"),
    pytest.param(
        b"GET /_unbuffered/feed HTTP/1.1\r\nHost: localhost\r\n", id="feed, a hop?"
    ),
    pytest.param(b"GET /_unbuffered/feed HTTP/1.0\r\n" + LOOK, id="feed, nginx"),
    pytest.param(b"GET /_unbuffered/feed HTTP/1.1\r\nVia: x\r\n" + LOOK, id="a hop"),
    pytest.param(
        b"GET /_unbuffered/feed HTTP/1.1\r\nOrigin: http://evil\r\n" + LOOK,
        id="feed, another origin",
    ),
    pytest.param(b"POST /_unbuffered/feed HTTP/1.1\r\n" + LOOK, id="POST"),
    pytest.param(b"GET /_unbuffered/what HTTP/1.1\r\n" + LOOK, id="no such thing"),
    pytest.param(
        b"GET /_unbuffered/health HTTP/1.1\r\nHost: localhost\r\n", id="health"
    ),
    pytest.param(
        b"GET /_unbuffered/metrics HTTP/1.1\r\nHost: localhost\r\n", id="metrics"
    ),
    pytest.param(b"GET /_unbuffered/ready HTTP/1.1\r\nHost: 10.0.0.1\r\n", id="ready"),
    pytest.param(b"PUT /_unbuffered/ready HTTP/1.1\r\n" + LOOK, id="ready, PUT"),
    pytest.param(b"GET /_unbuffered/drain HTTP/1.1\r\n" + LOOK, id="drain, GET"),
    pytest.param(
        b"POST /_unbuffered/drain HTTP/1.1\r\nHost: localhost\r\n", id="drain, a hop?"
    ),
    pytest.param(
        b"POST /_unbuffered/drain HTTP/1.1\r\nHost: 10.0.0.1\r\n", id="drain, elsewhere"
    ),
]


OF_TOKENS = [
    pytest.param(b"GET /_unbuffered/feed HTTP/1.1\r\n" + fields, id=id)
    for id, fields in (
        ("right", b"Host: a\r\nVia: x\r\nAuthorization: Bearer 0123456789abcdef\r\n"),
        ("wrong", b"Host: a\r\nAuthorization: Bearer 0123456789abcdeX\r\n"),
    )
]


@pytest.mark.parametrize("request_bytes", [*OWN_REQUESTS, *OF_TOKENS])
@pytest.mark.parametrize("enabled", ["loopback", True, False])
@pytest.mark.parametrize("token", ["", "0123456789abcdef"], ids=["open", "token"])
async def test_who_answers_below_our_own_path_is_told(
    proxy: StartProxy,
    upstream: Upstream,
    request_bytes: bytes,
    enabled: object,
    token: str,
) -> None:
    """The proxy itself with that status, or the upstream."""
    table = {"enabled": enabled, "token": token}
    tables = {"inspector": table, "metrics": table}
    running = await proxy({"/": {"target": upstream.url}}, **tables)
    request_bytes += b"\r\n"
    dry_run = DryRun(running.server.config, request_bytes, "127.0.0.1", tls=False)
    client = await running.client()
    await client.send(request_bytes)
    told = account(dry_run)
    assert told.own is not None
    if not told.own.answered:
        server = await upstream.request()
        assert dry_run.forward is not None
        (sent,) = [without_id(plan.text) for plan in dry_run.forward.plans.values()]
        assert sent == without_id(server.head)
        return
    status = int((await client.read_head()).split(b" ")[1])
    assert upstream.unexpected == 0
    assert dry_run.forward is None
    assert dry_run.error is None
    assert told.sent == []
    if told.refused is not None:
        assert status == told.refused["status"]
    else:
        assert status == (404 if b"page/x" in request_bytes else 200)


@pytest.mark.parametrize("balance", ["header:X-User", "cookie:u", "client"])
async def test_the_target_that_was_told_gets_the_request(
    proxy: StartProxy, balance: str
) -> None:
    async with answering(3) as targets:
        running = await proxy(
            {"/": {"target": urls(targets), "balance": balance}},
            server={"trusted_proxies": ["127.0.0.1"]},
        )
        names = {each.url: each.name for each in targets}
        for number in range(8):
            fields = {
                "X-User": f"u{number}",
                "Cookie": f"u={number}",
                "X-Forwarded-For": f"192.0.2.{number}",
            }
            sent = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            request = f"GET / HTTP/1.1\r\nHost: a\r\n{sent}\r\n".encode()
            config = running.server.config
            told = account(DryRun(config, request, "127.0.0.1", tls=False)).choice
            assert told is not None
            assert told.target is not None
            _, found, _ = await ask(await running.client(), b"GET /", fields)
            assert found == names[told.target]
