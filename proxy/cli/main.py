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
from collections.abc import Sequence

from proxy import __version__, colour
from proxy.cli import help
from proxy.cli.arguments import Parser
from proxy.cli.help import Commands, add_command
from proxy.cli.serve import add_config_arguments, add_serve, configuration
from proxy.errors import ConfigError
from proxy.process import console
from proxy.standard_streams import let_go, never_raise, open_closed

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
SHELLS = ("bash", "zsh", "fish")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    open_closed()
    never_raise(sys.stdout, sys.stderr)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        show(parser().format_help().rstrip("\n"))
        return console.OK
    first = given[0] if given and given[0] in COMMANDS else None
    options = parser(first).parse_args(given)
    try:
        status: int = options.run(options)
    except ConfigError as error:
        for fault in error.faults:
            console.print_error(fault)
        return console.USAGE
    except KeyboardInterrupt:
        return console.OK
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        let_go(sys.stdout)
        console.print_error(f"cannot write the output: {error.strerror}")
        return console.FAILED
    finally:
        console.finish_output()
    return status


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, or as much of it as one command needs.

    A command imports what it needs when it is added: `check` knows no proxy.
    """
    top: argparse.ArgumentParser = Parser(
        prog="unbuffered",
        description="A streaming reverse proxy that never buffers a response.",
        epilog="Run 'unbuffered COMMAND --help' for the options and examples of a "
        "command.",
    )
    top.add_argument("--version", action="version", version=f"unbuffered {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, add in COMMANDS.items():
        if only in (None, name):
            add(commands)
    return top


def add_check(commands: Commands) -> None:
    check = add_command(
        commands,
        "check",
        run_check,
        brief="check a configuration and print what differs from the defaults",
        description="Check a configuration. Prints each value that is not its "
        "default, with its\nsource, or every error; warnings and a "
        "verdict come last.",
        epilog=help.CHECK_EXAMPLES,
    )
    add_config_arguments(check)
    check.add_argument(
        "--all", action="store_true", help="print every value, also the defaults"
    )
    check.add_argument(
        "--strict", action="store_true", help="exit with status 1 if there is a warning"
    )


def add_explain(commands: Commands) -> None:
    from proxy.tools.explain import command as explaining

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


def add_doctor(commands: Commands) -> None:
    from proxy.tools.doctor.probe.command import add_doctor

    add_doctor(commands, console.run)


def add_origin(commands: Commands) -> None:
    from proxy.tools.doctor.probe.command import add_origin

    add_origin(commands, console.run)


def add_record(commands: Commands) -> None:
    from proxy.tools.record.command import add_command

    add_command(commands, console.run, console.say)


def add_replay(commands: Commands) -> None:
    from proxy.tools.replay.command import add_command

    add_command(commands, console.run, console.say)


def add_convert(commands: Commands) -> None:
    from proxy.tools.convert.command import add_command

    add_command(commands, console.say)


def add_top(commands: Commands) -> None:
    from proxy.tools.top.command import add_commands

    add_commands(commands, console.say)


def add_drain(commands: Commands) -> None:
    from proxy.tools.drain.command import add_command

    add_command(commands, console.say)


def add_import(commands: Commands) -> None:
    from proxy.tools.migrate.command import add_import

    add_import(commands, console.say)


def add_init(commands: Commands) -> None:
    from proxy.tools.migrate.command import add_init

    add_init(commands, console.say)


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
    demo.add_argument(
        "--port",
        type=int,
        help="port of the proxy (default: 8080, or the next one that is free)",
    )
    demo.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    demo.add_argument(
        "--no-open", action="store_true", help="do not open the page in a browser"
    )
    demo.add_argument(
        "--access-log",
        action="store_true",
        help="print a line for each request, which the page makes many of",
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
    from proxy.config.effective import expiry_lines, report, verdict
    from proxy.quantities import counted

    try:
        config = configuration(options)
    except ConfigError as error:
        for fault in error.faults:
            console.print_error(fault)
        number = counted(len(error.faults), "fault")
        show(f"{number}: the configuration cannot be used")
        return console.USAGE
    show("\n".join([report(config, everything=options.all), *expiry_lines(config)]))
    for warning in config.warnings:
        console.print_error(f"warning: {warning}")
    show(("\n" if not config.warnings else "") + verdict(config))
    return console.FAILED if options.strict and config.warnings else console.OK


def run_explain(options: argparse.Namespace) -> int:
    """`unbuffered explain`"""
    from proxy.tools.explain import command as explaining

    paint = colour.painter(sys.stdout, os.environ)
    text, status = explaining.explanation(options, configuration(options), paint)
    show(text)
    return status


def run_schema(options: argparse.Namespace) -> int:
    """`unbuffered schema`"""
    from proxy.config.schema import schema

    show(json.dumps(schema(), indent=2))
    return console.OK


def run_completion(options: argparse.Namespace) -> int:
    """`unbuffered completion`"""
    from proxy.cli.completion import completion  # needs a library that no other does

    show(completion(parser(), options.shell))
    return console.OK


def show(text: str) -> None:
    """What a command was asked for, on standard output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # `unbuffered check | head`
        let_go(sys.stdout)


def run_demo(options: argparse.Namespace) -> int:
    """`unbuffered demo`"""
    import webbrowser

    from upstream_demo.demo import demo, what_is_missing

    if missing := what_is_missing():
        console.print_error(missing)
        return console.FAILED
    console.set_up_logging()
    overrides = {
        key: value
        for key, value in (
            ("server.host", options.host),
            ("server.port", options.port),
            ("log.access", options.access_log or None),
        )
        if value is not None
    }
    return console.run(demo(overrides, None if options.no_open else webbrowser.open))


COMMANDS = {
    "serve": add_serve,
    "check": add_check,
    "explain": add_explain,
    "doctor": add_doctor,
    "origin": add_origin,
    "record": add_record,
    "replay": add_replay,
    "convert": add_convert,
    "top": add_top,
    "drain": add_drain,
    "import": add_import,
    "init": add_init,
    "demo": add_demo,
    "schema": add_schema,
    "completion": add_completion,
}

if __name__ == "__main__":
    sys.exit(main())
