"""The peers' configurations: what each is told, and nothing it does not need.

Alike for all: one route, one access-log line per request where the proxy can
write one, connections to the origin kept, nothing buffered. No TLS, unless the
load is over it: then TLS to the client, and HTTP/1.1 to the origin as ever. What
is not said here is the proxy's default; docs/performance.md gives the reasons.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bench.certificate import Certificate

HERE = Path(__file__).parent
PROXIES = HERE / "proxies"
COMPILED = HERE.parent / "build" / "compiled"
Command = list[str]
Json = dict[str, object]
HTTP = "type.googleapis.com/envoy.extensions.filters.http"
MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager"
    ".v3.HttpConnectionManager"
)
TLS = (
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
)
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


@dataclass(frozen=True)
class Setting:
    """Where a peer listens, where it sends, and what else a run asks of it."""

    port: int
    origin: int
    folder: Path  # for its configuration and its logs
    descriptors: int  # how many a process may open
    workers: int = 1
    coded: bool = False  # the origin compresses
    route: str = ""  # of Unbuffered: lines of the route beside its target
    record: str = ""  # of Unbuffered: what the inspector records
    control: int = 0  # where events are published to those that take them so
    store: int = 0  # the port of a Redis; 0: none
    certificate: Certificate | None = None  # of TLS; None: there is none
    http2: bool = False  # over TLS

    def write(self, name: str, text: str) -> str:
        """The path of a configuration file, written."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def fill(self, name: str, source: str) -> str:
        """The same, of a file of bench/proxies with this setting filled in."""
        text = Template((PROXIES / source).read_text())
        return self.write(name, text.substitute(vars(self)))


def nginx(setting: Setting) -> Command:
    folder = setting.folder
    options = " reuseport" if setting.workers > 1 else ""
    tls = ""
    if found := setting.certificate:
        options += " ssl http2" if setting.http2 else " ssl"
        files = f"ssl_certificate {found.chain}; ssl_certificate_key {found.key};"
        tls = f"ssl_protocols TLSv1.3; {files}"
    text = f"""
worker_processes {setting.workers}; daemon off; pid {folder}/nginx.pid;
error_log {folder}/error.log; worker_rlimit_nofile {setting.descriptors};
events {{ worker_connections {setting.descriptors - 100}; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 75; keepalive_requests 1000000;
  upstream origin {{ server 127.0.0.1:{setting.origin}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{setting.port} backlog=4096{options};
    {tls}
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 1h;
      gunzip on;
    }}
  }}
}}
"""
    path = setting.write("nginx.conf", text)
    return ["nginx", "-c", path, "-e", f"{folder}/error.log"]


def unbuffered(setting: Setting) -> Command:
    more = f"workers = {setting.workers}\n" if setting.workers > 1 else ""
    if found := setting.certificate:
        more += f'tls_certificate = "{found.chain}"\ntls_key = "{found.key}"\n'
    text = f"""[server]
port = {setting.port}
{more}
[routes."/"]
target = "http://127.0.0.1:{setting.origin}"
{setting.route}
"""
    # What `auto` is where others than this machine can connect.
    text += f'[inspector]\nrecord = "{setting.record or "on-look"}"\n'
    if setting.store:
        text += f'[store]\nurl = "redis://127.0.0.1:{setting.store}/0"\n'
    path = setting.write("config.toml", text)
    return [sys.executable, "-m", "proxy", "--config", path]


def compiled(setting: Setting) -> Command:
    """By a path of its own, which the folder that it starts in does not precede."""
    path = f"PYTHONPATH={COMPILED}"
    return ["env", "PYTHONSAFEPATH=1", path, *unbuffered(setting)]


def nchan(setting: Setting) -> Command:
    path = setting.fill("nchan.conf", "nchan.conf")
    return ["nginx", "-c", path, "-e", f"{setting.folder}/error.log"]


def pushpin(setting: Setting) -> Command:
    """It starts its four parts itself."""
    setting.fill("routes", "pushpin.routes")
    path = setting.fill("pushpin.conf", "pushpin.conf")
    return ["pushpin", "--config", path, "--merge-output"]


def bare_uvloop(setting: Setting) -> Command:
    script = str(PROXIES / "bare_uvloop.py")
    return [sys.executable, script, str(setting.port), str(setting.origin)]


def plain_aiohttp(setting: Setting) -> Command:
    script = str(PROXIES / "plain_aiohttp.py")
    return [sys.executable, script, str(setting.port), str(setting.origin)]


