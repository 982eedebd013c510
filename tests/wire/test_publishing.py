"""What an upstream says of itself, as a client behind the proxy has to hear it."""

from __future__ import annotations

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.raw import Peer, Upstream

pytestmark = pytest.mark.any_loop

STRIPPED = {"change_origin": True, "path_rewrite": {"^/api": ""}}
GET = b"GET /api/x HTTP/1.1\r\nHost: public:1\r\n%b\r\n"


async def answered(client: Peer, server: Peer, *lines: bytes) -> list[bytes]:
    """Answer with these fields; the field lines that the client gets."""
    fields = b"".join(line + b"\r\n" for line in lines)
    await server.send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n%b\r\n" % fields)
    await client.read_head()
    return client.head_lines


async def test_redirects_come_back_to_the_public_address(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/api": {"target": upstream.url, **STRIPPED}})
    client, server = await running.begin(upstream, GET % b"")
    assert server.head_lines[0] == b"GET /x HTTP/1.1"
    own = upstream.url.encode()
    lines = await answered(
        client,
        server,
        b"Location: " + own + b"/login?next=%2Fx",
        b"content-location: /x.html",
        b"Refresh: 1;url=" + own,
    )
    assert b"Location: http://public:1/api/login?next=%2Fx" in lines
    assert b"content-location: /api/x.html" in lines
    assert b"Refresh: 1;url=" + own in lines
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1


async def test_an_absolute_target_names_the_public_host(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §3.2.2: its authority replaces Host."""
    running = await proxy({"/api": {"target": upstream.url, **STRIPPED}})
    request = b"GET http://asked:9/api HTTP/1.1\r\nHost: other\r\n\r\n"
    client, server = await running.begin(upstream, request)
    lines = await answered(client, server, b"Location: " + upstream.url.encode())
    assert b"Location: http://asked:9/api/" in lines
    assert b"X-Forwarded-Host: asked:9" in server.head_lines


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"path_rewrite": {"^/api": ""}}, id="without change_origin"),
        pytest.param({**STRIPPED, "redirect_rewrite": False}, id="switched off"),
    ],
)
async def test_redirects_may_stay_as_they_are(
    proxy: StartProxy, upstream: Upstream, options: dict[str, object]
) -> None:
    running = await proxy({"/api": {"target": upstream.url, **options}})
    client, server = await running.begin(upstream, GET % b"")
    location = b"Location: %b/login" % upstream.url.encode()
    assert location in await answered(client, server, location)


async def test_the_routes_own_field_has_the_last_word(
    proxy: StartProxy, upstream: Upstream
) -> None:
    own = {"headers": {"response": {"set": {"Location": "/elsewhere"}}}}
    running = await proxy({"/api": {"target": upstream.url, **STRIPPED, **own}})
    client, server = await running.begin(upstream, GET % b"")
    lines = await answered(client, server, b"Location: /login")
    assert [line for line in lines if line.startswith(b"Location")] == [
        b"Location: /elsewhere"
    ]


async def test_cookies_fit_the_public_address(
    proxy: StartProxy, upstream: Upstream
) -> None:
    options = {
        "cookie_domain_rewrite": "",
        "cookie_path_rewrite": {"/": "/api"},
        "cookie_secure": "strip",
    }
    running = await proxy({"/api": {"target": upstream.url, **options}})
    client, server = await running.begin(upstream, GET % b"")
    lines = await answered(
        client,
        server,
        b"Set-Cookie: a=1; Domain=up; Path=/; Secure; HttpOnly",
        b"set-cookie: b=2;SameSite=None;Secure;Path=/b",
        b"Set-Cookie: c=3",
    )
    assert [line for line in lines if line.lower().startswith(b"set-cookie")] == [
        b"Set-Cookie: a=1; Path=/api; HttpOnly",
        b"set-cookie: b=2;Path=/b",
        b"Set-Cookie: c=3",
    ]


async def test_cookies_stay_as_they_are_unless_said(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/api": {"target": upstream.url, **STRIPPED}})
    client, server = await running.begin(upstream, GET % b"")
    cookie = b"Set-Cookie: a=1 ;Domain=up;  Path=/; SECURE;;"
    assert cookie in await answered(client, server, cookie)


async def test_the_cookie_of_an_upgrade_is_rewritten_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    options = {"ws": True, "cookie_path_rewrite": "/api"}
    running = await proxy({"/api": {"target": upstream.url, **options}})
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    client, server = await running.begin(upstream, GET % upgrade)
    await server.send(
        b"HTTP/1.1 101 Switching Protocols\r\n%bSet-Cookie: a=1; Path=/\r\n\r\n"
        % upgrade
    )
    await client.read_head()
    assert b"Set-Cookie: a=1; Path=/api" in client.head_lines
    await client.send(b"ping")
    assert await server.read(4) == b"ping"


@pytest.mark.parametrize("ws", [False, True])
async def test_origin_becomes_the_targets_where_asked_for(
    proxy: StartProxy, upstream: Upstream, ws: bool
) -> None:
    options = {"rewrite_origin": True, "ws": ws}
    running = await proxy({"/api": {"target": upstream.url, **options}})
    fields = b"Origin: http://public:1\r\nReferer: http://public:1/page\r\n"
    if ws:
        fields += b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    _, server = await running.begin(upstream, GET % fields)
    assert b"Origin: " + upstream.url.encode() in server.head_lines
    assert b"Referer: http://public:1/page" in server.head_lines


async def test_origin_passes_as_it_came_by_default(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Otherwise the upstream could not tell a forged request."""
    running = await proxy({"/api": {"target": upstream.url, **STRIPPED}})
    _, server = await running.begin(upstream, GET % b"Origin: http://evil\r\n")
    assert b"Origin: http://evil" in server.head_lines


async def test_each_target_of_a_route_has_its_own_address(
    proxy: StartProxy, upstream: Upstream
) -> None:
    async with Upstream() as second:
        targets = [upstream.url + "/a", second.url + "/b"]
        running = await proxy({"/api": {**STRIPPED, "target": targets}})
        clients = [await running.client() for _ in targets]
        for client in clients:  # the second finds one target busy
            await client.send(GET % b"")
        for one, base in ((upstream, b"/a"), (second, b"/b")):
            server = await one.request()
            assert server.head_lines[0] == b"GET %b/x HTTP/1.1" % base
            await server.send(
                b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n"
                b"Location: %b/new\r\n\r\n" % base
            )
        for client in clients:
            await client.read_head()
            assert b"Location: /api/new" in client.head_lines


async def test_a_move_names_the_upstream_and_dot_segments_are_refused(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 4918 §10.3: the mirror image of a redirect."""
    running = await proxy({"/api": {"target": upstream.url, **STRIPPED}})
    move = b"MOVE /api/x HTTP/1.1\r\nHost: public:1\r\nDestination: %b\r\n\r\n"
    client, server = await running.begin(upstream, move % b"http://public:1/api/y%20z")
    assert server.head_lines[0] == b"MOVE /x HTTP/1.1"
    assert b"Destination: " + upstream.url.encode() + b"/y%20z" in server.head_lines
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await client.read_head()
    await client.send(move % b"http://public:1/api/../y")
    assert (await client.read_head()).startswith(b"HTTP/1.1 400 ")
    assert upstream.unexpected == 0
