"""A file that a key names: it can be read, and is the one that was meant."""

from __future__ import annotations

import re

from proxy.config.fault_text import quoted

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What TOML makes of a backslash and a letter in double quotes.
ESCAPES = {
    "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\x1b": "\\e",
}  # fmt: skip


def as_written(text: str) -> str:
    """A text in which escapes stand for themselves: `C:\\new`."""
    return "".join(ESCAPES.get(each, each) for each in text)


def check_file(path: str, written: str = "") -> None:
    """A file that can be opened; `written` is how the configuration has it.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    written = written or path
    if CONTROL.search(written) is not None:
        meant = as_written(written)
        if CONTROL.search(meant) is None and "'" not in meant:
            raise ValueError(
                f"{quoted(written)} contains a control character, an escape of double "
                f"quotes: write it in single quotes: '{meant}'"
            )
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path} cannot be read: {reason}") from error
    except ValueError as error:  # a NUL in the path
        raise ValueError(f"{path!r} is not a valid path: {error}") from error
