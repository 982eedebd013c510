"""`python -m upstream_demo`: all services, or the one that is named."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from proxy.line_writer import finish, line_writer
from proxy.standard_streams import never_raise, open_closed
from upstream_demo.services import SERVICES, Ports, reachable, start_services

FLUSH_SECONDS = 1.0  # at the end, for what was logged to be written
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
        description="The demo upstream: services that stream, buffer and fail.",
    )
    parser.add_argument(
        "service",
        nargs="?",
        choices=tuple(SERVICES),
        help="run only this service (default: all)",
    )
    parser.add_argument(
        "--port", type=port_number, help=f"port of the service ({listed})"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parsed = parser.parse_args(arguments)
    if parsed.port is not None and parsed.service is None:
        parser.error("--port needs a service name: each service has its own port")
    return parsed


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid port: write a "
            "number from 0 (any free port) to 65535"
        )
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
    """Tell the person who started it; streams do not wait until it is read."""
    line_writer(sys.stdout, "demo output", "the output").write(f"{line}\n")


def set_up_logging() -> None:
    """One line each on standard error, for which no stream waits."""
    stream = line_writer(sys.stderr, "demo log", "this log")
    logging.basicConfig(format="%(message)s", handlers=[logging.StreamHandler(stream)])
    logging.getLogger("upstream_demo").setLevel(logging.INFO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 after a stop, 1 if a service cannot start, 2 for usage."""
    open_closed()
    never_raise(sys.stdout, sys.stderr)
    parsed = read_arguments(arguments)
    set_up_logging()
    try:
        asyncio.run(run(parsed))
    except KeyboardInterrupt:  # pragma: no cover - see run()
        pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"upstream_demo: {reason}\n")
        return 1
    finally:
        finish(FLUSH_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
