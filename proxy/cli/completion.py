"""Shell completion, made from the arguments by shtab."""

from __future__ import annotations

import argparse

import shtab

FILES = {
    "config",
    "source",
    "output",
    "records",
}  # arguments that name a file or a folder


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that makes a shell complete the command."""
    mark_files(parser)
    script: str = shtab.complete(parser, shell)
    return script


def mark_files(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments are files, of every command.

    It reads an attribute of the action, and argparse has no public way from a
    parser to its actions; shtab goes the same way.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                mark_files(command)
        elif action.dest in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
