"""A token opens the inspector and the metrics, from anywhere, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest

from proxy.config.load import load
from proxy.inspector.wrong_tokens import AT_ONCE, SECONDS
from proxy.observe.access_log import render_json, render_text
from proxy.transport.client_host import HostedStream
from tests.conftest import ManualClock, StartProxy
from tests.support import running as support
from tests.support.answers import (
    NAVIGATES,
    Answer,
    answered,
    ask,
    form,
    get,
)
from tests.support.looking import Feed, asked, looking, request
from tests.support.messages import EVENT_STREAM, GET_X, OK
from tests.support.raw import Peer, Upstream, chunk
from tests.support.running import RunningProxy
from tests.support.siblings import siblings

pytestmark = [pytest.mark.both_protocols, pytest.mark.any_loop]

TOKEN = "a-token/of+the~inspector=="
OF_METRICS = "0123456789abcdef"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"
METRICS_BEARER = f"Authorization: Bearer {OF_METRICS}\r\n"
TYPED = NAVIGATES + "Sec-Fetch-Site: none\r\n"
WRONG = "Authorization: Bearer a-token-of-somebody-else\r\n"


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> RunningProxy:
    return await proxy(
        {"/": {"target": upstream.url}}, inspector={"token": TOKEN}, clock=clock
    )


async def signed_in(running: RunningProxy) -> str:
    """The field of a browser that has shown the token."""
    found = await answered(await running.client(), form(quote(TOKEN, safe="")))
    assert found.status == 303
    return f"Cookie: a=b; {found.cookie}\r\n"


# -- programs


@pytest.mark.parametrize("path", ["feed", "", "exchanges/0-1", "kept/0-01234567", "x"])
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param("", id="nothing"),
        pytest.param(WRONG, id="another token"),
        pytest.param("Authorization: Basic YTpi\r\n", id="a password"),
        pytest.param(f"Authorization: {TOKEN}\r\n", id="no scheme"),
        pytest.param(f"Cookie: unbuffered-session={TOKEN}\r\n", id="token as cookie"),
        pytest.param("Cookie: unbuffered-session=1.1\r\n", id="a forged cookie"),
        pytest.param("Connection: keep-alive\r\n", id="as this machine"),
    ],
)
async def test_without_the_token_nothing_is_shown(
    running: RunningProxy, path: str, fields: str
) -> None:
    found = await get(running, path, fields)
    assert found.status == 401
    assert found.get("WWW-Authenticate") == 'Bearer realm="unbuffered"'
    assert found.get("Set-Cookie") is None
    expected = "wrong token" if fields == WRONG else "needs the token of the inspector"
    assert expected in found.message


async def test_this_machine_is_no_exception(running: RunningProxy) -> None:
    """Behind a proxy on this machine everybody comes from it."""
    for path in ("", "feed", "exchanges/0-1"):
        status, body = await asked(running, path)
        assert status == 401, body
    status, _ = await asked(running, "feed", BEARER.replace(TOKEN, TOKEN + "x"))
    assert status == 401


async def test_with_the_token_streams_are_shown_with_their_content_anywhere(
    running: RunningProxy, upstream: Upstream
) -> None:
    looker = await running.client()
    await looker.send(ask("feed", BEARER))
    assert (await looker.read_head()).startswith(b"HTTP/1.1 200 ")
    feed = Feed(looker)
    assert (await feed.next("state"))["bodies"] is True
    client, server = await running.begin(upstream, GET_X)
    await server.send(EVENT_STREAM)
    await client.read_head()
    running.tick()
    while not (rows := await feed.rows()):
        pass
    ident = rows["/x"]["id"]
    piece_feed = await running.client()
    await piece_feed.send(ask(f"exchanges/{ident}/feed", BEARER))
    await piece_feed.read_head()
    await server.send(chunk(b"data: 1\n\n"))
    await client.read_chunk()
    running.tick()
    (piece,) = await Feed(piece_feed).next("pieces")
    assert piece["base64"] == "ZGF0YTogMQoK"
    found = await get(running, f"exchanges/{ident}", BEARER)
    assert json.loads(found.body)["target"] == "/x"


async def test_bodies_can_be_switched_off_all_the_same(
    proxy: StartProxy, upstream: Upstream
) -> None:
    tables = {"inspector": {"token": TOKEN, "bodies": False}}
    running = await proxy({"/": {"target": upstream.url}}, **tables)
    looker = await running.client()
    await looker.send(ask("feed", BEARER))
    await looker.read_head()
    assert (await Feed(looker).next("state"))["bodies"] is False


@pytest.mark.parametrize("enabled", ["loopback", True, False])
async def test_the_token_counts_whoever_may_look_without_one(
    proxy: StartProxy, upstream: Upstream, enabled: object
) -> None:
    """Only `enabled = false` is stronger: then all of it is for the routes."""
    tables = {"inspector": {"token": TOKEN, "enabled": enabled}}
    running = await proxy({"/": {"target": upstream.url}}, **tables)
    if enabled is not False:
        assert (await get(running, "feed")).status == 401
        assert (await get(running, "", BEARER)).status == 200
        return
    client = await running.client()
    await client.send(ask("feed", BEARER))
    server = await upstream.request()
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_paths_that_there_are_not_and_other_methods(
    running: RunningProxy,
) -> None:
    found = await get(running, "what", BEARER)
    assert (found.status, found.message[:9]) == (404, "not found")
    peer = await running.client()
    found = await answered(peer, ask("feed", f"{BEARER}Content-Length: 0\r\n", "PUT"))
    assert (found.status, found.get("Allow")) == (405, "GET, HEAD")
    found = await answered(peer, ask("", BEARER, "HEAD"))
    assert (found.status, found.body) == (200, b"")


# -- pages of others


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param("Sec-Fetch-Site: cross-site\r\n", 403, id="another site"),
        pytest.param("Sec-Fetch-Site: same-site\r\n", 403, id="another port"),
        pytest.param("Origin: http://evil.example\r\n", 403, id="another origin"),
        pytest.param("Origin: null\r\n", 403, id="a sandbox"),
        pytest.param("Sec-Fetch-Site: same-origin\r\n", 200, id="the page"),
        pytest.param("Origin: https://proxy.example\r\n", 200, id="its origin"),
        pytest.param(
            "Sec-Fetch-Site: same-origin\r\nOrigin: https://public.example\r\n",
            200,
            id="the page, and a proxy in front changes Host",
        ),
    ],
)
async def test_pages_of_other_origins_see_nothing_by_the_cookie_of_a_browser(
    running: RunningProxy, fields: str, status: int
) -> None:
    cookie = await signed_in(running)
    found = await get(running, "exchanges/0-1", cookie + fields)
    assert found.status == (404 if status == 200 else status)
    # Nor can they show tokens, which would be counted against their visitor.
    peer = await running.client()
    found = await answered(peer, form("wrong", fields))
    assert found.status == (401 if status == 200 else status)
    if status == 403:
        assert running.server.inspector.wrong_tokens.clear_at == {}


async def test_the_host_that_a_trusted_proxy_tells_is_that_of_the_page(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        server={"trusted_proxies": ["127.0.0.1"]},
        inspector={"token": TOKEN},
    )
    fields = "X-Forwarded-Host: public.example\r\nOrigin: http://%s\r\n"
    for host, status in (("public.example", 303), ("evil.example", 403)):
        peer = await running.client()
        request = form(quote(TOKEN, safe=""), fields % host)
        assert (await answered(peer, request)).status == status


async def test_a_name_that_leads_here_helps_nobody(running: RunningProxy) -> None:
    """DNS rebinding: the page has the origin, and no cookie of ours."""
    peer = await running.client()
    status, _ = await asked(
        running, "feed", "Sec-Fetch-Site: same-origin\r\n", host="evil.example"
    )
    assert status == 401
    await peer.send(request("exchanges/0-1", "Origin: http://evil.example\r\n"))
    assert (await peer.read_head()).startswith(b"HTTP/1.1 403 ")


# -- browsers


async def test_the_page_asks_for_the_token(running: RunningProxy) -> None:
    found = await get(running, "", NAVIGATES)
    assert found.status == 401
    assert found.get("Content-Type") == "text/html; charset=utf-8"
    assert found.get("Cache-Control") == "no-store"
    assert found.get("Referrer-Policy") == "same-origin"  # or its Origin would be null
    policy = found.get("Content-Security-Policy") or ""
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert b'action="login"' in found.body
    assert b"Wrong token" not in found.body
    assert TOKEN.encode() not in found.body
    # Its files are the same for everybody.
    for name in ("page/login/login.js", "page/login/login.css", "page/ui/base.css"):
        assert name.encode() in found.body
        assert (await get(running, name)).status == 200


@pytest.mark.parametrize(
    ("tables", "fields", "secure"),
    [
        pytest.param(
            {}, "X-Forwarded-Proto: https\r\n", False, id="not to be believed"
        ),
        pytest.param(
            {"trusted_proxies": ["127.0.0.1"]},
            "X-Forwarded-Proto: https\r\n",
            True,
            id="by https to a trusted proxy",
        ),
        pytest.param(
            {"trusted_proxies": ["127.0.0.1"]},
            "X-Forwarded-Proto: http\r\n",
            False,
            id="by http to a trusted proxy",
        ),
    ],
)
async def test_the_form_gives_a_cookie_that_opens_all(
    proxy: StartProxy,
    upstream: Upstream,
    tables: dict[str, object],
    fields: str,
    secure: bool,
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server=tables, inspector={"token": TOKEN}
    )
    peer = await running.client()
    found = await answered(peer, form(quote(TOKEN, safe=""), fields))
    assert (found.status, found.get("Location")) == (303, "./")
    name, *attributes = (found.get("Set-Cookie") or "").split("; ")
    assert name.startswith("unbuffered-session=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/_unbuffered/"} <= {*attributes}
    assert ("Secure" in attributes) is secure
    assert TOKEN not in name
    cookie = f"Cookie: {found.cookie}\r\n"
    for path in ("", "metrics"):
        assert (await get(running, path, cookie)).status == 200
    assert (await get(running, "exchanges/0-1", cookie)).status == 404
    found = await get(running, "login", cookie + NAVIGATES)
    assert (found.status, found.get("Location")) == (303, "./")
    assert (await get(running, "login", NAVIGATES)).status == 401


async def test_a_wrong_token_is_told_to_who_has_typed_it(running: RunningProxy) -> None:
    peer = await running.client()
    found = await answered(peer, form("guessed", NAVIGATES))
    assert found.status == 401
    assert b">Wrong token.</p>" in found.body
    assert found.get("Set-Cookie") is None
    found = await answered(peer, form("guessed"))
    assert found.message == "wrong token"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(form("x" * 5000), 413, id="too large"),
        pytest.param(form(""), 401, id="empty"),
        pytest.param(form("%ff%00&token=x"), 401, id="no text"),
        pytest.param(
            ask("login", "Transfer-Encoding: chunked\r\n", "POST")
            + chunk(f"token={quote(TOKEN, safe='')}".encode())
            + chunk(b""),
            303,
            id="in chunks",
        ),
    ],
)
async def test_whatever_the_form_sends_is_answered(
    running: RunningProxy, request_bytes: bytes, status: int
) -> None:
    peer = await running.client()
    assert (await answered(peer, request_bytes)).status == status


@pytest.mark.http1
async def test_a_malformed_body_of_the_form_is_refused(running: RunningProxy) -> None:
    peer = await running.client()
    bad = ask("login", "Transfer-Encoding: chunked\r\n", "POST") + b"zz\r\n"
    assert (await answered(peer, bad)).status == 400


async def test_a_client_that_leaves_its_form_half_sent_leaves_nothing(
    running: RunningProxy,
) -> None:
    peer = await running.client()
    await peer.send(form("x" * 100)[:-50])
    await running.connected(1)
    peer.close()
    await running.connected(0)
    assert running.server.inspector.answers == set()


async def test_a_page_may_show_it_as_programs_do_and_gets_the_cookie(
    running: RunningProxy,
) -> None:
    """By GET there is no Origin, and no page of another origin sends the field."""
    found = await get(running, "login", BEARER)
    assert (found.status, found.get("Location")) == (303, "./")
    assert (await get(running, "", f"Cookie: {found.cookie}\r\n")).status == 200
    assert (await get(running, "login", WRONG)).status == 401
    foreign = "Sec-Fetch-Site: cross-site\r\n"
    assert (await get(running, "login", BEARER + foreign)).status == 403


# -- the link


@pytest.mark.parametrize("path", [f"?token={quote(TOKEN, safe='')}", "?a=b&token=%s"])
async def test_a_link_is_exchanged_for_the_cookie_and_leaves_the_address(
    running: RunningProxy, path: str
) -> None:
    if "%s" in path:
        path %= TOKEN  # as it is: a browser changes nothing in a query
    found = await get(running, path, NAVIGATES + "Sec-Fetch-Site: cross-site\r\n")
    assert (found.status, found.get("Location")) == (303, "./")
    assert found.get("Referrer-Policy") == "no-referrer"
    assert found.get("Cache-Control") == "no-store"
    assert found.body == b""
    cookie = f"Cookie: {found.cookie}\r\n"
    assert (await get(running, "", cookie)).status == 200
    # Who has a cookie already is led on, whatever the link says.
    found = await get(running, "?token=old", NAVIGATES + cookie)
    assert (found.status, found.get("Set-Cookie")) == (303, None)


@pytest.mark.parametrize(
    ("path", "fields", "counted"),
    [
        pytest.param("?token=wrong", TYPED, True, id="another token"),
        pytest.param("?token=", TYPED, True, id="none"),
        pytest.param("?token=wrong", NAVIGATES, False, id="who knows whose link"),
        pytest.param(
            "?token=wrong",
            NAVIGATES + "Sec-Fetch-Site: cross-site\r\n",
            False,
            id="a link of another site",
        ),
        pytest.param(
            "?token=wrong",
            NAVIGATES + "Sec-Fetch-Site: same-site\r\n",
            False,
            id="a link of another port",
        ),
        pytest.param(
            f"?token={TOKEN}",
            "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
            False,
            id="an image of a page",
        ),
        pytest.param(
            f"?token={TOKEN}",
            NAVIGATES.replace("document", "iframe"),
            False,
            id="a frame",
        ),
        pytest.param(f"feed?token={TOKEN}", NAVIGATES, False, id="not the page"),
        pytest.param(f"?Token={TOKEN}", NAVIGATES, False, id="another name"),
    ],
)
async def test_no_other_address_opens_anything(
    running: RunningProxy, path: str, fields: str, counted: bool
) -> None:
    found = await get(running, path, fields)
    assert (found.status, found.get("Set-Cookie")) == (401, None)
    assert bool(running.server.inspector.wrong_tokens.clear_at) is counted


# -- guessing


async def guess(running: RunningProxy, times: int, fields: str = "") -> Answer:
    peer = await running.client()
    for _ in range(times):
        found = await answered(peer, ask("feed", WRONG + fields))
    return found


async def test_after_ten_wrong_tokens_none_is_looked_at_for_a_while(
    running: RunningProxy, clock: ManualClock
) -> None:
    cookie = await signed_in(running)
    assert (await guess(running, AT_ONCE)).status == 401
    # Right or wrong, by whichever way: who guesses does not learn that this one is it.
    peer = await running.client()
    attempts = [
        ask("feed", WRONG),
        ask("", BEARER),
        ask(f"?token={quote(TOKEN, safe='')}", TYPED),
        form(quote(TOKEN, safe="")),
        ask("metrics", BEARER + "X-Real-IP: 127.0.0.1\r\n"),
    ]
    for attempt in attempts:
        found = await answered(peer, attempt)
        assert (found.status, found.get("Retry-After")) == (429, "6")
    found = await answered(peer, form("x", NAVIGATES))
    assert b"Too many wrong tokens from this address; try again in 6 s." in found.body
    # A browser that has a cookie is not concerned, and a false one is not counted.
    assert (await get(running, "", cookie)).status == 200
    assert (await get(running, "", "Cookie: unbuffered-session=x\r\n")).status == 401
    clock.advance(SECONDS)
    assert (await get(running, "", BEARER)).status == 200


@pytest.mark.parametrize("site", ["", "cross-site", "same-site"])
async def test_a_page_that_opens_wrong_links_does_not_keep_its_visitor_out(
    running: RunningProxy, site: str
) -> None:
    """In frames by plain HTTP, where a browser says nothing of them, or in a window."""
    opened = NAVIGATES + (f"Sec-Fetch-Site: {site}\r\n" if site else "")
    peer = await running.client()
    for _ in range(AT_ONCE):
        assert (await answered(peer, ask("?token=wrong", opened))).status == 401
    # Nor is that a way to guess: no more of such links are looked at.
    link = f"?token={quote(TOKEN, safe='')}"
    found = await answered(peer, ask(link, opened))
    assert (found.status, found.get("Set-Cookie")) == (429, None)
    assert b"Too many links with wrong tokens" in found.body
    assert b'action="login"' in found.body
    assert (await answered(peer, ask("feed", WRONG))).status == 401
    assert (await answered(peer, ask("metrics", BEARER))).status == 200
    assert (await answered(peer, ask(link, TYPED))).status == 303
    assert (await answered(peer, form(quote(TOKEN, safe="")))).status == 303


async def test_who_guesses_keeps_out_nobody_elsewhere(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Behind a trusted proxy, too, where all have its address."""
    running = await proxy(
        {"/": {"target": upstream.url}},
        server={"trusted_proxies": ["127.0.0.1", "198.51.100.0/24"]},
        inspector={"token": TOKEN},
    )

    def at(*hops: str) -> str:
        return f"X-Forwarded-For: {', '.join(hops)}\r\n"

    # The one in ELSEWHERE is what the client itself says there.
    assert (await guess(running, AT_ONCE + 1, at("203.0.113.9"))).status == 429
    found = await get(running, "", BEARER + at("203.0.113.9", "198.51.100.1"))
    assert found.status == 429
    found = await get(running, "", BEARER + at("203.0.113.9", "203.0.113.8"))
    assert found.status == 200


