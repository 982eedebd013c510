"""Responses before the final one, and the one that ends HTTP (RFC 9110 §15.2)."""

from __future__ import annotations

from proxy.config.route import FieldRules
from proxy.http1.head import HTTP2, RequestHead, parse_response_head
from proxy.policy.response_plan import TUNNEL, plan_interim, plan_switch
from tests.unit.http1.heads import request, response
from tests.unit.policy.compiled import compiled


def test_an_informational_response_goes_on_without_framing() -> None:
    came = response(
        b"Link: </a.css>; rel=preload",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Connection: X-A",
        b"X-A: 1",
        b"Link: </b.js>",
        start=b"HTTP/1.1 103 Early Hints",
    )
    assert plan_interim(came).text == (
        b"HTTP/1.1 103 Early Hints\r\n"
        b"Link: </a.css>; rel=preload\r\nLink: </b.js>\r\n\r\n"
    )


def test_100_continue_goes_on_bare() -> None:
    came = response(start=b"HTTP/1.1 100 Continue")
    assert plan_interim(came).text == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_switch_of_protocols_goes_on_with_what_the_protocol_needs() -> None:
    came = response(
        b"Connection: upgrade, X-A",
        b"UPGRADE: websocket",
        b"Sec-WebSocket-Accept: x=",
        b"Sec-WebSocket-Protocol: chat",
        b"X-A: 1",
        b"Content-Length: 0",
        b"Server: y",
        start=b"HTTP/1.1 101 Switching Protocols",
    )
    route = compiled(response=FieldRules(remove=["Server"]))
    head = parse_response_head(plan_switch(came, route, request(b"Host: a")).text)
    assert (head.status, head.reason) == (101, b"Switching Protocols")
    assert head.fields == [
        (b"Sec-WebSocket-Accept", b"x="),
        (b"Sec-WebSocket-Protocol", b"chat"),
        (b"Via", b"1.1 unbuffered"),
        (b"Connection", b"Upgrade"),
        (b"UPGRADE", b"websocket"),
    ]


def test_a_switch_is_200_to_an_extended_connect() -> None:
    came = response(
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Accept: x=",
        b"Sec-WebSocket-Extensions: permessage-deflate",
        b"Sec-WebSocket-Protocol: chat",
        start=b"HTTP/1.1 101 Switching Protocols",
    )
    asked = RequestHead(b"GET", b"/", HTTP2, [(b"Upgrade", b"websocket")])
    plan = plan_switch(came, compiled(), asked)
    assert (plan.status, plan.framing, plan.options) == (200, TUNNEL, [])
    assert plan.fields == [
        (b"Sec-WebSocket-Extensions", b"permessage-deflate"),
        (b"Sec-WebSocket-Protocol", b"chat"),
        (b"Via", b"1.1 unbuffered"),
    ]
