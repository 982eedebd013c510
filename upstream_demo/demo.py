"""`unbuffered demo`: the upstreams, the proxy before them, and the page."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path

from proxy.config.load import load
from proxy.config.model import ServerOptions
from proxy.process import console, process
from proxy.server.listener import listening_fault
from proxy.server.server import Server
from proxy.system.install_command import install_command
from proxy.system.port_holder import holder_note
from upstream_demo.listeners import LOOPBACK, listen, port_of
from upstream_demo.services import SERVICES, Ports, start_services

CONFIG = Path(__file__).with_name("demo.toml")
EXTRA, PACKAGES = "demo", ("openai",)  # what an installation without it has not
PORT = "server.port"


def what_is_missing() -> str:
    """The packages that have to be installed first, and how; "" if there are none."""
    names = [name for name in PACKAGES if find_spec(name) is None]
    if not names:
        return ""
    which = f"package{'s' if len(names) > 1 else ''} {', '.join(names)}"
    return f"the demo needs the {which}: {install_command(EXTRA)}"


async def demo(
    overrides: Mapping[str, object], open_page: Callable[[str], object] | None
) -> int:
    """Run all of it in one process until a signal says stop.

    A port that is taken is replaced by the next free one, except one that somebody
    has chosen for the proxy: that is where it will be looked for.
    """
    settings = load(CONFIG, os.environ, overrides).server
    log_own_events()
    try:
        sockets = proxy_sockets(settings, strict=PORT in overrides)
    except OSError as fault:
        cause = fault.__cause__ if isinstance(fault.__cause__, OSError) else fault
        why = listening_fault(both_families(settings.host), settings.port, cause)
        console.print_error(f"cannot listen on {why}")
        return console.FAILED
    wanted = Ports(proxy=port_of(sockets))
    async with AsyncExitStack() as stack:
        for each in sockets:
            stack.callback(each.close)
        try:
            services = start_services(wanted, any_port=True)
            ports = await stack.enter_async_context(services)
        except (OSError, ValueError) as fault:
            reason = fault.strerror if isinstance(fault, OSError) else fault
            console.print_error(str(reason))
            return console.FAILED
        moved = [
            moved_note(SERVICES[name], getattr(wanted, name), getattr(ports, name))
            for name in SERVICES
        ]
        moved.append(moved_note("proxy", settings.port, ports.proxy, settings.host))

        def ready(server: Server) -> None:
            address = f"http://localhost:{server.port}/"
            notes = "".join(f"{each}\n" for each in moved if each)
            console.say(f"\n{notes}Open {address}\n")
            if open_page is not None:
                open_page(address)

        config = load(CONFIG, environ_of(ports), {**overrides, PORT: ports.proxy})
        return await process.serve(config, ready, sockets=sockets)


def log_own_events() -> None:
    """Of other libraries only warnings: a client of HTTP logs each of its requests."""
    logging.getLogger().setLevel(logging.WARNING)
    for name in ("unbuffered", "upstream_demo"):
        logging.getLogger(name).setLevel(logging.INFO)


def environ_of(ports: Ports) -> dict[str, str]:
    """The variables by which the configuration knows where the services are."""
    return dict(os.environ) | {
        f"UNBUFFERED_DEMO_{name.upper()}_PORT": str(getattr(ports, name))
        for name in SERVICES
    }


def proxy_sockets(settings: ServerOptions, *, strict: bool) -> list[socket.socket]:
    """Where the proxy listens: nobody can take its port while the services start.

    Raises:
        OSError: it cannot; `strict`: also where another port would do.
    """
    others = [getattr(Ports(), name) for name in SERVICES]
    return listen(
        "proxy", settings.host, settings.port, any_port=not strict, avoid=others
    )


def moved_note(what: str, wanted: int, got: int, host: str = "127.0.0.1") -> str:
    """That something is on another port than documented, and why; "" if it is not."""
    if got == wanted or not wanted:
        return ""
    taken = f"port {wanted} is in use{holder_note(both_families(host), wanted)}"
    return f"{taken}: the {what} is on port {got}"


def both_families(host: str) -> str:
    """A host to listen on as `listen` takes it: both loopbacks, if it is one."""
    return "localhost" if host in LOOPBACK else host
