"""Every failure the proxy can tell of, in one place.

A failure knows who is at fault, which status stands for it before the
response head is out, and its RFC 9209 §2.3 error type. Log, metrics, error
bodies and documentation all take these words from here. Messages are written
for the person who has to act: who, what, how much, which key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import ClassVar


class ProxyError(Exception):
    """Base of every failure. `status` is sent if no response head is out yet."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "proxy_internal_error"
    # What is told instead of the message to who is not told details
    # (`[server] error_detail`). "": the message itself, which is of the request alone.
    general: ClassVar[str] = "the proxy could not serve this request"
    fields: Sequence[tuple[bytes, bytes]] = ()  # of the response, beside the usual ones


class InternalError(ProxyError):
    """Code of the proxy raised what nobody expected; the log has the traceback."""

    general = ""

    def __init__(self) -> None:
        super().__init__("internal error; see the proxy's log for details")


class ConfigError(ProxyError):
    """One or more faults in the configuration; the process exits with 2."""

    type = "proxy_configuration_error"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@contextlib.contextmanager
def concerning(key: str) -> Iterator[None]:
    """Have whatever fails in here name the key that asked for it.

    Raises:
        ConfigError: in place of any other exception, which is its cause.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as fault:
        raise ConfigError([f"{key}: {in_words(fault)}"]) from fault


def in_words(fault: BaseException) -> str:
    """What went wrong, on one line."""
    if isinstance(fault, OSError):
        return (fault.strerror or str(fault)).lower()
    text = " ".join(str(fault).split())
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__


# -- the client is at fault ---------------------------------------------------


class ClientError(ProxyError):
    """The client's request cannot be served as it is."""

    general = ""
    status = 400
    type = "http_request_error"


class MalformedRequest(ClientError):
    """The bytes are not one well-formed HTTP/1.1 request (RFC 9112)."""


class RequestHeadTooLarge(ClientError):
    """RFC 6585 §5."""

    status = 431


class RequestTargetTooLong(ClientError):
    """RFC 9110 §15.5.15."""

    status = 414


class RequestBodyTooLarge(ClientError):
    """RFC 9110 §15.5.14."""

    status = 413


class RequestTimeout(ClientError):
    """RFC 9110 §15.5.9: the request did not arrive in time."""

    status = 408


class MethodNotSupported(ClientError):
    """CONNECT: this is a reverse proxy (RFC 9110 §15.6.2)."""

    status = 501


class ProtocolNotSupported(ClientError):
    """An extended CONNECT for anything but a WebSocket (RFC 8441 §4)."""

    status = 501


class TransferCodingNotSupported(ClientError):
    """A transfer coding other than chunked (RFC 9112 §6.1)."""

    status = 501


class MethodNotAllowed(ClientError):
    """TRACE whose last hop is this proxy (RFC 9110 §15.5.6)."""

    status = 405


class VersionNotSupported(ClientError):
    """RFC 9110 §15.6.6."""

    status = 505


class NoRoute(ClientError):
    """No configured prefix matches the path."""

    general = "nothing is served at this address"
    status = 404
    type = "destination_not_found"


class LoopDetected(ClientError):
    """The route's target has sent it back to us, again and again (RFC 5842 §7.2)."""

    general = "the request came back to this proxy again and again"
    status = 508
    type = "proxy_loop_detected"


class ClientDisconnected(ClientError):
    """The client left; 499 is what nginx and Caddy log. It is never sent."""

    status = 499
    type = "client_disconnected"


class ClientStalled(ClientError):
    """The client took nothing of what waits for it. It is never sent."""

    status = 408
    type = "connection_write_timeout"


class FellBehind(ClientStalled):
    """The client read so slowly that what it had yet to get is no longer kept."""


class StreamUnknown(ClientError):
    """There is no such kept stream, or it is another client's."""

    status = 404


class StreamGone(ClientError):
    """There was such a kept stream, or such a part of it (RFC 9110 §15.5.11)."""

    status = 410


class StreamStopped(ClientError):
    """A client has asked for the end of the kept stream."""

    status = 410


class TooManyStreams(ClientError):
    """The client has as many streams as it may have (RFC 6585 §4)."""

    status = 429
    type = "http_request_denied"


