"""The pages of help: a line in the list, a page with examples for each command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

SERVE_EXAMPLES = """\
examples:
  unbuffered serve
  unbuffered serve --config proxy.toml --watch
  unbuffered serve --route /sse=http://localhost:8002
  unbuffered serve --route /api=http://localhost:3000 --port 9000 --log-format json

signals: SIGTERM and SIGINT drain, SIGHUP reloads
exit status: 0 clean shutdown, 1 cannot listen, 2 wrong arguments or
configuration, 3 open exchanges were cut, 130 or 143 another signal forced the exit
"""
CHECK_EXAMPLES = """\
examples:
  unbuffered check
  unbuffered check --all | grep timeout
  unbuffered check --config proxy.toml
  unbuffered check --route /sse=http://localhost:8002
  unbuffered check --strict || echo "look at the warnings"

exit status: 0 no fault, 1 warnings and --strict, 2 faults or wrong arguments
"""
DEMO_EXAMPLES = """\
examples:
  unbuffered demo
  unbuffered demo --port 9000 --no-open
"""
SCHEMA_EXAMPLES = """\
example:
  unbuffered schema > config.schema.json

Then put this line at the top of the configuration, for Taplo, Even Better TOML and
other editors:

  #:schema ./config.schema.json
"""
COMPLETION_EXAMPLES = """\
examples:
  unbuffered completion bash > ~/.local/share/bash-completion/completions/unbuffered
  unbuffered completion zsh > ~/.zfunc/_unbuffered    # with fpath+=~/.zfunc
  unbuffered completion fish > ~/.config/fish/completions/unbuffered.fish
"""


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    brief: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """A command: its line in the list, its page of help, and what runs it."""
    command = commands.add_parser(
        name,
        help=brief,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command