# -- the metrics


@pytest.mark.parametrize(
    ("tables", "fields", "status"),
    [
        pytest.param({"metrics": {"token": OF_METRICS}}, "", 401, id="none"),
        pytest.param(
            {"metrics": {"token": OF_METRICS}}, METRICS_BEARER, 200, id="its own"
        ),
        pytest.param({"metrics": {"token": OF_METRICS}}, BEARER, 401, id="another"),
        pytest.param(
            {"metrics": {"token": OF_METRICS}, "inspector": {"token": TOKEN}},
            BEARER,
            200,
            id="that of the inspector, which shows more",
        ),
        pytest.param({"inspector": {"token": TOKEN}}, BEARER, 200, id="the only one"),
        pytest.param(
            {"metrics": {"enabled": True}, "inspector": {"token": TOKEN}},
            "",
            200,
            id="open to all",
        ),
        pytest.param(
            {"metrics": {"enabled": True, "token": OF_METRICS}},
            "",
            401,
            id="open to all who have the token",
        ),
    ],
)
async def test_a_token_opens_the_metrics(
    proxy: StartProxy,
    upstream: Upstream,
    tables: dict[str, dict[str, object]],
    fields: str,
    status: int,
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, **tables)
    found = await get(running, "metrics", fields)
    assert found.status == status
    if status == 200:
        assert b"unbuffered_info" in found.body
    elif not fields:
        assert "[metrics] token" in found.message


