"""A curl command line as a request: what browsers copy with "Copy as cURL"."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from proxy.tools.doctor.probe.request import Ask, AskError, check_url
from proxy.tools.doctor.probe.shell_paste import curl_words, words_of

# Options that take a value, by their short names.
SHORT = {
    "X": "request", "H": "header", "d": "data", "A": "user-agent", "e": "referer",
    "b": "cookie", "u": "user", "m": "max-time", "o": "output", "w": "write-out",
    "T": "upload-file", "F": "form", "x": "proxy", "c": "cookie-jar", "r": "range",
    "D": "dump-header", "E": "cert", "y": "speed-time", "Y": "speed-limit",
}  # fmt: skip
# Options that change nothing for us, and whether they take a value.
IGNORED = {
    "silent": 0, "no-buffer": 0, "verbose": 0, "include": 0, "show-error": 0,
    "location": 0, "fail": 0, "http1.1": 0, "http2": 0, "globoff": 0, "max-time": 1,
    "output": 1, "write-out": 1, "connect-timeout": 1, "http2-prior-knowledge": 0,
    "cookie-jar": 1, "dump-header": 1, "ssl-no-revoke": 0, "no-progress-meter": 0,
    "progress-bar": 0, "path-as-is": 0, "retry": 1, "ipv4": 0, "ipv6": 0, "http3": 0,
    "fail-with-body": 0, "location-trusted": 0, "http1.0": 0, "tlsv1": 0,
    "tlsv1.0": 0, "tlsv1.1": 0, "tlsv1.2": 0, "tlsv1.3": 0, "tls-max": 1,
    "tcp-nodelay": 0, "keepalive-time": 1, "no-keepalive": 0, "speed-time": 1,
    "speed-limit": 1, "expect100-timeout": 1, "retry-delay": 1, "retry-max-time": 1,
    "retry-all-errors": 0, "retry-connrefused": 0, "stderr": 1, "trace-time": 0,
    "trace": 1, "trace-ascii": 1, "no-alpn": 0, "http2-upgrade": 0, "raw": 0,
    "max-redirs": 1, "no-fail": 0, "styled-output": 0, "silent-errors": 0,
}  # fmt: skip
FLAGS = {"s": "silent", "N": "no-buffer", "v": "verbose", "i": "include",
         "S": "show-error", "L": "location", "f": "fail", "k": "insecure",
         "G": "get", "I": "head", "g": "globoff", "#": "progress-bar",
         "4": "ipv4", "6": "ipv6"}  # fmt: skip
PSEUDO = re.compile(r":(authority|method|path|scheme|protocol)\s*:")  # of HTTP/2
DATA = {"data", "data-raw", "data-binary", "data-ascii", "data-urlencode", "json"}
NAMED = {"user-agent": "User-Agent", "referer": "Referer", "cookie": "Cookie"}
FRAMING = ("content-length", "transfer-encoding")  # follow from the body
FORM = "application/x-www-form-urlencoded"


def read_curl(words: Sequence[str]) -> Ask:
    """The request that a curl command makes.

    Raises:
        AskError: an option that cannot be done here, or no URL.
    """
    # Pasted as one quoted text, or as the words that a shell made of it.
    found = words_of(words[0]) if len(words) == 1 else list(words)
    command = Command()
    for name, value in options(curl_words(found)):
        command.take(name, value)
    return command.ask()


def options(words: list[str]) -> Iterator[tuple[str, str]]:
    """The options of a command line with their values; "" names a URL."""
    position = 0

    def value() -> str:
        nonlocal position
        position += 1
        if position > len(words):
            raise AskError(f"curl: {words[-1]} needs a value")
        return words[position - 1]

    while position < len(words):
        word = value()
        if word.startswith("--"):
            name, equals, text = word[2:].partition("=")
            if name in DATA | set(SHORT.values()) | {
                "url",
                "oauth2-bearer",
            } or IGNORED.get(name):
                yield name, text if equals else value()
            else:
                yield name, ""
        elif word.startswith("-") and len(word) > 1:
            for index, letter in enumerate(word[1:], start=2):
                if letter in SHORT:
                    yield SHORT[letter], word[index:] or value()
                    break
                yield FLAGS.get(letter, f"-{letter}"), ""
        else:
            yield "", word


class Command:
    """What the options add up to."""

    def __init__(self) -> None:
        self.url = ""
        self.method = ""
        self.fields: list[tuple[str, str]] = []
        self.data: list[bytes] = []
        self.kind = FORM
        self.get = False
        self.insecure = False

    def take(self, name: str, value: str) -> None:
        """One option."""
        if name in ("", "url"):
            if self.url:
                raise AskError(f"curl: two URLs, {self.url} and {value}")
            self.url = check_url(value)
        elif name == "request":
            self.method = value
        elif name == "header":
            self.header(value)
        elif name in NAMED:
            if name == "cookie" and "=" not in value:
                raise AskError(
                    f"-b {value}: cookie files are not supported; use -b 'NAME=VALUE'"
                )
            self.fields.append((NAMED[name], value))
        elif name in DATA:
            self.body(name, value)
        elif name == "user":
            coded = base64.b64encode(value.encode()).decode()
            self.fields.append(("Authorization", f"Basic {coded}"))
        elif name == "oauth2-bearer":
            self.fields.append(("Authorization", f"Bearer {value}"))
        else:
            self.flag(name)

    def header(self, value: str) -> None:
        """`Name: value`; one without a value takes the field away."""
        if PSEUDO.match(value):
            return  # Chrome copies those too
        if value.startswith("@"):
            raise AskError(
                f"-H {value}: header files are not supported; give each field with -H"
            )
        name, colon, text = value.partition(":")
        if not colon:
            name = value.rstrip(";")
        if any(char in value for char in "\r\n") or not name.strip():
            raise AskError(f"-H {value!r}: write 'Name: value'")
        if text.strip() or value.endswith(";"):
            self.fields.append((name.strip(), text.strip()))

    def body(self, name: str, value: str) -> None:
        """A piece of the body, as `-d` and its kin have it."""
        if name == "data-urlencode":
            before, equals, after = value.partition("=")
            if not equals and "@" in value:
                raise AskError(
                    f"--data-urlencode {value}: files are not supported; use --data"
                )
            value = f"{before}{equals}{quote(after)}" if equals else quote(value)
        elif value.startswith("@") and name != "data-raw":
            path = Path(value[1:])
            try:
                data = path.read_bytes()
            except OSError as fault:
                raise AskError(f"{path}: {fault.strerror}") from None
            if name in ("data", "data-ascii"):
                data = data.replace(b"\r", b"").replace(b"\n", b"")
            self.data.append(data)
            return
        if name == "json":
            self.kind = "application/json"
        self.data.append(value.encode())

    def flag(self, name: str) -> None:
        """An option without a value."""
        if name == "insecure":
            self.insecure = True
        elif name == "get":
            self.get = True
        elif name == "head":
            self.method = "HEAD"
        elif name == "compressed":
            pass  # a browser's codings are asked for anyway
        elif name not in IGNORED:
            raise AskError(
                f"curl: {name if name.startswith('-') else '--' + name} is not "
                "supported; remove it"
            )

    def ask(self) -> Ask:
        """The request."""
        if not self.url:
            raise AskError("curl: no URL in the command")
        if self.url.startswith(("ws://", "wss://")):
            return Ask(self.url, "GET", tuple(self.fields), insecure=self.insecure,
                       messages=tuple(self.data))  # fmt: skip
        body = (b"" if self.kind == "application/json" else b"&").join(self.data)
        if self.get and body:
            joint = "&" if "?" in self.url else "?"
            url = check_url(f"{self.url}{joint}{body.decode()}")
            return Ask(url, self.method or "GET", tuple(self.fields), b"",
                       self.insecure)  # fmt: skip
        names = {name.lower() for name, _ in self.fields}
        if self.data and "content-type" not in names:
            self.fields.append(("Content-Type", self.kind))
        fields = [each for each in self.fields if each[0].lower() not in FRAMING]
        method = self.method or ("POST" if self.data else "GET")
        return Ask(self.url, method, tuple(fields), body, self.insecure)
