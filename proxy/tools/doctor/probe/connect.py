"""Reach a server, and say why that failed: the ways of a connection to break."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from functools import cache

from proxy.tools.doctor.probe.request import Ask

SHOWN = 40  # characters of an answer that is none
FRAME_SETTINGS = b"\x04"  # the first frame of HTTP/2, its type in the fourth byte
TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # an alert, a handshake


async def connect(ask: Ask, protocol: asyncio.Protocol) -> None:
    """A connection for this request alone, its small writes sent at once."""
    _, host, port = ask.place
    context = None
    if ask.tls:
        context = tls_context(insecure=ask.insecure, http2=ask.http2)
    await asyncio.get_running_loop().create_connection(
        lambda: protocol,
        host,
        port,
        ssl=context,
        server_hostname=host if context else None,
    )


@cache
def tls_context(*, insecure: bool, http2: bool) -> ssl.SSLContext:
    """How to trust a server, and what it is offered. To make one takes 0.1 s."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def where(ask: Ask) -> str:
    """Host and port, as a person writes them."""
    _, host, port = ask.place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def unreachable(ask: Ask, fault: OSError | TimeoutError, seconds: float) -> str:
    """Why no connection stands, for the person who gave the URL."""
    _, host, _ = ask.place
    there = where(ask)
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"{there}: {fault.verify_message}; --insecure accepts any certificate"
    if isinstance(fault, ssl.SSLError):
        return no_tls(there, fault)
    if isinstance(fault, socket.gaierror):
        return f"{host}: no such host"
    if isinstance(fault, TimeoutError):
        if ask.tls:
            return f"{there}: no TLS within {seconds:g} s; should it be http://?"
        return f"{there}: no connection within {seconds:g} s"
    if isinstance(fault, ConnectionRefusedError) or "Connect call failed" in str(fault):
        return f"nothing listens at {there}"
    if isinstance(fault, ConnectionError) and ask.tls:
        return f"{there}: no TLS, the connection was closed; should it be http://?"
    return f"{there}: {reason(fault)}"


def no_tls(there: str, fault: ssl.SSLError) -> str:
    """Why TLS did not begin."""
    said = (fault.reason or str(fault)).replace("_", " ").lower()
    if "no application protocol" in said:
        return f"{there}: it does not offer a version of HTTP that the doctor speaks"
    said = re.sub(r"\A\[[^\]]*+\]", "", said).partition("(")[0].strip()
    return f"{there}: no TLS ({said}); should it be http://?"


def reason(fault: OSError) -> str:
    """An operating system's error in its own few words."""
    return os.strerror(fault.errno).lower() if fault.errno else str(fault)


def no_answer(ask: Ask, began: bytes, *, reset: bool) -> str:
    """Why a connection that stood brought no response head."""
    there = where(ask)
    how = "reset" if reset else "closed"
    if began[3:4] == FRAME_SETTINGS and began[:1] == b"\0":
        return (
            f"{there}: it answers in HTTP/2, without having agreed on it; "
            "the doctor speaks it over TLS only"
        )
    if began.startswith(TLS_RECORDS):
        return f"{there}: it answers in TLS; should it be https://?"
    if not began:
        hint = "; should it be https://?" if not ask.tls else ""
        return f"{there} accepted the connection and {how} it without a response{hint}"
    if began.startswith(b"HTTP/"):
        return f"{there}: the connection was {how} in the middle of the response head"
    line = began.splitlines()[0].decode("utf-8", "replace")[:SHOWN]
    return f"{there}: the response is not HTTP: {line!r}"
