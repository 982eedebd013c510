"""`[server] error_detail`: who is told what went wrong in all its details."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from proxy import errors
from proxy.errors import ClientError, InternalError, ProxyError
from proxy.policy.error_detail import LOG, LOG_AND_INSPECTOR
from proxy.policy.error_response import Failure, failure_body
from tests.conftest import StartProxy
from tests.support.looking import answer
from tests.support.messages import EVENT_STREAM
from tests.support.ports import ClosedPort
from tests.support.raw import Upstream, chunk
from tests.support.running import RunningProxy
from tests.unit.http1.heads import request

PREFIX = "/secret-prefix"
LOCAL = "Host: localhost\r\nConnection: keep-alive\r\n"
TRUSTED = {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}
BEHIND = LOCAL + "X-Forwarded-For: "
PAGE = "Accept: text/html\r\n"
GENERAL = "the server behind this proxy cannot be reached, or answered wrongly"
SECRET = "secret at http://10.0.0.1:8002"
OWN = ("health", "ready", "metrics", "", "feed")


@pytest.fixture
def dead() -> Iterator[ClosedPort]:
    """A target that refuses."""
    with ClosedPort() as port:
        yield port


async def asked(
    running: RunningProxy, fields: str, target: str = f"{PREFIX}/x"
) -> tuple[int, str]:
    """Status and body of an answer."""
    client = await running.client()
    await client.send(f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode())
    status, body = await answer(client)
    return status, body.decode()


def is_detailed(body: str, *secrets: str) -> bool:
    """Does a body tell secrets? All of them, or none."""
    found = [each in body for each in secrets]
    assert all(found) or not any(found), body
    return all(found)


@pytest.mark.any_loop
@pytest.mark.parametrize("form", ["", PAGE], ids=["JSON", "page"])
@pytest.mark.parametrize(
    ("server", "fields", "detailed"),
    [
        pytest.param({}, LOCAL, True, id="this machine"),
        pytest.param({}, "Host: localhost\r\n", True, id="curl"),
        pytest.param({}, LOCAL.replace("localhost", "a.b"), False, id="by a domain"),
        pytest.param({}, LOCAL.replace("localhost", "127.0.0.1"), True, id="by IP"),
        pytest.param({}, f"{BEHIND}203.0.113.9\r\n", False, id="untrusted proxy"),
        pytest.param({}, f"{BEHIND}127.0.0.1\r\n", False, id="untrusted, forged"),
        pytest.param({}, f"{LOCAL}Via: 1.1 a\r\n", False, id="untrusted, Via"),
        pytest.param({}, f"{LOCAL}X-Real-IP: 127.0.0.1\r\n", False, id="X-Real-IP"),
        pytest.param(TRUSTED, LOCAL, True, id="trusted, itself"),
        pytest.param(TRUSTED, f"{BEHIND}203.0.113.9\r\n", False, id="trusted"),
        pytest.param(TRUSTED, f"{BEHIND}127.0.0.1\r\n", True, id="trusted, local"),
        pytest.param(TRUSTED, f"{BEHIND}::1\r\n", True, id="trusted, local by IPv6"),
        pytest.param(
            TRUSTED, f"{BEHIND}::ffff:127.0.0.1\r\n", True, id="as Node.js writes it"
        ),
        pytest.param(
            TRUSTED, f"{BEHIND}127.0.0.1, 203.0.113.9\r\n", False, id="behind it"
        ),
        pytest.param(
            TRUSTED, f"{BEHIND}203.0.113.9, 127.0.0.1\r\n", False, id="two hops"
        ),
        pytest.param(TRUSTED, f"{BEHIND}unknown\r\n", False, id="trusted, unknown"),
        pytest.param(
            TRUSTED, f"{BEHIND}unknown, 127.0.0.1\r\n", False, id="unknown behind it"
        ),
        pytest.param(TRUSTED, f"{BEHIND}\r\n", False, id="trusted, empty"),
        pytest.param(
            TRUSTED, f"{LOCAL}Forwarded: for=203.0.113.9\r\n", False, id="Forwarded"
        ),
        pytest.param(
            TRUSTED, f"{LOCAL}Forwarded: for=_hidden\r\n", False, id="an identifier"
        ),
        pytest.param(
            TRUSTED, f"{LOCAL}Forwarded: for=127.0.0.1\r\n", True, id="Forwarded, local"
        ),
        pytest.param({"error_detail": "all"}, "Host: a\r\n", True, id="all"),
        pytest.param(
            {"error_detail": "all"}, f"{BEHIND}203.0.113.9\r\n", True, id="all, behind"
        ),
        pytest.param({"error_detail": "none"}, LOCAL, False, id="none"),
    ],
)
async def test_who_is_told_the_details(
    proxy: StartProxy,
    dead: ClosedPort,
    server: dict[str, object],
    fields: str,
    detailed: bool,
    form: str,
) -> None:
    running = await proxy(
        {PREFIX: {"target": dead.url, "trust_forwarded": True}},
        server={"error_detail": "loopback", **server},
    )
    status, body = await asked(running, fields + form)
    assert status == 502
    assert is_detailed(body, PREFIX, dead.address, "Start the upstream") is detailed
    assert detailed or GENERAL[1:] in body  # a page has it as a sentence
    status, body = await asked(running, fields + form, "/none")
    assert status == 404
    assert is_detailed(body, PREFIX) is detailed


@pytest.mark.both_protocols
async def test_a_stranger_gets_status_type_and_a_sentence(
    proxy: StartProxy, dead: ClosedPort
) -> None:
    running = await proxy(
        {PREFIX: {"target": dead.url}}, server={"error_detail": "loopback"}
    )
    status, body = await asked(running, "Host: proxy.example.com\r\n")
    told = json.loads(body)["error"]
    assert told.pop("request_id")
    assert told == {
        "status": 502,
        "type": "connection_refused",
        "message": GENERAL,
        "advice": LOG_AND_INSPECTOR,
    }
    assert status == 502


@pytest.mark.parametrize("form", ["", PAGE], ids=["JSON", "page"])
@pytest.mark.parametrize(
    ("tables", "said"),
    [
        pytest.param({}, LOG_AND_INSPECTOR, id="both"),
        pytest.param({"inspector": {"enabled": False}}, LOG, id="no inspector"),
        pytest.param(  # its list has the reason all the same
            {"inspector": {"record": "off"}}, LOG_AND_INSPECTOR, id="nothing recorded"
        ),
        pytest.param({"server": {"request_id": False}}, "", id="no id"),
        pytest.param({"server": {"error_detail": "none"}}, "", id="for no one"),
    ],
)
async def test_who_is_not_told_the_reason_is_told_where_it_is(
    proxy: StartProxy,
    dead: ClosedPort,
    tables: dict[str, dict[str, object]],
    said: str,
    form: str,
) -> None:
    """As behind Vue CLI, whose X-Forwarded-For makes a stranger of the developer."""
    server = {"error_detail": "loopback", **tables.get("server", {})}
    running = await proxy(
        {PREFIX: {"target": dead.url}}, **{**tables, "server": server}
    )
    _, body = await asked(running, f"{BEHIND}127.0.0.1\r\n{form}")
    assert GENERAL[1:] in body
    assert [each for each in (LOG, LOG_AND_INSPECTOR) if each in body] == [said] * (
        said != ""
    )
    assert "Unbuffered</title>" in body or not form
    _, body = await asked(running, LOCAL + form)
    assert LOG not in body
    assert LOG_AND_INSPECTOR not in body


async def test_nginx_as_it_asks_by_default_is_no_program_of_this_machine(
    proxy: StartProxy, dead: ClosedPort
) -> None:
    running = await proxy(
        {PREFIX: {"target": dead.url}}, server={"error_detail": "loopback"}
    )
    client = await running.client()
    await client.send(
        f"GET {PREFIX}/x HTTP/1.0\r\nHost: 127.0.0.1:{running.port}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    _, body = await answer(client)
    assert GENERAL in body.decode()


# -- inside streams


@pytest.mark.parametrize("detailed", [True, False])
@pytest.mark.parametrize("kept", [True, False])
async def test_an_error_event_tells_as_much(
    proxy: StartProxy, upstream: Upstream, detailed: bool, kept: bool
) -> None:
    """A kept one tells strangers' part to all: others may read it later."""
    running = await proxy(
        {PREFIX: {"target": upstream.url, "on_upstream_failure": "event"}}
        if not kept
        else {
            PREFIX: {
                "target": upstream.url,
                "on_upstream_failure": "event",
                "resume": True,
            }
        },
        server={"error_detail": "loopback"},
    )
    fields = LOCAL if detailed else "Host: a\r\n"
    head = f"GET {PREFIX}/x HTTP/1.1\r\n{fields}Accept: text/event-stream\r\n\r\n"
    client, server = await running.begin(upstream, head.encode())
    await server.send(EVENT_STREAM + chunk(b"data: 1\n\n"))
    await client.read_head()
    await client.read_until(b"data: 1\n")
    server.writer.close()
    body = (await client.read_until(b"}\n\n")).decode()
    assert "http_response_incomplete" in body
    assert is_detailed(body, PREFIX, "the upstream closed") is (detailed and not kept)
    assert (GENERAL in body) is not (detailed and not kept)


