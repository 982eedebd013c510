"""The syntax of nginx: directives with words, some of them with a block.

Quotes, comments and escapes as nginx reads them; no directive is known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.tools.importers.draft import Unreadable
from proxy.tools.importers.nginx_lua import end_of_lua, is_lua

TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<mark>[{};])
  | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
  | (?P<word>(?!["'])(?:\$\{\w*\}|\\.|[^\s{};\\])+)
    """,
    re.VERBOSE | re.DOTALL,
)
# Jinja, Helm, ERB and the like.
TEMPLATE = re.compile(r"\{\{|\{%|<%")
TEMPLATE_FOUND = (
    "{name}:{line}: a template ({mark} … ): render it first, and import the result"
)
ESCAPED = re.compile(r"\\([\"'\\ ;{}])")


@dataclass(slots=True)
class Directive:
    """One directive, where it stands, and what is in its block.

    `filters`: an `if` that anybody can meet (see nginx_condition). `per_client`: a
    `limit_conn` that counts by the address of the client.
    """

    words: list[str]
    line: int
    block: list[Directive] = field(default_factory=list)
    file: str = ""
    filters: bool = False
    per_client: bool = False

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
    try:
        return directives(text, name)
    except Unreadable:
        found = TEMPLATE.search(text)
        if found is None:
            raise
        line = text.count("\n", 0, found.start()) + 1
        raise Unreadable(
            TEMPLATE_FOUND.format(name=name, line=line, mark=found[0])
        ) from None


def directives(text: str, name: str) -> list[Directive]:
    top: list[Directive] = []
    blocks = [top]
    words: list[str] = []
    begun = line = 1
    for line, kind, word in tokens(text, name):
        if kind == "lua":
            blocks[-1].append(Directive(words, begun, file=name))
            words = []
        elif kind != "mark":
            begun = begun if words else line
            words.append(word)
        elif word == "}":
            if words or len(blocks) == 1:
                raise Unreadable(f"{name}:{line}: unexpected }}")
            blocks.pop()
        elif not words:
            if word == "{":
                raise Unreadable(
                    f"{name}:{line}: unexpected {{: no directive before it"
                )
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
    position, line, first = 0, 1, ""
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            raise Unreadable(f"{name}:{line}: a quote is not closed")
        kind = found.lastgroup or ""
        whole = found[0]
        if kind == "mark" and whole == "{" and is_lua(first):
            end = end_of_lua(text, found.end())
            if end < 0:
                raise Unreadable(f"{name}:{line}: the file ends inside Lua code")
            whole = text[position : end + 1]
            yield line, "lua", whole
            first = ""
        elif kind != "space":
            word = found[kind] if kind == "mark" else ESCAPED.sub(r"\1", found[kind])
            first = "" if kind == "mark" else first or word
            yield line, kind, word
        line += whole.count("\n")
        position += len(whole)


def walk(directives: list[Directive]) -> Iterator[Directive]:
    """All directives, each before those of its block."""
    for directive in directives:
        yield directive
        yield from walk(directive.block)
