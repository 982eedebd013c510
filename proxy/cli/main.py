"""The command `unbuffered` and its commands. Owns arguments and exit codes.

0: all went well. 1: it could not run (a port in use), or `explain` found that a
request is refused. 2: a wrong configuration or wrong arguments; every fault is
told. `process` has more, and `doctor` its own.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import webbrowser
from collections.abc import Sequence

from proxy import __version__, colour
from proxy.cli import help
from proxy.cli.help import Commands, add_command
from proxy.cli.serve import add_config_arguments, add_serve, configuration
from proxy.config.effective import report
from proxy.config.schema import schema
from proxy.errors import ConfigError
from proxy.process import process
from proxy.standard_streams import let_go, never_raise, open_closed
from proxy.tools.doctor.probe.command import add_commands as add_doctor
from proxy.tools.explain import command as explaining
from proxy.tools.migrate.command import add_commands as add_migration
from proxy.tools.top.command import add_commands as add_top

COMMANDS = (
    "serve",
    "check",
    "explain",
    "doctor",
    "origin",
    "top",
    "import",
    "init",
    "demo",
    "schema",
    "completion",
)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
SHELLS = ("bash", "zsh", "fish")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    open_closed()
    never_raise(sys.stdout, sys.stderr)
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ConfigError as error:
        for fault in error.faults:
            process.print_error(fault)
        return process.USAGE
    except KeyboardInterrupt:
        return process.OK
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        let_go(sys.stdout)
        process.print_error(f"cannot write the output: {error.strerror}")
        return process.FAILED
    finally:
        process.finish_output()
    return status


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="unbuffered",
        description="A streaming reverse proxy that never buffers a response.",
        epilog="Run 'unbuffered COMMAND --help' for the options and examples of a "
        "command.",
    )
    top.add_argument("--version", action="version", version=f"unbuffered {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands)
    add_check(commands)
    add_explain(commands)
    add_doctor(commands, process.run)
    add_top(commands, process.say)
    add_migration(commands, process.say)
    add_demo(commands)
    add_schema(commands)
    add_completion(commands)
    return top


def add_check(commands: Commands) -> None:
    check = add_command(
        commands,
        "check",
        run_check,
        brief="check a configuration and print every effective value",
        description="Check a configuration. Prints every effective value and its "
        "source,\nor every error (exit status 2).",
        epilog=help.CHECK_EXAMPLES,
    )
    add_config_arguments(check)


def add_explain(commands: Commands) -> None:
    explain = add_command(
        commands,
        "explain",
        run_explain,
        brief="show how a request would be handled, without sending it",
        description="Show which route matches a request and why the others do not, "
        "what\nthe upstream would receive, and which limits apply. "
        "Sends nothing.",
        epilog=explaining.EXAMPLES,
    )
    explaining.add_arguments(explain)
    add_config_arguments(explain)


def add_demo(commands: Commands) -> None:
    demo = add_command(
        commands,
        "demo",
        run_demo,
        brief="run the demo: upstreams, proxy and page",
        description="Run the demo upstreams, a proxy in front of them and a "
        "page\nthat shows the difference. Needs no API key and no "
        "network.",
        epilog=help.DEMO_EXAMPLES,
    )
    demo.add_argument("--port", type=int, help="port of the proxy (default 8080)")
    demo.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    demo.add_argument(
        "--no-open", action="store_true", help="do not open the page in a browser"
    )


def add_schema(commands: Commands) -> None:
    add_command(
        commands,
        "schema",
        run_schema,
        brief="print the JSON Schema of configuration files",
        description="Print the JSON Schema of configuration files, which editors "
        "use\nfor completion and validation.",
        epilog=help.SCHEMA_EXAMPLES,
    )


def add_completion(commands: Commands) -> None:
    completion = add_command(
        commands,
        "completion",
        run_completion,
        brief="print a shell completion script",
        description="Print a completion script for a shell.",
        epilog=help.COMPLETION_EXAMPLES,
    )
    completion.add_argument("shell", choices=SHELLS)


def run_check(options: argparse.Namespace) -> int:
    """`unbuffered check`"""
    show(report(configuration(options)))
    return process.OK


def run_explain(options: argparse.Namespace) -> int:
    """`unbuffered explain`"""
    paint = colour.painter(sys.stdout, os.environ)
    text, status = explaining.explanation(options, configuration(options), paint)
    show(text)
    return status


def run_schema(options: argparse.Namespace) -> int:
    """`unbuffered schema`"""
    show(json.dumps(schema(), indent=2))
    return process.OK


def run_completion(options: argparse.Namespace) -> int:
    """`unbuffered completion`"""
    from proxy.cli.completion import completion  # needs a library that no other does

    show(completion(parser(), options.shell))
    return process.OK


def show(text: str) -> None:
    """What a command was asked for, on standard output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # `unbuffered check | head`
        let_go(sys.stdout)


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
