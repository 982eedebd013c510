"""`unbuffered serve`: its arguments, and what they say of the configuration.

Other commands that need a configuration take the same arguments.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.cli import help
from proxy.cli.help import Commands, add_command
from proxy.errors import ConfigError, in_words
from proxy.process import console
from proxy.process.early_signals import EarlySignals

if TYPE_CHECKING:
    from proxy.config.model import Config
    from proxy.process.dev_certificate import DevCertificate
    from proxy.record.recorder import Recording

DEFAULT_CONFIG = "config.toml"


def add_serve(commands: Commands) -> None:
    serve = add_command(
        commands,
        "serve",
        run_serve,
        brief="run the proxy",
        description="Run the proxy with a configuration file, or with --route "
        "options only.",
        epilog=help.SERVE_EXAMPLES,
    )
    add_config_arguments(serve)
    serve.add_argument(
        "--watch",
        action="store_true",
        help="reload when the configuration file, the certificate or a ca_file changes",
    )
    serve.add_argument(
        "--tls",
        choices=["dev"],
        help="dev: serve HTTPS with a development certificate, created on first "
        "use; prints how to trust it",
    )
    serve.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="record each exchange in a file of its own in this directory: all that "
        "the upstream sent, with its times. Credentials in fields and addresses are "
        "masked, bodies are not",
    )
    serve.add_argument(
        "--record-route",
        action="append",
        default=[],
        metavar="/PREFIX",
        help="record this route only. Can be repeated",
    )


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
        help="a route without a configuration file; removes the prefix from the "
        "path, sends the target's host, and tunnels WebSocket. Can be repeated",
    )
    command.add_argument("--host", help="address to listen on")
    command.add_argument("--port", type=int, help="port to listen on")
    command.add_argument(
        "--workers",
        metavar="N|auto",
        help="number of processes that share the port (default 1)",
    )
    command.add_argument(
        "--log-format", choices=["text", "json"], help="form of both logs"
    )


def configuration(options: argparse.Namespace) -> Config:
    """The configuration that the arguments ask for.

    Raises:
        ConfigError: with every fault.
    """
    from proxy.config.load import from_routes, load

    overrides = {
        key: value
        for key, value in (
            ("server.host", options.host),
            ("server.port", options.port),
            ("server.workers", options.workers),
            ("log.format", options.log_format),
        )
        if value is not None
    }
    if not options.route:
        path = options.config or Path(DEFAULT_CONFIG)
        return load(path, os.environ, overrides)
    if options.config is not None:
        raise ConfigError(["--config and --route cannot be combined: use one of them"])
    routes: dict[str, str] = {}
    for text in options.route:
        prefix, equals, target = text.partition("=")
        if not equals or prefix in routes:
            fault = (
                "the prefix is given twice"
                if equals
                else "write /prefix=http://host:port"
            )
            raise ConfigError([f"--route {text}: {fault}"])
        routes[prefix] = target
    return from_routes(routes, overrides)


def serving(options: argparse.Namespace) -> tuple[Config, DevCertificate | None]:
    """The configuration to serve by, and the certificate that `--tls dev` gave it.

    Raises:
        ConfigError: with every fault.
    """
    config = configuration(options)
    if options.tls is None:
        return config, None
    if config.server.tls_certificate:
        raise ConfigError(
            ["--tls dev: [server] tls_certificate is also set: use only one of them"]
        )
    from msgspec.structs import replace

    from proxy.process.dev_certificate import dev_certificate

    made = dev_certificate(config.server.host, os.environ)
    server = replace(
        config.server, tls_certificate=str(made.certificate), tls_key=str(made.key)
    )
    return replace(config, server=server), made


def recording(options: argparse.Namespace, config: Config) -> Recording | None:
    """What `--record` asks for; its directory is there then.

    Raises:
        ConfigError: it cannot be had.
    """
    from proxy.config.fault_text import choice

    directory: Path | None = options.record
    if directory is None:
        if options.record_route:
            raise ConfigError(["--record-route needs --record DIR"])
        return None
    faults = [
        f"--record-route {prefix}: there is no such route; expected "
        f"{choice(list(config.routes))}"
        for prefix in options.record_route
        if prefix not in config.routes
    ]
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            faults.append(f"--record {directory}: cannot be written to")
    except OSError as fault:
        faults.append(f"--record {directory}: {in_words(fault)}")
    if faults:
        raise ConfigError(faults)

    from proxy.record.recorder import Recording

    return Recording(directory, tuple(options.record_route))


def run_serve(options: argparse.Namespace) -> int:
    """`unbuffered serve`"""
    early = EarlySignals()
    with early.listening(reloads=not options.route):
        return serve(options, early)


def serve(options: argparse.Namespace, early: EarlySignals) -> int:
    """Run the proxy; the exit code."""
    from proxy.config.worker_count import number_of_workers
    from proxy.process import process
    from proxy.process.inspector_link import AutoToken
    from proxy.process.reload import log_warnings
    from proxy.process.service_manager import service_manager
    from proxy.process.socket_activation import (
        given_sockets,
        listening_there,
        public_address,
    )

    console.set_up_logging(form=options.log_format or "text")
    token = AutoToken()
    config, made = serving(options)
    console.write_events_as(config.log.format)
    given = given_sockets(os.environ, config)
    there = public_address(given)
    config = listening_there(token.fill(config), there)
    manager = service_manager(os.environ)
    log_warnings(config)
    if options.route and options.watch:
        raise ConfigError(
            ["--watch needs a configuration file: there is none with --route"]
        )

    records = recording(options, config)

    def ready(port: int) -> None:
        if made is not None:
            console.say(made.told(port))
        if records is not None:
            console.say(records.told)

    def read() -> Config:
        return listening_there(token.fill(serving(options)[0]), there)

    again = None if options.route else read
    watch = (options.config or Path(DEFAULT_CONFIG)) if options.watch else None
    if number_of_workers(config.server.workers) > 1:
        from proxy.process.workers.supervisor import supervise  # not for every system

        return supervise(config, ready, again, watch, records, manager, given, early)
    return console.run(
        process.serve(
            config,
            lambda server: ready(server.port),
            read=again,
            watch=watch,
            recording=records,
            manager=manager,
            given=given,
            early=early,
        )
    )
