"""The syntax of nginx: directives with words, some of them with a block.

Quotes, comments and escapes as nginx reads them; no directive is known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.dialects.draft import Unreadable

TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<mark>[{};])
  | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
  | (?P<word>(?!["'])(?:\$\{\w*\}|\\.|[^\s{};\\])+)
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPED = re.compile(r"\\([\"'\\ ;{}])")


@dataclass(slots=True)
class Directive:
    """One directive, where it stands, and what is in its block."""

    words: list[str]
    line: int
    block: list[Directive] = field(default_factory=list)
    file: str = ""

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def values(self) -> list[str]:
        return self.words[1:]

    def all(self, name: str) -> list[Directive]:
        """The directives of that name in its block."""
        return [each for each in self.block if each.name == name]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return " ".join(self.words)


def parse(text: str, name: str) -> list[Directive]:
    """All directives of a file.

    Raises:
        Unreadable: names the line at which it is no configuration of nginx.
    """
    top: list[Directive] = []
    blocks = [top]
    words: list[str] = []
    begun = line = 1
    for line, kind, word in tokens(text, name):
        if kind != "mark":
            begun = begun if words else line
            words.append(word)
        elif word == "}":
            if words or len(blocks) == 1:
                raise Unreadable(f"{name}:{line}: a }} that closes nothing")
            blocks.pop()
        elif not words:
            if word == "{":
                raise Unreadable(f"{name}:{line}: a {{ without a directive before it")
        else:
            directive = Directive(words, begun, file=name)
            blocks[-1].append(directive)
            words = []
            if word == "{":
                blocks.append(directive.block)
    if words or len(blocks) > 1:
        raise Unreadable(f"{name}:{line}: the file ends inside a directive")
    return top


def tokens(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Line, kind and text of each word and mark."""
    position, line = 0, 1
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            raise Unreadable(f"{name}:{line}: a quote that is not closed")
        kind = found.lastgroup or ""
        if kind != "space":
            word = found[kind]
            yield line, kind, word if kind == "mark" else ESCAPED.sub(r"\1", word)
        line += found[0].count("\n")
        position = found.end()


def walk(directives: list[Directive]) -> Iterator[Directive]:
    """All directives, each before those of its block."""
    for directive in directives:
        yield directive
        yield from walk(directive.block)
