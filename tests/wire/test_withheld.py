"""No upstream and no log gets what opens an inspector, whatever path it came by."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from proxy.inspector.withheld import Withheld
from proxy.observe.access_log import render_json, render_text
from tests.conftest import StartProxy
from tests.support.answers import NAVIGATES, answered, form
from tests.support.messages import OK
from tests.support.raw import Upstream
from tests.support.running import RunningProxy

pytestmark = [pytest.mark.both_protocols, pytest.mark.any_loop]

TOKEN = "a-token/of+the~inspector=="
OF_METRICS = "0123456789abcdef"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"
TABLES = {"inspector": {"token": TOKEN}, "metrics": {"enabled": False}}
OF_ANOTHER = "1f.0123"  # the value of a cookie that is not of this token


async def session(running: RunningProxy) -> str:
    """The cookie of a browser that has shown the token: its value."""
    found = await answered(await running.client(), form(quote(TOKEN, safe="")))
    return found.cookie.partition("=")[2]


async def forwarded(
    running: RunningProxy, upstream: Upstream, target: str, fields: str
) -> str:
    """What the upstream gets of a request; what is logged of it is safe, too."""
    client = await running.client()
    host = "Host: proxy.example:8080\r\n"
    await client.send(f"GET {target} HTTP/1.1\r\n{host}{fields}\r\n".encode())
    server = await upstream.request()
    await server.send(OK)
    await client.read_head()
    timeline = await running.ended()
    for line in (render_text(timeline, 0.0), render_json(timeline, 0.0)):
        assert TOKEN not in line
        assert quote(TOKEN, safe="") not in line
    client.close()
    server.close()
    return server.head.decode("latin-1")


def sent(head: str, name: str) -> list[str]:
    """The values of a field."""
    lines = [line.partition(": ") for line in head.splitlines()]
    return [value for key, _, value in lines if key.lower() == name]


AT_HOME = [
    "/_unbuffered/health",
    "/_unbuffered/metrics?a=b",
    "/_unbuffered",
    "//_unbuffered/feed",
    "/%5funbuffered/",
    "/_unbuffere%64/",
    "/./x/../_unbuffered/",
    "/_unbuffered;x=1/",
]


@pytest.mark.parametrize("target", [*AT_HOME, "/x", "/", "/x?y=_unbuffered"])
async def test_the_cookie_of_the_inspector_goes_to_no_upstream(
    proxy: StartProxy, upstream: Upstream, target: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, **TABLES)
    value = await session(running)
    names = ("unbuffered-session", "unbuffered-session-8080", "unbuffered-session-1")
    ours = "; ".join(f"{name}={value}" for name in names)
    for fields, left in (
        (f"a=b; {ours}; c=d", ["a=b; c=d"]),
        (f"{ours};a=b", ["a=b"]),
        (ours, []),
        (f"unbuffered-session-1={OF_ANOTHER}", []),
        ("a=b; unbuffered=1", ["a=b; unbuffered=1"]),
    ):
        head = await forwarded(running, upstream, target, f"Cookie: {fields}\r\n")
        assert sent(head, "cookie") == left


@pytest.mark.parametrize("target", AT_HOME)
async def test_the_token_goes_to_no_upstream(
    proxy: StartProxy, upstream: Upstream, target: str
) -> None:
    """Misspelt, or where `metrics` is switched off: then a route takes it."""
    running = await proxy({"/": {"target": upstream.url}}, **TABLES)
    mark = "&" if "?" in target else "?"
    for name in ("token", "%74oken"):
        link = f"{target}{mark}{name}={quote(TOKEN, safe='')}&c=d"
        head = await forwarded(running, upstream, link, BEARER + NAVIGATES)
        assert TOKEN not in head
        assert quote(TOKEN, safe="") not in head
        assert head.splitlines()[0].endswith(f"{mark}c=d HTTP/1.1")
        assert sent(head, "authorization") == []
    head = await forwarded(running, upstream, target, "Authorization: Basic YTpi\r\n")
    assert sent(head, "authorization") == ["Basic YTpi"]


@pytest.mark.http1
async def test_an_absolute_target_is_an_address_of_ours(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §3.2.2: it replaces Host."""
    running = await proxy({"/": {"target": upstream.url}}, inspector={"token": TOKEN})
    link = f"?token={quote(TOKEN, safe='')}"
    for path, status in ((link, 303), ("ready", 200), ("feed", 401)):
        request = f"GET http://x:8080/_unbuffered/{path} HTTP/1.1\r\nHost: y\r\n"
        found = await answered(
            await running.client(), f"{request}{NAVIGATES}\r\n".encode()
        )
        assert found.status == status
        if status == 303:
            assert found.cookie.startswith("unbuffered-session-8080=")
    assert running.exchanges.empty()
    # One that is malformed is refused as it always is.
    bad = b"GET http://u@x/_unbuffered/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    assert (await answered(await running.client(), bad)).status == 400


