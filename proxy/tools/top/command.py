"""The command `unbuffered top`: its arguments, its exit codes.

0: it was shown. 1: there is no feed at that address. 2: faults in the file that has it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from proxy.tools.running_proxy import (
    DEFAULT_ADDRESS,
    DEFAULT_CONFIG,
    add_arguments,
    find_proxy,
)
from proxy.tools.top.feed import FeedRefused
from proxy.tools.top.terminal import top

OK, FAILED = 0, 1
EXAMPLES = """\
examples:
  unbuffered top
  unbuffered top http://127.0.0.1:9000
  unbuffered top --once | grep event-stream
  UNBUFFERED_TOKEN=… unbuffered top https://proxy.example.com

keys: q quits; a, p, b, g, h, n sort by age, pieces, bytes, gap, hold, newest
exit status: 0 success, 1 no proxy answers, or it does not allow access,
2 the file that --config names has faults
"""


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    say: Callable[[str], None],
) -> None:
    """Add the command to a command line; `say` tells a person something."""
    command = commands.add_parser(
        "top",
        help="show the live exchanges of a proxy in the terminal",
        description="Show the exchanges of a running proxy live, as in its "
        "inspector.\nIn a pipe, or with --once, prints the current "
        "state and exits.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="address of the proxy, or the link with a token that it printed (default: "
        f"{DEFAULT_ADDRESS})",
    )
    add_arguments(command)
    command.add_argument("--once", action="store_true", help="print once and exit")
    command.set_defaults(run=lambda options: run(options, say))


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Show it."""
    try:
        with contextlib.suppress(BrokenPipeError):  # `unbuffered top | head`
            proxy = find_proxy(
                options.url,
                options.config,
                options.token,
                os.environ,
                beside=Path(DEFAULT_CONFIG),
            )
            return top(proxy, sys.stdout, once=options.once)
    except FeedRefused as refusal:
        say(f"unbuffered: {refusal}")
        return FAILED
    return OK