async def test_the_token_of_the_metrics_opens_nothing_else(
    proxy: StartProxy, upstream: Upstream
) -> None:
    tables = {"metrics": {"token": OF_METRICS}, "inspector": {"token": TOKEN}}
    running = await proxy({"/": {"target": upstream.url}}, **tables)
    for path in ("", "feed", "exchanges/0-1"):
        assert (await get(running, path, METRICS_BEARER)).status == 401
    peer = await running.client()
    assert (await answered(peer, form(OF_METRICS))).status == 401


@pytest.mark.http1
async def test_health_needs_no_token(proxy: StartProxy, upstream: Upstream) -> None:
    """A probe has none."""
    routes = {"/": {"target": upstream.url}}
    for enabled in (True, "loopback"):
        table: dict[str, object] = {"token": OF_METRICS, "enabled": enabled}
        running = await proxy(routes, metrics=table)
        assert (await asked(running, "health"))[0] == 200
        assert (await get(running, "health")).status == 200
        assert (await get(running, "health", METRICS_BEARER)).status == 200


# -- administration


@pytest.mark.parametrize(
    ("token", "fields", "status"),
    [
        pytest.param("", "Host: localhost\r\nConnection: keep-alive\r\n", 0, id="here"),
        pytest.param("", "Host: localhost\r\n", 403, id="through a hop?"),
        pytest.param("", "Host: proxy.example\r\nVia: x\r\n", 403, id="elsewhere"),
        pytest.param(
            "",
            "Host: localhost\r\nConnection: keep-alive\r\n"
            "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n",
            403,
            id="a page that the proxy serves",
        ),
        pytest.param(
            TOKEN, "Host: localhost\r\nConnection: keep-alive\r\n", 401, id="no token"
        ),
        pytest.param(TOKEN, "Host: proxy.example\r\n" + BEARER, 0, id="the token"),
        pytest.param(TOKEN, "Host: localhost\r\n" + WRONG, 401, id="another token"),
        pytest.param(TOKEN, "COOKIE", 401, id="a cookie, which scripts have too"),
        pytest.param(
            TOKEN,
            "COOKIESec-Fetch-Site: same-origin\r\n",
            403,
            id="the same, of a page",
        ),
    ],
)
@pytest.mark.http1
async def test_who_may_administer(
    proxy: StartProxy, upstream: Upstream, token: str, fields: str, status: int
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector={"token": token})
    if "COOKIE" in fields:
        cookie = await signed_in(running)
        fields = fields.replace("COOKIE", f"Host: localhost\r\n{cookie}")
    client = await running.client()
    await client.send(f"POST /x HTTP/1.1\r\n{fields}Content-Length: 0\r\n\r\n".encode())
    await upstream.request()
    exchange = await running.exchange()
    access = running.server.inspector.access
    asking = cast("HostedStream", exchange.client)
    assert access.may_administer(asking, exchange.head).status == status