async def test_elsewhere_authorization_is_that_of_the_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """To look whether it is the token would let everybody try tokens, uncounted."""
    running = await proxy({"/": {"target": upstream.url}}, **TABLES)
    head = await forwarded(running, upstream, "/x?token=x", BEARER)
    assert sent(head, "authorization") == [f"Bearer {TOKEN}"]
    assert head.startswith("GET /x?token=x HTTP/1.1")
    # A log, which nobody else can read, has no token all the same.
    link = f"/?a=b&token={quote(TOKEN, safe='')}"
    await forwarded(running, upstream, link, "")


@pytest.mark.parametrize("token", [TOKEN, ""])
async def test_another_unbuffered_behind_a_prefix_can_be_looked_at(
    proxy: StartProxy, upstream: Upstream, token: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector={"token": token})
    link = f"/b/_unbuffered/?token={quote(TOKEN, safe='')}"
    theirs = f"unbuffered-session-8080={OF_ANOTHER}"
    ours = f"; unbuffered-session-8080={await session(running)}" if token else ""
    head = await forwarded(running, upstream, link, f"Cookie: {theirs}{ours}\r\n")
    assert sent(head, "cookie") == [theirs]
    assert head.startswith(f"GET {link} HTTP/1.1")
    head = await forwarded(running, upstream, "/b/_unbuffered/feed", BEARER)
    assert sent(head, "authorization") == [f"Bearer {TOKEN}"]


async def test_without_a_token_only_cookies_of_other_ports_are_held_back(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Those of an Unbuffered behind this one are named for the host that it saw."""
    running = await proxy({"/": {"target": upstream.url}}, inspector={"enabled": False})
    name = "unbuffered-session"
    own = f"{name}-8080=1; {name}-{upstream.port}=2"
    fields = f"Cookie: {name}=3; {own}; {name}-8081=4; a=b\r\n"
    head = await forwarded(running, upstream, "/_unbuffered/feed", fields)
    assert sent(head, "cookie") == [f"{own}; a=b"]
    head = await forwarded(running, upstream, "/_unbuffered/", BEARER)
    assert sent(head, "authorization") == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "/b/_unbuffered/",
        "/b/_unbuffered",
        "/_unbuffered",
        "//_unbuffered/",
        "/%5funbuffered/",
        "/b/_unbuffered/feed",
    ],
)
async def test_no_log_has_a_token_in_the_address_of_an_inspector(
    proxy: StartProxy, upstream: Upstream, path: str, resumes: bool
) -> None:
    """Also without a token of its own: it is that of an Unbuffered behind it."""
    await goes_on_without_its_token(proxy, upstream, path, resumes)


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.http1  # over HTTP/2 a target has no host
async def test_nor_in_one_with_a_host(
    proxy: StartProxy, upstream: Upstream, resumes: bool
) -> None:
    path = "http://proxy.example:8080/_unbuffered/"
    await goes_on_without_its_token(proxy, upstream, path, resumes)


async def goes_on_without_its_token(
    proxy: StartProxy, upstream: Upstream, path: str, resumes: bool
) -> None:
    """The upstream gets it; `forwarded` says that no log has it."""
    route: dict[str, object] = {"target": upstream.url}
    if resumes:
        route["resume"] = True
    running = await proxy({"/": route})
    link = f"{path}?a=b&token={quote(TOKEN, safe='')}"
    head = await forwarded(running, upstream, link, NAVIGATES)
    assert f"token={quote(TOKEN, safe='')} " in head


async def test_a_log_has_all_other_addresses_unchanged(
    proxy: StartProxy, upstream: Upstream
) -> None:
    for tables in (TABLES, {}):
        running = await proxy({"/": {"target": upstream.url}}, **tables)
        for target in ("/unbuffered?token=x", "/x?token=x", "/_unbufferedx?token=x"):
            client, server = await running.begin(
                upstream, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            )
            await server.send(OK)
            await client.read_head()
            assert (await running.ended()).target == target.encode()
            server.close()


async def test_without_a_token_no_request_is_looked_at(
    proxy: StartProxy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is paid for what is not switched on: one look at its target."""
    running = await proxy({"/": {"target": upstream.url}})
    inspector = running.server.inspector
    assert inspector.watched == b"unbuffered"
    monkeypatch.delattr(Withheld, "exchange")
    await forwarded(running, upstream, "/x?token=x", "Cookie: unbuffered-session=x\r\n")
