"""The command `unbuffered top`: its arguments, its exit codes.

0: it was shown. 1: there is no feed at that address.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable

from proxy.tools.top.feed import FeedRefused
from proxy.tools.top.terminal import top

OK, FAILED = 0, 1
DEFAULT_URL = "http://127.0.0.1:8080"
EXAMPLES = """\
examples:
  unbuffered top
  unbuffered top http://127.0.0.1:9000
  unbuffered top --once | grep event-stream

keys: q quits; a, p, b, g, h, n sort by age, pieces, bytes, gap, hold, newest
exit status: 0 success, 1 no proxy answers, or it does not allow access
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
        default=DEFAULT_URL,
        metavar="URL",
        help=f"address of the proxy (default {DEFAULT_URL})",
    )
    command.add_argument("--once", action="store_true", help="print once and exit")
    command.set_defaults(run=lambda options: run(options, say))


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Show it."""
    try:
        with contextlib.suppress(BrokenPipeError):  # `unbuffered top | head`
            return top(options.url, sys.stdout, once=options.once)
    except FeedRefused as refusal:
        say(f"unbuffered: {refusal}")
        return FAILED
    return OK