# -- the upstream is at fault -------------------------------------------------


class UpstreamError(ProxyError):
    """The upstream failed. After the response head: the client is aborted."""

    general = "the server behind this proxy cannot be reached, or answered wrongly"
    status = 502
    type = "http_protocol_error"


class UpstreamUnresolved(UpstreamError):
    """The target's name has no address."""

    type = "dns_error"


class UpstreamRefused(UpstreamError):
    """Nothing listens at the target."""

    type = "connection_refused"


class UpstreamUnreachable(UpstreamError):
    """The network, or a Unix socket's permissions, has no way to the target."""

    type = "destination_ip_unroutable"


class UpstreamUnavailable(UpstreamError):
    """The target could not be reached for connect_retry_seconds."""

    general = "the server behind this proxy is not available; try again"
    status = 503
    type = "destination_unavailable"


class UpstreamTLSFailed(UpstreamError):
    """The TLS handshake failed for another reason than the certificate."""

    type = "tls_protocol_error"


class UpstreamUntrusted(UpstreamTLSFailed):
    """The target's certificate did not verify."""

    type = "tls_certificate_error"


class UpstreamClosed(UpstreamError):
    """The upstream closed before its time: by a reset, or by FIN."""

    by_reset = False


class UpstreamDisconnected(UpstreamClosed):
    """The upstream closed before its response head was complete."""

    type = "connection_terminated"


class MalformedResponse(UpstreamError):
    """The upstream's bytes are not one well-formed response (RFC 9112)."""

    type = "http_protocol_error"


class UpstreamTruncated(UpstreamClosed):
    """The upstream closed before the body was complete (RFC 9112 §8)."""

    type = "http_response_incomplete"


class UnexpectedResponse(UpstreamError):
    """The upstream's response cannot be that which has begun as an event stream.

    Told inside it (heartbeat_before_head), with the beginning of the body.
    """

    def __init__(self, reason: str, upstream_status: int) -> None:
        super().__init__(reason)
        self.upstream_status = upstream_status
        self.body = b""


class UpstreamRepeats(UpstreamError):
    """Asked for the rest of a stream, the upstream sent what was there already."""


class ContentCodingFailed(UpstreamError):
    """The body is not what its Content-Encoding says, or breaks a bound."""

    type = "http_response_content_coding"


class UpstreamTimeout(UpstreamError):
    """A time limit of the route ran out; the message names its key."""

    general = "the server behind this proxy did not answer in time"
    status = 504
    type = "http_response_timeout"


class ConnectTimeout(UpstreamTimeout):
    """connect_timeout_seconds ran out."""

    type = "connection_timeout"


class FirstByteTimeout(UpstreamTimeout):
    """first_byte_timeout_seconds ran out."""


class UploadStalled(UpstreamTimeout):
    """first_byte_timeout_seconds ran out while the upstream took nothing."""

    type = "connection_write_timeout"


class IdleTimeout(UpstreamTimeout):
    """idle_timeout_seconds ran out inside a response."""


class DurationExceeded(UpstreamTimeout):
    """max_duration_seconds ran out."""


class FinishTimeout(UpstreamTimeout):
    """finish_seconds ran out after the client had left."""


class Overloaded(ProxyError):
    """A limit of the proxy itself is reached, or it is draining."""

    general = "the proxy serves as much as it can at the moment; try again"
    status = 503
    type = "proxy_internal_response"


class DescriptorsExhausted(Overloaded):
    """No descriptor was left for a connection to the upstream (RLIMIT_NOFILE)."""

    type = "connection_limit_reached"


class StreamUncertain(ProxyError):
    """The store does not say whether there is such a kept stream, or not yet."""

    status = 503
    type = "proxy_internal_response"


class AgedOut(ProxyError):
    """The stream has reached its age (max_age_seconds). It is never sent."""

    status = 503
    type = "proxy_internal_response"


class FinishTooLarge(Overloaded):
    """The upstream sent more than max_finish_bytes after the client had left."""


class ShuttingDown(ProxyError):
    """The process ends, and the exchange had not ended within drain_seconds."""

    general = "the proxy is about to stop; try again"
    status = 503
    type = "proxy_internal_response"
