"""What import proposes for nginx.conf: clients of nginx stay clients of nginx.

With the real nginx, which a test tells the address of its client.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.imports.conftest import Run
from tests.support.certificates import Authority
from tests.support.process import GUARD, Process, ending, serve
from tests.support.raw import Peer, Upstream

NGINX = shutil.which("nginx")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
DEPLOYING = Path(__file__).parents[2] / "docs" / "deploying.md"
CLIENT = "203.0.113.7"
SITE = (
    "server {{ {listen} location / {{ proxy_pass http://127.0.0.1:{port}; {more} }} }}"
)
# RFC 6455 §1.3
OPENING = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
OPENED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLBMiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
SOCKETS = "proxy_set_header Upgrade $http_upgrade;"
WITH_TLS = (
    "listen 443 ssl; ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem;"
)
REDIRECT = "server { listen 80; return 301 https://$host$request_uri; }"
# Where a test says who the client is; all of it is in the folder of the test.
MAIN = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr notice;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  set_real_ip_from unix:; real_ip_header X-Client;
  server {{ listen unix:{folder}/nginx.sock; location / {{
{lines}
  }} }}
}}
"""


def imported(run: Run, path: Path, text: str) -> tuple[str, list[str]]:
    """The configuration, and the lines for nginx."""
    path.write_text(text, "utf-8")
    outcome = run("import", str(path), "-o", "-")
    assert outcome.status == 0, outcome.err
    lines = outcome.err.partition("next:")[2].splitlines()
    return outcome.out, [line.strip() for line in lines if "proxy_" in line[:12]]


@contextlib.asynccontextmanager
async def nginx(folder: Path, lines: list[str]) -> AsyncIterator[str]:
    """nginx with a location that has these lines; the path of its socket."""
    conf = folder / "front.conf"
    conf.write_text(MAIN.format(folder=folder, lines="\n".join(lines)), "utf-8")
    assert NGINX is not None
    process = await asyncio.create_subprocess_exec(
        NGINX, "-c", str(conf), "-e", "stderr", stderr=asyncio.subprocess.PIPE
    )
    async with ending(process):
        assert process.stderr is not None
        async with asyncio.timeout(GUARD):  # it says so with its sockets open
            await process.stderr.readuntil(b"event method")
        yield f"{folder}/nginx.sock"


@contextlib.asynccontextmanager
async def asking(socket: str, target: str, more: str) -> AsyncIterator[Peer]:
    """A stranger, with a request through nginx."""
    client = Peer(*await asyncio.open_unix_connection(socket))
    try:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Client: {CLIENT}\r\n"
        await client.send(f"{head}{more}\r\n\r\n".encode())
        yield client
    finally:
        client.close()


async def answer(socket: str, target: str) -> bytes:
    """All that a stranger is answered."""
    async with asking(socket, target, "Connection: close") as client:
        return await client.read_rest()


async def started(
    folder: Path, text: str, lines: list[str]
) -> tuple[Process, list[str]]:
    """The proxy with what was written, at ports of its own; the lines lead to it."""
    [port] = re.findall(r"^proxy_pass https?://127\.0\.0\.1:(\d+);", lines[0])
    assert f"[server]\nport = {port}" in text
    config = folder / "config.toml"
    text = re.sub(r"(?m)^port = \d+", "port = 0", text)
    config.write_text(f'{text}\n[log]\nformat = "json"\n', "utf-8")
    proxy = await serve(config, asyncio.subprocess.PIPE)
    return proxy, [lines[0].replace(f":{port};", f":{proxy.port};"), *lines[1:]]


def uncommented(text: str) -> str:
    """With the line that the command asks to uncomment."""
    found, count = re.subn(r"(?m)^# (?=trusted_proxies = )", "", text)
    assert count == 1
    return found


@needs_nginx
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("trusted", [False, True], ids=["as-written", "uncommented"])
async def test_a_client_of_nginx_is_none_on_this_machine(
    run: Run, tmp_path: Path, tls: bool, trusted: bool
) -> None:
    """Although it asks for localhost, and nginx is on this machine."""
    listen = "listen 80;"
    if tls:
        Authority(tmp_path)
        listen = WITH_TLS.format(tmp_path)
    site = SITE.format(listen=listen, port=1, more="")  # nobody is there
    text, lines = await asyncio.to_thread(
        imported, run, tmp_path / "a.conf", site + (REDIRECT if tls else "")
    )
    proxy, lines = await started(
        tmp_path, uncommented(text) if trusted else text, lines
    )
    async with ending(proxy.process), nginx(tmp_path, lines) as socket:
        # What is closed to a stranger is a path of the routes.
        for target in ("/_unbuffered/metrics", "/x"):
            failed = await answer(socket, target)
            assert failed.startswith(b"HTTP/1.1 502 "), failed
            assert b"127.0.0.1:1" not in failed
            assert proxy.process.stdout is not None
            async with asyncio.timeout(GUARD):
                logged = json.loads(await proxy.process.stdout.readline())
            assert logged["client"] == (CLIENT if trusted else "127.0.0.1")
            assert (logged["target"], logged["host"]) == (target, "localhost")


@needs_nginx
async def test_websockets_pass_nginx(run: Run, tmp_path: Path) -> None:
    async with Upstream() as upstream:
        site = SITE.format(listen="listen 80;", port=upstream.port, more=SOCKETS)
        text, lines = await asyncio.to_thread(imported, run, tmp_path / "a.conf", site)
        proxy, lines = await started(tmp_path, text, lines)
        async with (
            ending(proxy.process),
            nginx(tmp_path, lines) as socket,
            asking(socket, "/x", OPENING) as client,
        ):
            server = await upstream.request()
            await server.send(OPENED)
            head = await client.read_until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            await client.send(b"to the upstream")
            assert await server.read(15) == b"to the upstream"
            await server.send(b"to the client")
            assert await client.read(13) == b"to the client"


def test_the_lines_are_those_of_the_page(run: Run, tmp_path: Path) -> None:
    _, lines = imported(
        run, tmp_path / "a.conf", SITE.format(listen="listen 80;", port=1, more="")
    )
    page = DEPLOYING.read_text("utf-8").partition("## nginx in front")[2]
    [block] = re.findall(r"```nginx\nlocation / \{\n(.*?)\}\n```", page, re.S)
    bare = [re.sub(r"\s+#.*", "", line) for line in lines]
    bare[0] = re.sub(r":\d+;", ":8080;", bare[0])
    assert bare == [line.strip() for line in block.splitlines()]


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("", "$host"),
        ("listen 80; listen [::]:443;", "$host"),
        ("listen 80; listen 8081;", "$http_host"),
    ],
)
def test_a_port_of_nginx_is_kept(
    run: Run, tmp_path: Path, listen: str, host: str
) -> None:
    site = SITE.format(listen=listen, port=1, more="")
    _, lines = imported(run, tmp_path / "a.conf", site)
    assert f"proxy_set_header Host {host};" in lines


def test_proxies_in_front_of_nginx_stay_trusted(run: Run, tmp_path: Path) -> None:
    site = SITE.format(listen="set_real_ip_from 10.0.0.0/8;", port=1, more="")
    text, _ = imported(run, tmp_path / "a.conf", site)
    assert '\n# trusted_proxies = ["10.0.0.0/8", "127.0.0.1"]\n' in text
    assert '\ntrusted_proxies = ["10.0.0.0/8"]\n' in text
