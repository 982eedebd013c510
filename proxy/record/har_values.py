"""Values of a HAR in the words of a record: fields, versions, addresses, bodies."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from proxy.observe.redaction import masked
from proxy.record.format import FIELD_TEXT, TOKEN, RecordedFields, RecordFault
from proxy.record.har_format import HarPair, HarPostData

SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
CHARSET = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
BLANK = " \t"


class HarAddress(NamedTuple):
    """Of what was asked for. `websocket`: by ws: or wss:."""

    scheme: str
    authority: str
    target: str
    websocket: bool


def address_of(url: str) -> HarAddress | None:
    """The parts of an address; None if it is not one of HTTP."""
    try:
        parts = urlsplit(url)
        hostname = parts.hostname
    except ValueError:
        return None
    scheme = SCHEMES.get(parts.scheme.lower())
    if scheme is None or not hostname:
        return None
    query = f"?{parts.query}" if parts.query else ""
    return HarAddress(
        scheme,
        as_sent(parts.netloc.rpartition("@")[2]),
        as_sent((parts.path or "/") + query),
        parts.scheme.lower() in ("ws", "wss"),
    )


def as_sent(text: str) -> str:
    """A part of an address: what is not ASCII, or blank, percent-encoded."""
    return "".join(
        char
        if "!" <= char <= "~"
        else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
        for char in text
    )


def version_of(text: str | None) -> str:
    """The version of HTTP: h2, HTTP/2 and HTTP/2.0 are one; "": not known."""
    known = (text or "").lower().removeprefix("http/").partition("+")[0]
    return {
        "1.0": "1.0", "1.1": "1.1", "2": "2.0", "2.0": "2.0", "h2": "2.0",
        "3": "3.0", "3.0": "3.0", "h3": "3.0",
    }.get(known, "")  # fmt: skip


def method_of(text: str) -> str:
    """A method.

    Raises:
        RecordFault: it is not one.
    """
    if re.match(TOKEN, text) is None:
        raise RecordFault(f"request.method: {text[:40]!r} is not a valid method")
    return text


def recorded_pairs(pairs: Sequence[HarPair], key: str) -> RecordedFields:
    """Fields without credentials, and without the pseudo-fields of HTTP/2.

    Chromium writes the repetitions of a field in one value, in several lines.

    Raises:
        RecordFault: one of them cannot be a field.
    """
    fields: RecordedFields = []
    for number, pair in enumerate(pairs):
        name = pair.name
        if name.startswith(":"):
            continue
        if re.match(TOKEN, name) is None:
            raise RecordFault(
                f"{key}[{number}].name: {name[:40]!r} is not a valid name"
            )
        for line in (pair.value or "").split("\n"):
            value = line.strip(BLANK + "\r")
            if not value.isascii():
                value = latin(value)
            if re.match(FIELD_TEXT, value) is None:
                raise RecordFault(
                    f"{key}[{number}].value: has a control character ({name})"
                )
            fields.append((name, masked(name, value)))
    return fields


def latin(value: str) -> str:
    """Characters that stand for bytes: those of ISO 8859-1, or else of UTF-8."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode("latin-1")
    return value


def post_bytes(post: HarPostData) -> bytes:
    """The body of a request.

    Raises:
        RecordFault: it is not valid base64.
    """
    if post.text:
        return content_bytes(post.text, post.encoding, "request.postData.text", "")
    if post.params:
        pairs = [(pair.name, pair.value or "") for pair in post.params]
        return urlencode(pairs).encode("ascii")
    return b""


def content_bytes(text: str, encoding: str | None, key: str, media_type: str) -> bytes:
    """The bytes that a text of a HAR stands for, in the charset of its media type.

    Raises:
        RecordFault: it is not valid base64.
    """
    if encoding == "base64":
        return unbase64(text, key)
    if encoding:
        raise RecordFault(
            f"{key}: its encoding {encoding[:40]!r} is not known: base64 is"
        )
    found = CHARSET.search(media_type)
    try:
        return text.encode(found[1] if found else "utf-8")
    except (LookupError, UnicodeEncodeError, ValueError):
        return text.encode("utf-8", "replace")


def unbase64(text: str, key: str) -> bytes:
    """Base64 as bytes; blanks and line breaks are allowed.

    Raises:
        RecordFault: it is not valid.
    """
    try:
        return b64decode("".join(text.split()).encode("ascii"), validate=True)
    except ValueError as error:
        raise RecordFault(f"{key}: is not valid base64") from error
