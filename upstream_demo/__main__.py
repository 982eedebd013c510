"""`python -m upstream_demo`: all services, or the one that is named."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from proxy.output import never_raise, open_closed
from upstream_demo.services import SERVICES, Ports, reachable, start_services

FIRST_PATHS = {
    "events": "/events",
    "ai": "/open",
    "lessons": "/list",
    "pages": "/",
}


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    defaults = Ports()
    listed = ", ".join(f"{name} {getattr(defaults, name)}" for name in SERVICES)
    parser = argparse.ArgumentParser(
        prog="python -m upstream_demo",
        description="The demo upstream: services that stream, hold and fail.",
    )
    parser.add_argument(
        "service", nargs="?", choices=tuple(SERVICES), help="one alone (default: all)"
    )
    parser.add_argument(
        "--port", type=port_number, help=f"port of the one service ({listed})"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parsed = parser.parse_args(arguments)
    if parsed.port is not None and parsed.service is None:
        parser.error("--port needs a service: each one has a port of its own")
    return parsed


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 (any) to 65535")
    return int(text)


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        except NotImplementedError:  # pragma: no cover
            # Windows: SIGINT ends the loop with KeyboardInterrupt instead.
            break
    names: tuple[str, ...] = tuple(SERVICES)
    ports = Ports()
    if arguments.service is not None:
        names = (arguments.service,)
        if arguments.port is not None:
            ports = Ports(**{arguments.service: arguments.port})
    async with start_services(ports, host=arguments.host, names=names) as real:
        for name in names:
            port = getattr(real, name)
            address = f"http://{reachable(arguments.host)}:{port}{FIRST_PATHS[name]}"
            say(f"{SERVICES[name]:<16} {address}")
        say("Ctrl-C stops.")
        await stop.wait()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 after a stop, 1 if a service cannot start, 2 for usage."""
    open_closed()
    never_raise(sys.stdout, sys.stderr)
    parsed = read_arguments(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("upstream_demo").setLevel(logging.INFO)
    try:
        asyncio.run(run(parsed))
    except KeyboardInterrupt:  # pragma: no cover - see run()
        pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"upstream_demo: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
