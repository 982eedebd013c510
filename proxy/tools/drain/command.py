"""The command `unbuffered drain`: its arguments, its exit codes.

0: drained, and no client was left with half a response. 1: it could not be begun, or
its end is not known. 2: the file that has the address has faults. 3: clients were left
with half a response. 4: it goes on, and the time to wait for it is over.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy.quantities import counted
from proxy.standard_streams import let_go
from proxy.tools.drain.drain_request import DrainFailed, StillDraining, lines
from proxy.tools.running_proxy import (
    DEFAULT_ADDRESS,
    DEFAULT_CONFIG,
    add_arguments,
    find_proxy,
)

OK, FAILED, CUT, UNDER_WAY = 0, 1, 3, 4
EXAMPLES = """\
examples:
  unbuffered drain
  unbuffered drain --config /etc/unbuffered/config.toml
  unbuffered drain --url https://localhost:8443 --timeout 60
  unbuffered drain --no-wait

exit status: 0 drained (or begun, with --no-wait), 1 no proxy answers, or it
does not allow access, 2 the configuration file has faults, 3 drained, but
open exchanges were cut, 4 not drained within --timeout; the drain continues
"""


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    say: Callable[[str], None],
) -> None:
    """Add the command to a command line; `say` tells a person something."""
    command = commands.add_parser(
        "drain",
        help="drain a running proxy and wait until it has ended",
        description="Drain a running proxy with all of its workers, as SIGTERM "
        "does, and wait\nuntil it has ended. For preStop in Kubernetes, ExecStop in "
        "systemd, and scripts.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--url",
        metavar="URL",
        help=f"address of the proxy (default: {DEFAULT_ADDRESS})",
    )
    add_arguments(command)
    command.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="wait until no exchange is left (default)",
    )
    command.add_argument(
        "--timeout",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait no longer than that (default: as long as the drain takes)",
    )
    command.set_defaults(run=lambda options: run(options, say))


def seconds(text: str) -> float:
    """A number of seconds."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError
    return number


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Begin it, and wait."""
    # A file that cannot be read says nothing of who is meant, and what answers at the
    # default address would end.
    proxy = find_proxy(
        options.url,
        options.config,
        options.token,
        os.environ,
        beside=Path(DEFAULT_CONFIG),
        guess=False,
    )
    shown, cut, exchanges = "", 0, 0
    try:
        for told in lines(proxy, wait=options.wait, timeout=options.timeout):
            cut, exchanges = told.get("cut", 0), told.get("exchanges", 0)
            text = in_words(told)
            if text != shown:
                shown = text
                show(text)
    except DrainFailed as failure:
        say(f"unbuffered: {failure}")
        return FAILED
    except StillDraining:
        say(
            f"unbuffered: {counted(exchanges, 'exchange')} still open after "
            f"{options.timeout:g} s (--timeout); the drain continues"
        )
        return UNDER_WAY
    return CUT if cut else OK


def show(text: str) -> None:
    """One line of the progress; who reads it no longer may still wait for the end."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        let_go(sys.stdout)


def in_words(told: dict[str, Any]) -> str:
    """One line of the progress."""
    state, exchanges = told["state"], counted(told.get("exchanges") or 0, "exchange")
    left = f"{told.get('seconds') or 0:g} s"
    if state == "ended":
        cut = told.get("cut") or 0
        return f"drained; {counted(cut, 'exchange')} cut" if cut else "drained"
    if state == "delay":
        return f"not ready; the drain begins in {left}; {exchanges} open"
    if state == "draining":
        return f"draining for up to {left}; {exchanges} open"
    return f"the drain is about to begin; {exchanges} open"