def hypercorn(setting: Setting) -> Command:
    found = setting.certificate
    assert found is not None  # it takes part in HTTP/2 only
    ports = str(setting.port), str(setting.origin)
    script = str(PROXIES / "hypercorn_relay.py")
    log = str(setting.folder / "access.log")
    return [sys.executable, script, *ports, str(found.chain), str(found.key), log]


def caddy(setting: Setting) -> Command:
    """It takes as many cores as it is pinned to."""
    found = setting.certificate
    scheme = "https" if found else "http"
    tls = f"tls {found.chain} {found.key}" if found else ""
    text = f"""{{
  admin off
  auto_https off
}}
{scheme}://:{setting.port} {{
  bind 127.0.0.1
  {tls}
  log {{
    output file {setting.folder}/caddy.log
  }}
  reverse_proxy 127.0.0.1:{setting.origin}
}}
"""
    path = setting.write("Caddyfile", text)
    return ["caddy", "run", "--config", path, "--adapter", "caddyfile"]


def haproxy(setting: Setting) -> Command:
    found = setting.certificate
    protocol = "h2" if setting.http2 else "http/1.1"
    tls = f" ssl crt {found.both} alpn {protocol}" if found else ""
    text = f"""
global
  nbthread {setting.workers}
  maxconn {setting.descriptors // 2 - 100}
  log stdout format raw daemon
defaults
  mode http
  log global
  option httplog
  option http-no-delay
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend front
  bind 127.0.0.1:{setting.port} backlog 4096{tls}
  default_backend origin
backend origin
  server origin 127.0.0.1:{setting.origin}
"""
    return ["haproxy", "-f", setting.write("haproxy.cfg", text), "-db"]


def node(script: str, setting: Setting) -> Command:
    path = str(PROXIES / script)
    return ["node", path, str(setting.port), str(setting.origin)]


def mitmproxy(setting: Setting) -> Command:
    return [
        *("mitmdump", "--mode", f"reverse:http://127.0.0.1:{setting.origin}"),
        *("--listen-host", "127.0.0.1", "-p", str(setting.port)),
        *("--set", "stream_large_bodies=1", "--set", "flow_detail=1"),
        *("--set", f"confdir={setting.folder}"),
    ]


def envoy(setting: Setting) -> Command:
    chain: Json = {"filters": [envoy_connections(setting)]}
    if setting.certificate:
        chain["transport_socket"] = envoy_tls(setting.certificate)
    listener = {"address": envoy_address(setting.port), "filter_chains": [chain]}
    resources = {"listeners": [listener], "clusters": [envoy_cluster(setting.origin)]}
    path = setting.write("envoy.json", json.dumps({"static_resources": resources}))
    threads = str(setting.workers)
    return ["envoy", "-c", path, "--concurrency", threads, "-l", "error"]


def envoy_address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def envoy_tls(found: Certificate) -> Json:
    files = {
        "certificate_chain": {"filename": str(found.chain)},
        "private_key": {"filename": str(found.key)},
    }
    context = {"tls_certificates": [files], "alpn_protocols": ["h2"]}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": TLS, "common_tls_context": context},
    }


def envoy_connections(setting: Setting) -> Json:
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "origin", "timeout": "0s", "idle_timeout": "0s"},
    }
    log = {"@type": FILE_LOG, "path": f"{setting.folder}/access.log"}
    filters = [envoy_decompressor(name) for name in ("gzip", "brotli", "zstd")]
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{HTTP}.router.v3.Router"},
    }
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": MANAGER,
            "stat_prefix": "bench",
            "stream_idle_timeout": "0s",
            "access_log": [{"name": "log", "typed_config": log}],
            "route_config": {"virtual_hosts": [host]},
            "http_filters": [*(filters if setting.coded else []), router],
        },
    }


def envoy_decompressor(name: str) -> Json:
    """For responses: its direction for requests is off."""
    kind = f"type.googleapis.com/envoy.extensions.compression.{name}.decompressor.v3"
    library = {
        "name": name,
        "typed_config": {"@type": f"{kind}.{name.capitalize()}"},
    }
    off = {"common_config": {"enabled": {"default_value": False, "runtime_key": "x"}}}
    return {
        "name": f"decompressor-{name}",
        "typed_config": {
            "@type": f"{HTTP}.decompressor.v3.Decompressor",
            "decompressor_library": library,
            "request_direction_config": off,
            "response_direction_config": {},
        },
    }


def envoy_cluster(origin: int) -> Json:
    limits = dict.fromkeys(
        ("max_connections", "max_pending_requests", "max_requests"), 20000
    )
    endpoint = {"endpoint": {"address": envoy_address(origin)}}
    return {
        "name": "origin",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "origin",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
