"""The parser of the command line: no abbreviations, and what was meant.

An abbreviation that is unique today means something else once there is another option,
so none is accepted; a suggestion is made by the rules of those for keys.
"""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

UNKNOWN = re.compile(r"unrecognized arguments: (.*)", re.DOTALL)
CHOICE = re.compile(r"argument COMMAND: invalid choice: '([^']*)'.*", re.DOTALL)
# As other programs call it.
OTHER_NAMES = {
    "start": "serve",
    "run": "serve",
    "up": "serve",
    "validate": "check",
    "test": "check",
    "lint": "check",
    "stop": "drain",
}


class Parser(argparse.ArgumentParser):
    """Says what was meant by a wrong option or command."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        super().error(message + self.suggestion(message))

    def suggestion(self, message: str) -> str:
        """What to write instead; "": nothing is like it."""
        from proxy.config.fault_text import choice, snake_case
        from proxy.config.lookalikes import in_ascii
        from proxy.config.suggestions import near

        wrong, known = self.wrong_name(message)
        plain = snake_case(in_ascii(wrong).partition("=")[0].lstrip("-"))
        other = OTHER_NAMES.get(plain, plain)
        names = [
            known[each] for each in ([other] if other in known else near(plain, known))
        ]
        return f": did you mean {choice(names)}?" if names else ""

    def wrong_name(self, message: str) -> tuple[str, dict[str, str]]:
        """The option or command at fault, and those that there are."""
        parsers = [self]
        commands: dict[str, str] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
                commands |= {name: name for name in action.choices}
        found = CHOICE.fullmatch(message)
        if found is not None:
            return found[1], commands
        found = UNKNOWN.fullmatch(message)
        word = found[1].split()[0] if found and found[1].split() else ""
        if not word.startswith(("-", "\u2013", "\u2014", "\u2212")):
            return "", {}
        options = [
            each
            for parser in parsers
            for action in parser._actions
            for each in action.option_strings
            if each.startswith("--")
        ]
        return word, {each[2:].replace("-", "_"): each for each in options}
