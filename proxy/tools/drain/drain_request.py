"""The request that begins a drain, and what comes back while it lasts."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Generator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from proxy.line_writer import one_line
from proxy.timeline import monotonic
from proxy.tools.running_proxy import NEEDS_TOKEN, RunningProxy, unix_connection

PATH = "/_unbuffered/drain"
NO_WAIT = "?wait=0"
# keep-alive: whoever asks for himself says so (`proxy.inspector.access_rule`).
FIELDS = {"Connection": "keep-alive", "Content-Length": "0"}
ANSWER_SECONDS = 10.0  # for the proxy to accept, and to answer
SILENT_SECONDS = 60.0  # the proxy tells every few seconds that it goes on
STATES = ("serving", "delay", "draining", "ended")
MOST_BYTES = 64 * 1024  # of an answer that says why not


class DrainFailed(Exception):
    """Why there is no drain, and what to do; for the person who asked."""


class StillDraining(Exception):
    """The time for which to wait is over."""


def lines(
    proxy: RunningProxy, *, wait: bool, timeout: float
) -> Generator[dict[str, Any], None, None]:
    """Begin the drain; what the proxy tells, each as it comes.

    `timeout`: for all of it; 0: as long as it takes.

    Raises:
        DrainFailed: nothing answers, or not with a drain.
        StillDraining: it takes longer.
    """
    if not (proxy.token.isascii() and proxy.token.isprintable()):
        raise DrainFailed("the token has characters that no token can have")
    until = monotonic() + timeout if timeout else None
    connection = connect(proxy.url)
    with contextlib.closing(connection):
        response, sock = ask(connection, proxy, wait=wait)
        if response.status not in (200, 202):
            raise DrainFailed(refused(proxy, response))
        told = None
        while line := next_line(response, sock, until):
            told = parsed(line)
            if told is None:
                raise DrainFailed(is_another(proxy, response.status))
            if told["state"] == "ended":
                # Until this process has ended: the proxy ends after that, and in a
                # container with it all that runs there, `preStop` too.
                with contextlib.suppress(OSError):  # Windows
                    os.dup(sock.fileno())
            yield told
        if wait and (told is None or told["state"] != "ended"):
            raise DrainFailed(
                f"the connection to {proxy.url} broke before the end of the drain: "
                "the proxy was killed, or stopped by a second signal"
            )


def connect(url: str) -> http.client.HTTPConnection:
    """A connection to where a URL points; not opened yet.

    Raises:
        DrainFailed: it is no URL of a proxy.
    """
    if (by_path := unix_connection(url, ANSWER_SECONDS)) is not None:
        return by_path
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise DrainFailed(f"{url} is not a valid URL: {fault}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise DrainFailed(f"{url} is not a valid URL: write http://127.0.0.1:8080")
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    context = ssl.create_default_context()
    if is_this_machine(host):
        # The certificate is that of a public name. Who listens here is the proxy.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(
        host, port, timeout=ANSWER_SECONDS, context=context
    )


def is_this_machine(host: str) -> bool:
    """Does a request to this host never leave the machine?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ask(
    connection: http.client.HTTPConnection, proxy: RunningProxy, *, wait: bool
) -> tuple[http.client.HTTPResponse, socket.socket]:
    """Send the request; the response, and the socket from which its body comes.

    Raises:
        DrainFailed: nothing answers.
    """
    url = proxy.url
    try:
        connection.connect()
        sock: socket.socket = connection.sock
        target = PATH if wait else PATH + NO_WAIT
        connection.request("POST", target, headers=FIELDS | proxy.fields)
        return connection.getresponse(), sock
    except ssl.SSLCertVerificationError as fault:
        raise DrainFailed(
            f"the certificate of {url} is not valid for it: {fault.verify_message}"
        ) from fault
    except ssl.SSLError as fault:
        raise DrainFailed(f"{url} does not speak TLS: use http://") from fault
    except http.client.RemoteDisconnected as fault:
        raise DrainFailed(
            f"{url} closed the connection without an answer: it is not Unbuffered, or "
            "has just ended"
        ) from fault
    except http.client.BadStatusLine as fault:
        raise DrainFailed(
            f"{url} does not answer in HTTP/1.1: if it speaks TLS, use https://"
        ) from fault
    except TimeoutError as fault:
        raise DrainFailed(
            f"{url} does not answer within {ANSWER_SECONDS:g} s"
        ) from fault
    except (OSError, http.client.HTTPException) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise DrainFailed(
            f"nothing listens at {url}: {reason}; the proxy is not running, its drain "
            "has begun already, or it has another address (--config, --url)"
        ) from fault


def next_line(
    response: http.client.HTTPResponse, sock: socket.socket, until: float | None
) -> bytes:
    """The next line of the answer; nothing at its end, whichever that is.

    Raises:
        StillDraining: it does not come in time.
    """
    left = SILENT_SECONDS if until is None else until - monotonic()
    if left <= 0:
        raise StillDraining
    try:
        sock.settimeout(min(left, SILENT_SECONDS))
        return response.readline()
    except TimeoutError:
        if until is None:
            return b""
        raise StillDraining from None
    except (OSError, http.client.HTTPException, ValueError):
        return b""


def parsed(line: bytes) -> dict[str, Any] | None:
    """What a line says; None: it is not one of Unbuffered."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("state") not in STATES:
        return None
    return told


def refused(proxy: RunningProxy, response: http.client.HTTPResponse) -> str:
    """Why a proxy does not begin its drain."""
    url, status = proxy.url, response.status
    if status == 401 and not proxy.token:
        return f"{url} needs a token: {NEEDS_TOKEN}"
    if status == 401:
        return f"{url} does not accept this token"
    try:
        message = json.loads(response.read(MOST_BYTES))["error"]["message"]
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        message = None
    if status in (403, 429, 503) and isinstance(message, str):
        return f"{url} does not begin a drain: {one_line(message)}"
    return is_another(proxy, status)


def is_another(proxy: RunningProxy, status: int) -> str:
    """It answers, and is not what was expected."""
    return (
        f"{proxy.url} is not Unbuffered ({status}), or its drain is not open to this "
        "client: see [metrics] and [inspector] in its configuration"
    )
