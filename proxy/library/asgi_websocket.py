"""A WebSocket of an ASGI server, bridged: messages on its side, frames on ours.

ASGI has no raw bytes. So the proxy is a client of RFC 6455 towards the upstream: the
server in front answers the pings of the browser, we those of the upstream, and
extensions such as compression end at each side. Subprotocols, close codes and the
upstream's refusals pass.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from proxy.errors import MalformedResponse
from proxy.http1.grammar import Fields
from proxy.library.client_frames import (
    ABNORMAL,
    BROKEN,
    GOING_AWAY,
    NO_CODE,
    NORMAL,
    FrameFault,
    Opcode,
    ServerFrames,
    client_frame,
    close_frame,
)
from proxy.library.hosted_sending import HostRefused
from proxy.library.hosted_stream import EmbeddedStream
from proxy.policy.header_fields import HOP_BY_HOP, without
from proxy.policy.response_plan import TUNNEL, ResponsePlan
from proxy.policy.upgrade import accept_value

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

DENIAL = "websocket.http.response"
MOST_GATHERED = 256 * 1024  # bytes of a refusal; pages of errors have a few thousand
KEY, ACCEPT = b"sec-websocket-key", b"sec-websocket-accept"
PROTOCOL = b"sec-websocket-protocol"
# The handshake is ours; what the client said of its own is for the server in front.
HANDSHAKE = HOP_BY_HOP | {
    KEY,
    ACCEPT,
    PROTOCOL,
    b"sec-websocket-version",
    b"sec-websocket-extensions",
    b"content-length",
}


def handshake(scope: MutableMapping[str, Any]) -> Fields:
    """The fields of the handshake with the upstream."""
    given = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
    fields = [
        *without(given, HANDSHAKE),
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", base64.b64encode(os.urandom(16))),
    ]
    protocols = ", ".join(scope.get("subprotocols") or ())
    if protocols:
        fields.append((b"Sec-WebSocket-Protocol", protocols.encode("ascii", "replace")))
    return fields


class WebSocketIntake:
    """Messages of the client, made frames."""

    def __init__(self, receive: Receive, tells_end: bool = True) -> None:
        self.receive = receive
        self.tells_end = tells_end  # does it know a close from a connection that broke?

    async def read(self, stream: EmbeddedStream) -> None:
        while not stream.closed:
            await stream.may_read.wait()
            message = await self.receive()
            if message["type"] == "websocket.disconnect":
                self.disconnected(stream, message)
                return
            if message["type"] != "websocket.receive":
                continue
            text, data = message.get("text"), message.get("bytes")
            if text is not None:
                frame = client_frame(Opcode.TEXT, text.encode("utf-8"))
            else:
                frame = client_frame(Opcode.BINARY, data or b"")
            stream.data_received(frame)

    def disconnected(self, stream: EmbeddedStream, message: Message) -> None:
        """The client has closed, or is gone."""
        code = message.get("code") or NO_CODE
        if code == ABNORMAL and not self.tells_end:
            code = GOING_AWAY  # sure is only that the client is gone
        if stream.is_tunnel and code != ABNORMAL:
            stream.data_received(close_frame(code, message.get("reason") or ""))
            stream.request_ended()
        stream.leave("the client closed the connection")


class WebSocketOutlet:
    """Frames of the upstream, made messages; or its refusal."""

    def __init__(
        self, extensions: Mapping[str, object], send: Send, stream: EmbeddedStream
    ) -> None:
        self.send = send
        self.stream = stream
        self.denies = DENIAL in extensions
        self.accepted = self.refused = self.closed = False
        self.frames = ServerFrames()
        # Of a refusal that the host takes only whole; None: it takes parts.
        self.gathered: bytearray | None = None

    async def interim(self, plan: ResponsePlan) -> None:
        """Nothing in ASGI is like it."""

    async def head(self, plan: ResponsePlan) -> None:
        if plan.framing is TUNNEL:
            await self.accept(plan)
            return
        self.refused = True
        if self.denies:
            fields = [(name.lower(), value) for name, value in plan.fields]
            message = {"status": plan.status, "headers": fields}
            await self.send({"type": f"{DENIAL}.start", **message})

    async def flush(self) -> None:
        """The head is out already."""

    async def accept(self, plan: ResponsePlan) -> None:
        """The upstream has switched: so does the server in front."""
        stream = self.stream
        known = {name.lower(): value for name, value in plan.all_fields}
        request = stream.request
        assert request is not None
        if known.get(ACCEPT) != accept_value(request.index[KEY]):
            if stream.exchange is not None:
                stream.exchange.fail(
                    MalformedResponse(
                        "the upstream's Sec-WebSocket-Accept does not match the "
                        "Sec-WebSocket-Key of this request (RFC 6455 §4.2.2)"
                    )
                )
            return
        protocol = known.get(PROTOCOL)
        fields = [(name.lower(), value) for name, value in plan.fields]
        await self.send(
            {
                "type": "websocket.accept",
                "subprotocol": None if protocol is None else protocol.decode("ascii"),
                "headers": without(fields, HANDSHAKE | {b"date", b"server"}),
            }
        )
        self.accepted = True

    async def piece(self, data: bytes) -> None:
        if not self.accepted:
            if self.denies:
                await self.refuse(data)
            return
        try:
            arrived = self.frames.feed(data)
        except FrameFault as fault:
            self.stream.data_received(close_frame(fault.code, str(fault)))
            await self.close(BROKEN, f"the upstream sent {fault}")
            self.stream.request_ended()
            return
        for each in arrived:
            if each.opcode is Opcode.TEXT:
                await self.send({"type": "websocket.send", "text": each.text})
            elif each.opcode is Opcode.BINARY:
                await self.send({"type": "websocket.send", "bytes": each.data})
            elif each.opcode is Opcode.PING:
                self.stream.data_received(client_frame(Opcode.PONG, each.data))
            elif each.opcode is Opcode.CLOSE:
                self.stream.data_received(client_frame(Opcode.CLOSE, each.data))
                await self.close(each.code, each.text)
                self.stream.request_ended()
                return

    async def refuse(self, data: bytes) -> None:
        """Send a part of a refusal, or gather it (granian takes no part)."""
        if self.gathered is None:
            message = {"body": data, "more_body": True}
            try:
                await self.send({"type": f"{DENIAL}.body", **message})
                return
            except HostRefused:
                self.gathered = bytearray()
        self.gathered += data
        if len(self.gathered) > MOST_GATHERED:
            self.stream.leave(
                "the host application takes a refusal of a WebSocket only whole, and "
                f"this one has more than {MOST_GATHERED} bytes"
            )

    async def close(self, code: int, reason: str = "") -> None:
        """Close what was accepted, once."""
        if not self.closed:
            self.closed = True
            code = NORMAL if code in (NO_CODE, ABNORMAL) else code
            message = {"type": "websocket.close", "code": code, "reason": reason[:100]}
            await self.send(message)

    async def end(self, trailers: Fields) -> None:
        if self.accepted:
            await self.close(BROKEN, "the upstream closed without a close frame")
        elif self.denies and self.refused:
            message = {"body": bytes(self.gathered or b""), "more_body": False}
            await self.send({"type": f"{DENIAL}.body", **message})
        else:  # the server makes 403 of it
            await self.close(NORMAL)

    async def conclude(self) -> None:
        """The exchange is over in whatever way: leave nothing open."""
        if not (self.stream.complete or self.stream.left or self.refused):
            await self.close(BROKEN, "the upstream connection broke")
