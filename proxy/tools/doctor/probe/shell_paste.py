"""A command as it was copied: shells' quotations undone, what is no curl left out.

Browsers copy for bash, with `$'…'` strings, and for Windows' cmd, with carets.
"""

from __future__ import annotations

import re
import shlex

from proxy.tools.doctor.probe.request import AskError

# What stands in quotation marks is left alone; `$'…'` is group 1.
QUOTED = re.compile(
    r"""'[^']*'|"(?:[^"\\]|\\.)*"|\$'((?:[^'\\]|\\.)*)'|\\.""", re.DOTALL
)
ESCAPE = re.compile(
    r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|.)",
    re.DOTALL,
)
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b",
           "E": "\x1b", "f": "\f", "v": "\v"}  # fmt: skip
CARETS = re.compile(r'\^"|\^\r?\n')
# In cmd a caret before two line ends leaves one, before one none.
CARET = re.compile(r"\^(?:\r?\n(\r?\n)|(\r?\n)|(.))", re.DOTALL)
CURL = ("curl", "curl.exe")
ENDS = re.compile(r"(?:\||\|\||&|&&|;|\d?>{1,2}.*|<.*)")  # of a command, as a word


def words_of(text: str) -> list[str]:
    """A pasted command as the words that its shell would make of it.

    Raises:
        AskError: it is not whole.
    """
    if CARETS.search(text):
        text = CARET.sub(lambda found: found[1] or found[3] or " ", text)
    text = text.replace("\\\r\n", " ").replace("\\\n", " ").replace("`\n", " ")
    text = QUOTED.sub(plainly, text)
    try:
        return shlex.split(text)
    except ValueError:
        message = "curl: a quote is not closed; was the whole command copied?"
        raise AskError(message) from None


def plainly(found: re.Match[str]) -> str:
    """A `$'…'` string as an ordinary one; what else is quoted as it is."""
    if found[1] is None:
        return found[0]
    return shlex.quote(ESCAPE.sub(lambda escape: character(escape[1]), found[1]))


def character(name: str) -> str:
    """What an escape of bash's `$'…'` stands for."""
    if name[0] in "xuU" and len(name) > 1:
        return chr(int(name[1:], 16))
    if name[0] in "01234567":
        return chr(int(name, 8) & 0xFF)
    return LETTERS.get(name, name)


def curl_words(words: list[str]) -> list[str]:
    """The words of the curl command: no prompt before, no pipe behind.

    Raises:
        AskError: it was copied for another shell.
    """
    if any(word.startswith("^") and word.endswith("^") and word[1:] for word in words):
        raise AskError(
            "curl: this was copied for Windows cmd; use Copy as cURL (bash), or "
            "pass it as one argument in single quotes"
        )
    first = next((at for at, word in enumerate(words[:3]) if word in CURL), -1)
    found = words[first + 1 :]
    for at, word in enumerate(found):
        if ENDS.fullmatch(word) and at and not found[at - 1].startswith("-"):
            found = found[:at]
            break
    return [word for word in found if not word or word.strip("\\`\r\n ")]
