"""A WebSocket that sends back what it gets, to try `ws = true` on."""

from __future__ import annotations

from aiohttp import WSCloseCode, WSMsgType, web

from upstream_demo.error_response import Refusal
from upstream_demo.streams import TALLY

SUBPROTOCOL = "echo"


async def echo_messages(request: web.Request) -> web.StreamResponse:
    """`GET /echo`: text as text, binary as binary; pings are answered.

    The sub-protocol `echo` is taken if it is offered, and the client's close
    code comes back to it (RFC 6455 §5.5.1).
    """
    if "websocket" not in request.headers.get("Upgrade", "").lower():
        raise Refusal(
            426,
            "this is a WebSocket endpoint, but the request has no Upgrade: "
            "websocket. Behind a proxy, its route needs ws = true",
            headers={"Upgrade": "websocket"},
        )
    # aiohttp's own answer to a close frame is always 1000.
    socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), autoclose=False)
    await socket.prepare(request)
    with request.app[TALLY].follow(request, "messages") as progress:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            progress.sent += 1
        # 0: the close frame came without a code.
        await socket.close(code=socket.close_code or WSCloseCode.OK)
    return socket
