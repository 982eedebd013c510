"""Responses of our own: what a client is told when it gets none from an upstream.

JSON for programs, a page for a person who navigates. Names the route, the
target, the reason and the time; never a traceback, never a field of the
request beyond its path.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeGuard

from proxy.errors import NoRoute, ProxyError, UnexpectedResponse
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.policy.delivery import accepts_events, skips_comments
from proxy.policy.header_fields import ALLOW, PSEUDONYM
from proxy.policy.request_id import NAME
from proxy.policy.response_plan import LENGTH, Framing, ResponsePlan, Terms
from proxy.stream.families import named
from proxy.stream.family import Told, event, id_of
from proxy.web.error_page import POLICY, ErrorPage, render

ADVICE = {
    "connection_refused": "Start the upstream, or correct the target of the route.",
    "dns_error": "Check the host name in the target of the route.",
    "connection_timeout": "Check that the target is reachable, "
    "or raise connect_timeout_seconds.",
    "http_response_timeout": (
        "Find out why the upstream is silent, or raise the limit named above."
    ),
    "destination_unavailable": (
        "Try again shortly; start the upstream, or raise connect_retry_seconds."
    ),
    "tls_protocol_error": "Check the scheme and port of the target.",
    "tls_certificate_error": "Check the certificate of the target and its https URL.",
    "proxy_loop_detected": (
        "Add a route for the prefix of this path. Its target must not be a server that "
        "sends requests back here, such as a dev server whose proxy settings have this "
        "path."
    ),
    "http_request_denied": (
        "Close a stream that is no longer needed, or raise the limit named above."
    ),
    "destination_not_found": "Add a route for this path, or correct the URL.",
}
HTML = b"text/html; charset=utf-8"
# The request has not reached an upstream: sent again, it may.
PASSING = frozenset(
    {
        "connection_limit_reached",
        "connection_refused",
        "connection_timeout",
        "destination_ip_unroutable",
        "destination_unavailable",
        "dns_error",
        "proxy_internal_response",
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, as the client may know it. `elapsed` is in seconds."""

    error: ProxyError
    elapsed: float
    route: str | None = None
    target: str | None = None
    routes: tuple[str, ...] = ()
    request_id: bytes = b""
    detailed: bool = True  # or only what everybody may know
    tells_id: bool = False  # in X-Request-Id, too
    record: str = ""  # the page where the client may look at the request
    hint: str = ""  # in place of the advice

    @property
    def message(self) -> str:
        """What went wrong, in words."""
        return message_of(self.error, detailed=self.detailed)

    @property
    def advice(self) -> str:
        """What to do, for who can do something."""
        return self.hint or (advice_on(self.error) if self.detailed else "")

    def to_dict(self) -> dict[str, object]:
        """The object of the JSON body, without what is not known, or not told."""
        told: dict[str, object] = {
            "status": self.error.status,
            "type": self.error.type,
            "message": self.message,
            "route": self.route,
            "target": self.target,
            "request_id": self.request_id.decode("ascii") or None,
            "elapsed_seconds": round(self.elapsed, 3),
            "routes": list(self.routes) if isinstance(self.error, NoRoute) else None,
            "advice": self.advice or None,
        }
        if not self.detailed:
            told |= dict.fromkeys(("route", "target", "elapsed_seconds", "routes"))
        return {key: value for key, value in told.items() if value is not None}


def advice_on(error: ProxyError) -> str:
    """What to do about it, for who runs the proxy; "" if there is nothing to say."""
    return ADVICE.get(error.type, "")


def message_of(error: ProxyError, *, detailed: bool) -> str:
    """What a client is told of a failure, in words."""
    return str(error) if detailed or not error.general else error.general


def phrase(status: int) -> str:
    """The reason phrase of a status (RFC 9110 §15)."""
    return HTTPStatus(status).phrase


def wants_page(head: RequestHead | None) -> bool:
    """Does a person look at this (Fetch Metadata §2.2, or Accept as fallback)?"""
    if head is None:
        return False
    mode = head.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate"
    return b"text/html" in (head.get(b"accept") or b"")


def failure_body(failure: Failure, head: RequestHead | None) -> tuple[bytes, bytes]:
    """Content type and body."""
    if head is not None and wants_page(head):
        return HTML, page(failure, head)
    body = json.dumps({"error": failure.to_dict()}, ensure_ascii=False, indent=2)
    return b"application/json", body.encode() + b"\n"


def plan_failure(
    failure: Failure, head: RequestHead | None, terms: Terms, date: bytes
) -> tuple[ResponsePlan, bytes]:
    """The response and its body; Proxy-Status as in RFC 9209 §2."""
    content_type, body = failure_body(failure, head)
    status = failure.error.status
    fields: Fields = [
        (b"Content-Type", content_type),
        (b"Cache-Control", b"no-store"),
        (b"Proxy-Status", PSEUDONYM + b"; error=" + failure.error.type.encode()),
        (b"Content-Length", b"%d" % len(body)),
        (b"Date", date),
    ]
    if failure.tells_id and failure.request_id:
        fields.append((NAME, failure.request_id))
    if content_type == HTML:
        fields.append((b"Content-Security-Policy", POLICY))
    fields.extend(failure.error.fields)
    if status == 405 and not any(name == b"Allow" for name, _ in fields):
        fields.append((b"Allow", ALLOW))
    if status == 503:
        fields.append((b"Retry-After", b"1"))
    if head is not None and head.method == b"HEAD":
        body = b""
    return own_plan(status, fields, terms), body


