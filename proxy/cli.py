"""The command `unbuffered`: serve, check, demo. Owns arguments and exit codes.

0: all went well. 1: it could not run (a port in use). 2: a wrong
configuration or wrong arguments; every fault is told. `process` has more.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from proxy import __version__, process
from proxy.config.load import from_routes, load
from proxy.config.model import Config
from proxy.config.report import report
from proxy.errors import ConfigError

DEFAULT_CONFIG = "config.toml"
COMMANDS = ("serve", "check", "demo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ConfigError as error:
        for fault in error.faults:
            process.print_error(fault)
        return process.USAGE
    except KeyboardInterrupt:
        return process.OK
    return status


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="unbuffered",
        description="The reverse proxy that never holds a piece of a stream.",
    )
    top.add_argument("--version", action="version", version=f"unbuffered {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser(
        "serve",
        help="run the proxy",
        description="Run the proxy: by a configuration file, or by --route alone.",
        epilog="example: unbuffered serve --route /sse=http://localhost:8002",
    )
    add_config_arguments(serve)
    serve.add_argument(
        "--watch",
        action="store_true",
        help="reload when the configuration file or the certificate changes",
    )
    serve.set_defaults(run=run_serve)

    check = commands.add_parser(
        "check",
        help="check a configuration and print every effective value",
        description="Check a configuration. Prints every effective value and where "
        "it came from, or every fault (exit status 2).",
    )
    add_config_arguments(check)
    check.set_defaults(run=run_check)

    demo = commands.add_parser(
        "demo",
        help="run the demo: upstreams, proxy and page",
        description="Run the demo upstreams, the proxy before them and the page "
        "that shows the difference. Needs no key and no network.",
    )
    demo.add_argument("--port", type=int, help="port of the proxy (default 8080)")
    demo.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    demo.add_argument(
        "--no-open", action="store_true", help="do not open the page in a browser"
    )
    demo.set_defaults(run=run_demo)
    return top


def add_config_arguments(command: argparse.ArgumentParser) -> None:
    """What says which configuration to use."""
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"configuration file (default: ./{DEFAULT_CONFIG})",
    )
    command.add_argument(
        "--route",
        action="append",
        default=[],
        metavar="/PREFIX=TARGET",
        help="a route without any file; the prefix is taken off the path and the "
        "target's host is sent. May be repeated",
    )
    command.add_argument("--host", help="address to listen on")
    command.add_argument("--port", type=int, help="port to listen on")
    command.add_argument("--log-format", choices=["text", "json"], help="access log")


def configuration(options: argparse.Namespace) -> Config:
    """The configuration that the arguments ask for.

    Raises:
        ConfigError: with every fault.
    """
    overrides = {
        key: value
        for key, value in (
            ("server.host", options.host),
            ("server.port", options.port),
            ("log.format", options.log_format),
        )
        if value is not None
    }
    if not options.route:
        path = options.config or Path(DEFAULT_CONFIG)
        return load(path, os.environ, overrides)
    if options.config is not None:
        raise ConfigError(["--config and --route exclude each other; use one of them"])
    routes: dict[str, str] = {}
    for text in options.route:
        prefix, equals, target = text.partition("=")
        if not equals or prefix in routes:
            fault = "given twice" if equals else "write /prefix=http://host:port"
            raise ConfigError([f"--route {text}: {fault}"])
        routes[prefix] = target
    return from_routes(routes, overrides)


def run_serve(options: argparse.Namespace) -> int:
    """`unbuffered serve`"""
    process.set_up_logging()
    config = configuration(options)
    if options.route:
        if options.watch:
            raise ConfigError(["--watch: with --route there is no file to watch"])
        return process.run(process.serve(config))
    return process.run(
        process.serve(
            config,
            read=lambda: configuration(options),
            watch=(options.config or Path(DEFAULT_CONFIG)) if options.watch else None,
        )
    )


def run_check(options: argparse.Namespace) -> int:
    """`unbuffered check`"""
    with contextlib.suppress(BrokenPipeError):  # `unbuffered check | head`
        print(report(configuration(options)), flush=True)
    return process.OK


def run_demo(options: argparse.Namespace) -> int:
    """`unbuffered demo`"""
    from upstream_demo.demo import demo

    process.set_up_logging()
    overrides = {
        key: value
        for key, value in (
            ("server.host", options.host),
            ("server.port", options.port),
        )
        if value is not None
    }
    return process.run(demo(overrides, None if options.no_open else webbrowser.open))


if __name__ == "__main__":
    sys.exit(main())
