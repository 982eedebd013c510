"""What to ask for: one request, and the variants of it that are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from proxy import __version__
from proxy.tools.doctor.probe.websocket_body import handshake_fields

# What browsers send; a hop that compresses does it for them and not for curl.
BROWSER_CODINGS = "gzip, deflate, br, zstd"
EVENT_STREAM = "text/event-stream"
ANYTHING = "*/*"
EXTENSIONS = "Sec-WebSocket-Extensions"
SAFE = ("GET", "HEAD", "OPTIONS")
UNENCODED = "/?#[]@!$&'()*+,;=:%-._~"
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class AskError(Exception):
    """The request cannot be made as it was asked for: what, and what to do."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `insecure`: take any certificate; `http2`: where it is offered.

    With ws:// or wss:// it asks for a WebSocket, by HTTP/1.1.
    """

    url: str
    method: str = "GET"
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    insecure: bool = False
    label: str = ""
    http2: bool = True
    minor: int = 1  # of HTTP/1
    messages: tuple[bytes, ...] = ()  # that are sent by WebSocket

    def __post_init__(self) -> None:
        """Nothing of it may be another head than the one that was asked for.

        Raises:
            AskError: names what cannot be sent.
        """
        if TOKEN.fullmatch(self.method) is None:
            raise AskError(f"{self.method!r} is not a valid method: write GET")
        for name, value in self.fields:
            if TOKEN.fullmatch(name) is None:
                raise AskError(f"{name!r} is not a valid name of a field")
            if CONTROL.search(value):  # which may be a secret
                raise AskError(f"{name}: the value has a line end or control character")

    def has(self, name: str) -> bool:
        return any(key.lower() == name for key, _ in self.fields)

    def with_field(self, name: str, value: str) -> Ask:
        """The same with a field set, in place of what was there."""
        kept = tuple(
            (key, old) for key, old in self.fields if key.lower() != name.lower()
        )
        return replace(self, fields=(*kept, (name, value)))

    @property
    def websocket(self) -> bool:
        return self.url.startswith(("ws://", "wss://"))

    @property
    def tls(self) -> bool:
        return self.url.startswith(("https://", "wss://"))

    @property
    def place(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return (
            parts.scheme,
            parts.hostname or "",
            parts.port or PORTS.get(parts.scheme, 0),
        )

    @property
    def target(self) -> str:
        """The request target, encoded where it has to be."""
        parts = urlsplit(self.url)
        path = quote(parts.path, UNENCODED) or "/"
        return f"{path}?{quote(parts.query, UNENCODED)}" if parts.query else path

    @property
    def authority(self) -> str:
        """Whom it is for: the field Host, or what the URL says."""
        if self.has("host"):
            return value_of(self, "host")
        scheme, host, port = self.place
        name = f"[{host}]" if ":" in host else idna(host)
        return name + (f":{port}" if port != PORTS[scheme] else "")

    def sent_fields(self) -> list[tuple[str, str]]:
        """The fields as they are sent, besides Host."""
        fields = [each for each in self.fields if each[0].lower() != "host"]
        if (self.body or self.method in ("POST", "PUT", "PATCH")) and not self.has(
            "content-length"
        ):
            fields.append(("Content-Length", str(len(self.body))))
        return fields

    def head(self) -> bytes:
        """The request head as HTTP/1.1 sends it."""
        lines = [
            f"{self.method} {self.target} HTTP/1.{self.minor}",
            f"Host: {self.authority}",
        ]
        lines += [f"{key}: {value}" for key, value in self.sent_fields()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def idna(host: str) -> str:
    """A host name as it goes over the wire."""
    try:
        return host.encode("ascii").decode()
    except UnicodeEncodeError:
        return host.encode("idna").decode()


def check_url(url: str) -> str:
    """A URL that can be asked for; `localhost:8080/x` is taken as http.

    Raises:
        AskError: what is wrong with it.
    """
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        _ = parts.port
        known = parts.scheme in PORTS and bool(parts.hostname)
        idna(parts.hostname or "")
    except (ValueError, UnicodeError) as fault:
        raise AskError(f"{url}: {fault}") from None
    if not known:
        raise AskError(
            f"{url}: write http://host:port/path, https://…, ws://… or wss://…"
        )
    if any(char <= " " or char == "\x7f" for char in url):
        raise AskError(f"{url!r}: a URL cannot contain spaces or control characters")
    return url


def complete(ask: Ask) -> Ask:
    """Add what a browser would send and the person did not say."""
    page = ask.method == "GET" and not ask.body
    fields = [
        ("Accept", EVENT_STREAM if page else ANYTHING),
        ("Accept-Encoding", BROWSER_CODINGS),
    ]
    if ask.websocket:
        ask = replace(ask, http2=False)
        fields = handshake_fields(ask.place[0], ask.authority)
    for name, value in [*fields, ("User-Agent", f"unbuffered-doctor/{__version__}")]:
        if not ask.has(name.lower()):
            ask = ask.with_field(name, value)
    return ask


def value_of(ask: Ask, name: str) -> str:
    """The value of a request field, "" without one."""
    return next((value for key, value in ask.fields if key.lower() == name), "")


def variants(ask: Ask, *, all_methods: bool) -> list[Ask]:
    """The same request in other words, to see what makes the difference.

    GET and POST are exchanged only where that was asked for: a POST may cost
    money, or do something twice.
    """
    if ask.websocket:
        kept = tuple(each for each in ask.fields if each[0] != EXTENSIONS)
        plain = replace(ask, fields=kept, label="without compression")
        return [plain] if len(kept) < len(ask.fields) else []
    found = []
    if value_of(ask, "accept-encoding") != "identity":
        plain = ask.with_field("Accept-Encoding", "identity")
        found.append(replace(plain, label="without compression"))
    else:
        coded = ask.with_field("Accept-Encoding", BROWSER_CODINGS)
        found.append(replace(coded, label="with compression"))
    other = ANYTHING if value_of(ask, "accept") == EVENT_STREAM else EVENT_STREAM
    found.append(
        replace(ask.with_field("Accept", other), label=f"with Accept: {other}")
    )
    if all_methods and ask.method in ("GET", "POST"):
        turned = "POST" if ask.method == "GET" else "GET"
        body = b"" if turned == "GET" else ask.body or b"{}"
        found.append(replace(ask, method=turned, body=body, label=f"as {turned}"))
    return found