def own_plan(
    status: int, fields: Fields, terms: Terms, framing: Framing = LENGTH
) -> ResponsePlan:
    """A response that the proxy itself gives."""
    return ResponsePlan(
        status,
        phrase(status).encode(),
        fields,
        framing,
        terms.options,
        keep_alive=terms.keep_alive,
    )


def plan_options(terms: Terms, date: bytes) -> ResponsePlan:
    """Our own answer to OPTIONS, whose last hop is this proxy (RFC 9110 §9.3.7)."""
    return own_plan(
        200,
        [(b"Allow", ALLOW), (b"Content-Length", b"0"), (b"Date", date)],
        terms,
    )


def refusal_event(
    error: ProxyError, told: Told, head: RequestHead
) -> tuple[bytes, bool]:
    """The event that ends a response which began before the upstream's, as an error.

    And whether every client of what it looks like raises on it. An error of a model's
    API, or a message of JSON-RPC, goes on as it came: its clients know no other form.
    """
    status, body = error.status, b""
    if isinstance(error, UnexpectedResponse):
        status, body = error.upstream_status, error.body
    known = parsed_message(body)
    if is_json_rpc(told.request):
        answer = response_to(told, known)
        if answer is not None:
            return answer, True
    if not skips_comments(head):
        return error_of_gemini(told, known), True
    if known is not None:
        name = "error" if known.get("type") == "error" else ""
        # Clients of models' APIs do not name the type in Accept. One of AG-UI does,
        # and has never heard of their errors.
        return event(known, name), is_json_rpc(known) or not accepts_events(head)
    value = {
        "type": error.type,
        "reason": told.reason,
        **({"route": told.route} if told.route else {}),
        **id_of(told),
        "status": status,
        "body": body.decode("utf-8", "ignore"),
        "error": {"message": told.reason, "type": "server_error", "code": error.type},
    }
    return event(value, "error"), False


def is_json_rpc(value: object) -> TypeGuard[dict[str, object]]:
    """Is it a message of JSON-RPC 2.0?"""
    return isinstance(value, dict) and value.get("jsonrpc") == "2.0"


def response_to(told: Told, known: dict[str, object] | None) -> bytes | None:
    """The event that is the response to a JSON-RPC request; None if it has no id.

    A server that refuses a request unread does not know its id (JSON-RPC 2.0 §5), and
    MCP's client for Node waits a minute for a response that has one.
    """
    if is_json_rpc(known):
        if known.get("id") is not None:
            return event(known)
        request = told.request
        if is_json_rpc(request) and isinstance(request.get("id"), int | str):
            return event({**known, "id": request["id"]})
    return named("json-rpc").failure(told, None, ())


def error_of_gemini(told: Told, known: dict[str, object] | None) -> bytes:
    """The upstream's error if it is one of Gemini's API, or one of ours in that form.

    Its clients look for the member `error` alone, with a status as its code.
    """
    found = known.get("error") if known is not None else None
    if isinstance(found, dict):
        code = found.get("code")
        if isinstance(code, int) and 400 <= code < 600:
            return event({"error": found})
    return named("gemini").failure(told, None, ()) or b""


def parsed_message(body: bytes) -> dict[str, object] | None:
    """The body, if it is whole, and a message that clients read as an event, too.

    An error as OpenAI, Gemini or Anthropic have it, or a response of JSON-RPC.
    """
    try:
        value = json.loads(body, parse_constant=no_constant, parse_float=finite)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        answers = value.get("jsonrpc") == "2.0" and "result" in value
        if answers or isinstance(value.get("error"), dict):
            return value
    return None


def no_constant(name: str) -> None:
    """NaN and its like are not JSON (RFC 8259 §6)."""
    raise ValueError(name)


def finite(number: str) -> float:
    """1e999 is JSON, but could not be written again: it is read as Infinity."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(number)
    return value


def page(failure: Failure, head: RequestHead) -> bytes:
    """What a person sees who navigates."""
    error, message = failure.error, failure.message
    told = failure.to_dict().items()
    rows = {
        name.replace("_", " "): shown(value)
        for name, value in told
        if name not in ("status", "message", "advice")
    }
    found = ErrorPage(
        status=f"{error.status} {phrase(error.status)}",
        summary=sentence(error.general) or message,
        exact=message if error.general not in ("", message) else "",
        advice=failure.advice,
        rows=rows,
        record=failure.record
        and f"{failure.record}#request={failure.request_id.decode('ascii')}",
        sent=head.method not in (b"GET", b"HEAD"),
        waits=error.type in PASSING,
    )
    return render(found, head.get(b"accept-language"))


def sentence(words: str) -> str:
    """A message as a sentence."""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def shown(value: object) -> str:
    """A detail as text."""
    return ", ".join(value) if isinstance(value, list) else str(value)
