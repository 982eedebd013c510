"""Real products as hops: each with its defaults, or with lines added to them.

Nothing is installed here. A product that is not on the machine is told as a
reason to skip.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("PEERS", HERE.parents[1] / "bench" / "proxies"))
APACHE = "/usr/lib/apache2/modules"
START_SECONDS = 60.0  # webpack on a busy machine
Command = Callable[[int, int, str, Path], list[str]]


@dataclass(frozen=True)
class Product:
    """`command(port, origin, lines, folder)`.

    `needs`: a program, `node:` and a module, `python:` and modules, or a file.
    """

    name: str
    needs: str
    command: Command

    @property
    def missing(self) -> str | None:
        """Why it cannot be started, None if it can."""
        if self.needs.startswith("node:"):
            module = PEERS / "node_modules" / self.needs.removeprefix("node:")
            if shutil.which("node") is None:
                return "node is not installed"
            if not module.is_dir():
                return f"{module.name} is not installed: npm ci in bench/proxies"
            return None
        if self.needs.startswith("/"):
            found = Path(self.needs).exists()
            return None if found else f"{Path(self.needs).stem} is not installed"
        if self.needs.startswith("python:"):
            name = self.needs.removeprefix("python:")
            found = all(importlib.util.find_spec(each) for each in name.split("+"))
            return None if found else f"{name} is not installed: group products"
        return None if program(self.needs) else f"{self.needs} is not installed"


def program(name: str) -> str | None:
    """Where a program is; ENVOY may name that of Envoy."""
    return os.environ.get(name.upper()) or shutil.which(name)


def nginx(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid;\n"
        f"error_log {folder}/error.log;\nevents {{}}\nhttp {{\n"
        f"  access_log off; proxy_temp_path {folder}/proxy;\n"
        f"  client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/f;\n"
        f"  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"  server {{\n    listen 127.0.0.1:{port};\n    location / {{\n"
        f"      proxy_pass http://127.0.0.1:{origin};\n{lines}\n    }}\n  }}\n}}\n"
    )
    path = program("nginx") or "nginx"
    return [path, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]


def caddy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    before, _, inside = lines.partition("---")
    (folder / "Caddyfile").write_text(
        "{\n admin off\n auto_https off\n}\n"
        f"http://127.0.0.1:{port} {{\n{before}\n"
        f" reverse_proxy 127.0.0.1:{origin} {{\n{inside}\n }}\n}}\n"
    )
    path = program("caddy") or "caddy"
    return [path, "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


def haproxy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "haproxy.cfg").write_text(
        "global\n  nbthread 1\n  maxconn 200\ndefaults\n  mode http\n"
        "  timeout connect 5s\n  timeout client 50s\n  timeout server 50s\n"
        f"{lines}\n"
        f"frontend front\n  bind 127.0.0.1:{port}\n  default_backend origin\n"
        f"backend origin\n  server origin 127.0.0.1:{origin}\n"
    )
    return [program("haproxy") or "haproxy", "-f", f"{folder}/haproxy.cfg", "-db"]


def apache(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    names = ["mpm_event", "authz_core", "proxy", "proxy_http", "filter", "deflate",
             "headers", "setenvif", "buffer", "brotli",
             "substitute"]  # fmt: skip
    if "SecRuleEngine" in lines:
        names += ["unique_id", "security2"]
    loads = "\n".join(
        f"LoadModule {name}_module {APACHE}/mod_{name}.so" for name in names
    )
    (folder / "httpd.conf").write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
        f"Listen 127.0.0.1:{port}\nServerName localhost\n{loads}\n"
        f"ProxyPass / http://127.0.0.1:{origin}/\n{lines}\n"
    )
    path = program("apache2") or "apache2"
    return [path, "-f", f"{folder}/httpd.conf", "-DFOREGROUND"]


def envoy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: YAML of the route, and after `---` that of the HTTP filters."""
    route, _, filters = lines.partition("---")
    kind = "type.googleapis.com/envoy.extensions.filters"
    router = f"{kind}.http.router.v3.Router"
    manager = f"{kind}.network.http_connection_manager.v3.HttpConnectionManager"
    (folder / "envoy.yaml").write_text(
        "static_resources:\n"
        "  listeners:\n"
        "  - address:\n"
        f"      socket_address: {{address: 127.0.0.1, port_value: {port}}}\n"
        "    filter_chains:\n"
        "    - filters:\n"
        "      - name: envoy.filters.network.http_connection_manager\n"
        "        typed_config:\n"
        f'          "@type": {manager}\n'
        "          stat_prefix: doctor\n"
        "          route_config:\n"
        "            virtual_hosts:\n"
        "            - name: all\n"
        '              domains: ["*"]\n'
        "              routes:\n"
        '              - match: {prefix: "/"}\n'
        "                route:\n"
        "                  cluster: origin\n"
        f"{indented(route, 18)}"
        "          http_filters:\n"
        f"{indented(filters, 10)}"
        "          - name: envoy.filters.http.router\n"
        f'            typed_config: {{"@type": {router}}}\n'
        "  clusters:\n"
        "  - name: origin\n"
        "    load_assignment:\n"
        "      cluster_name: origin\n"
        "      endpoints:\n"
        "      - lb_endpoints:\n"
        "        - endpoint:\n"
        "            address:\n"
        "              socket_address:\n"
        f"                {{address: 127.0.0.1, port_value: {origin}}}\n"
    )
    path = program("envoy") or "envoy"
    return [path, "-c", f"{folder}/envoy.yaml", "--concurrency", "1", "-l", "error",
            "--use-dynamic-base-id"]  # fmt: skip


def indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines() if line.strip())


def express(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    before, _, each = lines.partition("---")
    return ["node", str(HERE / "express.mjs"), str(port), str(origin), before, each]


def http_proxy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    before, _, options = lines.partition("---")
    script = str(HERE / "http-proxy.mjs")
    return ["node", script, str(port), str(origin), options, before]


def devserver(kind: str) -> Command:
    def command(port: int, origin: int, lines: str, folder: Path) -> list[str]:
        script = str(HERE / "devserver.mjs")
        return ["node", script, kind, str(port), str(origin), lines, str(folder)]

    return command


STARLETTE = """
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from tests.products.applications import ask, generate, media_type

async def events(request):
    ask(request.url.query)
    return StreamingResponse(generate(), media_type=media_type())

app = Starlette(routes=[Route("/api/events", events)])
"""
DJANGO = """
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
from django.core.asgi import get_asgi_application
from django.http import StreamingHttpResponse
from django.urls import path
from tests.products.applications import ask, blocking, generate
"""
DJANGO_URLS = """
import inspect

async def asked(request):
    ask(request.META["QUERY_STRING"])
    answer = events(request)
    return await answer if inspect.isawaitable(answer) else answer

urlpatterns = [path("api/events", asked)]
app = get_asgi_application()
"""
WSGI = """
from tests.products.applications import ask, blocking, media_type

def app(environ, start_response):
    ask(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", media_type())])
    return blocking()
"""


def uvicorn(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    return asgi(port, f"{STARLETTE}\n{lines}\n", folder)


def django(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    return asgi(port, f"{DJANGO}\n{lines}\n{DJANGO_URLS}", folder)


def asgi(port: int, text: str, folder: Path) -> list[str]:
    (folder / "app.py").write_text(text)
    return [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port),
            "--app-dir", str(folder), "--log-level", "warning"]  # fmt: skip


def gunicorn(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: the command, from which its options are taken."""
    (folder / "app.py").write_text(WSGI)
    return [sys.executable, "-m", *lines.split(), "--bind", f"127.0.0.1:{port}",
            "--chdir", str(folder), "--log-level", "error"]  # fmt: skip


PRODUCTS = {
    each.name: each
    for each in (
        Product("nginx", "nginx", nginx),
        Product("caddy", "caddy", caddy),
        Product("haproxy", "haproxy", haproxy),
        Product("apache", "apache2", apache),
        Product("apache-security", f"{APACHE}/mod_security2.so", apache),
        Product("envoy", "envoy", envoy),
        Product("express", "node:compression", express),
        Product("http-proxy-3", "node:http-proxy-3", http_proxy),
        Product("uvicorn", "python:uvicorn+starlette", uvicorn),
        Product("django", "python:uvicorn+django", django),
        Product("gunicorn", "python:gunicorn", gunicorn),
        Product("vite", "node:vite", devserver("vite")),
        Product(
            "webpack-dev-server",
            "node:webpack-dev-server",
            devserver("webpack-dev-server"),
        ),
    )
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def prepared(
    name: str, port: int, origin: int, lines: str, folder: Path
) -> tuple[list[str], BinaryIO]:
    """The product's command, its configuration written; where its output goes."""
    folder.mkdir(parents=True, exist_ok=True)
    command = PRODUCTS[name].command(port, origin, lines, folder)
    return command, (folder / "output").open("w+b")


@contextlib.asynccontextmanager
async def started(
    name: str, origin: int, lines: str, folder: Path
) -> AsyncIterator[int]:
    """The product as a process of ours, with these lines; its port."""
    port = free_port()
    command, output = prepared(name, port, origin, lines, folder)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=folder,
        env={**os.environ, "PEERS": str(PEERS), "PYTHONPATH": str(HERE.parents[1])},
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await answers(port):
                if process.returncode is not None:
                    output.seek(0)
                    raise RuntimeError(f"{name}: {output.read().decode()}")
        yield port
    finally:
        output.close()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def answers(port: int) -> bool:
    """Does something listen there?"""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.05)
        return False
    writer.close()
    return True