# -- never shown


async def test_an_address_with_a_token_is_masked_in_the_log_of_who_relays_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """In front of another Unbuffered, say, whose inspector this one does not shadow."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(ask(f"?a=b&token={TOKEN}", NAVIGATES))
    server = await upstream.request()
    assert f"GET /_unbuffered/?a=b&token={TOKEN} ".encode() in server.head
    await server.send(OK)
    await client.read_head()
    timeline = await running.ended()
    for line in (render_text(timeline, 0.0), render_json(timeline, 0.0)):
        assert "/_unbuffered/?a=b&token=**** " in line.replace('"', " ")
        assert TOKEN not in line


async def test_requests_with_a_token_are_in_no_log(running: RunningProxy) -> None:
    await get(running, f"?token={TOKEN}", NAVIGATES)
    await get(running, "feed", WRONG)
    await answered(await running.client(), form("x"))
    assert running.exchanges.empty()
    assert not running.server.exchanges


# -- reloads and workers


async def reload(
    running: RunningProxy, folder: Path, upstream: Upstream, **inspector: object
) -> None:
    path = folder / "reloaded.toml"
    path.write_text(
        support.document({"/": {"target": upstream.url}}, {"inspector": inspector})
    )
    await running.server.reload(load(path, {}, {"server.port": running.port}))


async def test_a_reload_with_another_token_ends_what_the_first_has_opened(
    running: RunningProxy, upstream: Upstream, tmp_path: Path
) -> None:
    cookie = await signed_in(running)
    feeds = []
    for fields in (cookie, BEARER):
        peer = await running.client()
        await peer.send(ask("feed", fields))
        await peer.read_head()
        feeds.append(peer)
    await reload(running, tmp_path, upstream, token=TOKEN, bodies=False)
    assert len(running.server.inspector.answers) == 2
    await reload(running, tmp_path, upstream, token="another-token-of-it")
    for peer in feeds:
        await ended(peer)
    assert (await get(running, "feed", cookie)).status == 401
    assert (await get(running, "feed", BEARER)).status == 401


async def ended(peer: Peer) -> None:
    """The feed has its end."""
    while await peer.read_chunk():
        pass


@pytest.mark.parametrize("fields", ["cookie", BEARER])
async def test_a_reload_that_closes_it_ends_what_a_token_has_opened(
    running: RunningProxy, upstream: Upstream, tmp_path: Path, fields: str
) -> None:
    if fields == "cookie":
        fields = await signed_in(running)
    peer = await running.client()
    await peer.send(ask("feed", fields))
    await peer.read_head()
    await reload(running, tmp_path, upstream, token=TOKEN, enabled=False)
    await ended(peer)


async def test_a_reload_to_a_token_ends_what_was_open_without(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector={"enabled": True})
    async with looking(running) as feed:
        await reload(running, tmp_path, upstream, enabled=True, token=TOKEN)
        await ended(feed.peer)


@pytest.mark.http1
async def test_workers_have_the_same_cookie_and_see_each_other(
    upstream: Upstream, tmp_path: Path
) -> None:
    tables = {"inspector": {"token": TOKEN}, "metrics": {"token": OF_METRICS}}
    routes = {"/": {"target": upstream.url}}
    async with siblings(tmp_path, routes, tables) as workers:
        cookie = await signed_in(workers[0])
        client, server = await workers[0].begin(upstream, GET_X)
        await server.send(EVENT_STREAM)
        await client.read_head()
        looker = await workers[1].client()
        await looker.send(ask("feed", cookie))
        await looker.read_head()
        feed = Feed(looker)
        while not (rows := await feed.rows()):
            pass
        ident = rows["/x"]["id"]
        found = await get(workers[1], f"exchanges/{ident}", cookie)
        assert json.loads(found.body)["target"] == "/x"
        pieces = await workers[1].client()
        await pieces.send(ask(f"exchanges/{ident}/feed", cookie))
        await pieces.read_head()
        await Feed(pieces).next("row")
        await server.send(chunk(b"data: 1\n\n"))
        await client.read_chunk()
        workers[0].tick()
        (piece,) = await Feed(pieces).next("pieces")
        assert "base64" in piece
        found = await get(workers[1], "metrics", METRICS_BEARER)
        assert b'worker="0"' in found.body
        looker.close()
        pieces.close()