@pytest.mark.parametrize("detailed", [True, False])
async def test_an_error_event_before_the_head_tells_as_much(
    proxy: StartProxy, dead: ClosedPort, upstream: Upstream, detailed: bool
) -> None:
    running = await proxy(
        {
            PREFIX: {
                "target": upstream.url,
                "heartbeat_before_head": True,
                "heartbeat_seconds": 0.05,
            }
        },
        server={"error_detail": "loopback"},
    )
    fields = LOCAL if detailed else "Host: a\r\n"
    head = f"GET {PREFIX}/x HTTP/1.1\r\n{fields}Accept: text/event-stream\r\n\r\n"
    client, server = await running.begin(upstream, head.encode())
    await client.read_head()
    server.writer.close()
    body = (await client.read_until(b"}\n\n")).decode()
    assert is_detailed(body, PREFIX, "the upstream closed") is detailed


# -- the kind


def leaves(kind: type[ProxyError]) -> Iterator[type[ProxyError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from leaves(each)


@pytest.mark.parametrize(
    "kind",
    [
        each
        for each in leaves(ProxyError)
        if each.__module__ == errors.__name__ and each.status != 499  # never sent
    ],
)
@pytest.mark.parametrize("page", [True, False])
def test_no_error_tells_a_stranger_more(kind: type[ProxyError], page: bool) -> None:
    """A message is told as it is only where it is of the request alone."""
    error = kind.__new__(kind)
    Exception.__init__(error, SECRET)
    failure = Failure(
        error, 7.25, "/route-x", "http://t-x:1", ("/prefix-x",), detailed=False
    )
    head = request(b"Host: a", *([b"Accept: text/html"] * page))
    body = failure_body(failure, head)[1].decode()
    for part in ("/route-x", "t-x", "/prefix-x", "7.25"):
        assert part not in body
    assert (SECRET in body) is (error.general == "")
    if error.general == "":
        assert issubclass(kind, ClientError | InternalError)


# -- what is not open to this client


@pytest.mark.parametrize("path", ["metrics", "", "feed"])
async def test_what_is_not_open_names_the_keys_to_another_machine(
    proxy: StartProxy, upstream: Upstream, path: str
) -> None:
    running = await proxy(
        {PREFIX: {"target": upstream.url}}, server={"error_detail": "loopback"}
    )
    status, body = await asked(running, "Host: 10.0.0.1\r\n", f"/_unbuffered/{path}")
    assert status == 404
    assert "[server] admin" in json.loads(body)["error"]["advice"]


async def test_health_that_is_switched_off_names_the_key(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {PREFIX: {"target": upstream.url}},
        server={"error_detail": "loopback"},
        metrics={"enabled": False},
    )
    fields = "Host: 10.0.0.1\r\n"
    status, body = await asked(running, fields, "/_unbuffered/health")
    assert status == 404
    assert "[server] admin" in json.loads(body)["error"]["advice"]


@pytest.mark.parametrize("path", OWN)
async def test_with_an_admin_listener_strangers_hear_nothing_of_it(
    proxy: StartProxy, upstream: Upstream, path: str
) -> None:
    running = await proxy(
        {PREFIX: {"target": upstream.url}},
        server={"error_detail": "loopback", "admin": "127.0.0.1:0"},
    )
    target = f"/_unbuffered/{path}"
    _, body = await asked(running, "Host: 10.0.0.1\r\n", target)
    assert json.loads(body)["error"]["advice"] == LOG_AND_INSPECTOR  # as anywhere
    _, body = await asked(running, LOCAL, target)
    assert "admin listener" in json.loads(body)["error"]["advice"]
