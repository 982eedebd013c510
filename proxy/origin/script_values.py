"""What a script gives for the wire: checked, and named where it cannot be sent. Pure.

A line end or a NUL in a head would be another head than the script says, and silently
so: nothing is sent of a call that has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from proxy.config.fault_text import choice, described, quoted
from proxy.http1.grammar import Fields

TextFields: TypeAlias = Iterable[tuple[str, str]]

# RFC 9110 §5.5 and §5.6.2, as text in Latin-1.
NOT_IN_HEAD = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PLACES = ("/", "*")  # how a path begins, if it is not a whole address
INTERIM, SWITCHING, FINAL, MOST_STATUS = 100, 101, 200, 999


class ScriptError(Exception):
    """The script does what an upstream cannot do: it sends before it responds."""


def wrong(call: str, argument: str, expected: str, value: object) -> ScriptError:
    """An argument is not what it has to be."""
    return ScriptError(f"{call}(): {argument}: expected {expected}, got {shown(value)}")


def shown(value: object) -> str:
    """A value in a message."""
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes"
    return described(value)


def head_text(call: str, argument: str, text: object) -> bytes:
    """A part of a head as bytes.

    Raises:
        ScriptError: it is not text, or has a character that no head may have.
    """
    if not isinstance(text, str):
        raise wrong(call, argument, "text", text)
    found = NOT_IN_HEAD.search(text)
    if found is not None:
        latin = ord(found[0]) < 256
        why = "is a control character" if latin else "is not in Latin-1"
        raise ScriptError(
            f"{call}(): {argument} cannot be sent in a head: {quoted(found[0])} {why}"
        )
    return text.encode("latin-1")


def head_fields(call: str, argument: str, fields: TextFields) -> Fields:
    """Fields as bytes.

    Raises:
        ScriptError: they are not pairs of text, or cannot be sent.
    """
    pairs = "pairs of a name and a value, such as [('X-A', '1')]"
    sent: Fields = []
    given: object = fields  # a script may give anything
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise wrong(call, argument, pairs, given)
    for each in given:
        match each:
            case (str(name), str(value)):
                if NAME.fullmatch(name) is None:
                    raise ScriptError(
                        f"{call}(): {argument}: {quoted(name)} is not a valid name of "
                        "a field"
                    )
                data = head_text(call, f"{argument}: the value of {name}", value)
                sent.append((name.encode("ascii"), data))
            case _:
                text = f"{call}(): {argument}: expected {pairs}, got {each!r:.60}"
                raise ScriptError(text)
    return sent


def whole_number(call: str, argument: str, value: object, least: int = 0) -> int:
    """A number that counts something.

    Raises:
        ScriptError: it is none.
    """
    number = as_integer(value)
    if number is None or number < least:
        raise wrong(call, argument, f"an integer of {least} or more", value)
    return number


def final_status(call: str, status: object) -> int:
    """The status of a response.

    Raises:
        ScriptError: it is not one.
    """
    number = as_integer(status)
    if number is not None and FINAL <= number <= MOST_STATUS:
        return number
    hint = ""
    if number == SWITCHING:
        hint = "; respond(101) of a request agrees to an upgrade"
    elif number is not None and INTERIM <= number < FINAL:
        hint = "; send_interim() sends what comes before a response"
    text = f"{call}(): status: expected an integer from {FINAL} to {MOST_STATUS}, got "
    raise ScriptError(text + shown(status) + hint)


def interim_status(call: str, status: object) -> int:
    """The status of a response before the response.

    Raises:
        ScriptError: it is not one.
    """
    number = as_integer(status)
    if number is None or not INTERIM <= number < FINAL or number == SWITCHING:
        expected = f"an integer from {INTERIM} to {FINAL - 1}, but not {SWITCHING}"
        raise wrong(call, "status", expected, status)
    return number


def as_integer(value: object) -> int | None:
    """A number that is written as one: True is not 1 here."""
    return None if isinstance(value, bool) or not isinstance(value, int) else value


def is_number(value: object) -> bool:
    """Is it a number? True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def one_of(call: str, argument: str, value: object, words: Sequence[str]) -> None:
    """Is it one of these words?

    Raises:
        ScriptError: no.
    """
    if value not in words:
        raise wrong(call, argument, choice([quoted(each) for each in words]), value)


def path_asked(call: str, path: object) -> None:
    """Can a request have this path?

    Raises:
        ScriptError: no request would ever be the one.
    """
    if not isinstance(path, str):
        raise wrong(call, "path", "text", path)
    head_text(call, "path", path)
    if " " in path or not (path.startswith(PLACES) or ":" in path):
        raise wrong(call, "path", "a path that begins with /", path)


def body_bytes(call: str, argument: str, data: object) -> bytes:
    """Bytes of a body; text in UTF-8.

    Raises:
        ScriptError: it is neither, or text that UTF-8 does not have.
    """
    if isinstance(data, str):
        return utf8(call, argument, data)
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise wrong(call, argument, "bytes or text", data)


def utf8(call: str, argument: str, text: str) -> bytes:
    """Text as bytes of a body.

    Raises:
        ScriptError: it has half of a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        found = quoted(text[error.start])
        raise ScriptError(
            f"{call}(): {argument} cannot be sent in UTF-8: {found} is half of a "
            "surrogate pair"
        ) from None
