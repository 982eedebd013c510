"""Every failure: whose fault, which status, which type."""

from __future__ import annotations

import inspect
from http import HTTPStatus

import pytest

from proxy import errors
from proxy.errors import (
    ClientDisconnected,
    ClientError,
    ConfigError,
    ProxyError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

ALL: dict[str, type[ProxyError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, ProxyError)
}

# The registry of RFC 9209 §2.3.
TYPES = frozenset(
    [
        "dns_timeout",
        "dns_error",
        "destination_not_found",
        "destination_unavailable",
        "destination_ip_prohibited",
        "destination_ip_unroutable",
        "connection_refused",
        "connection_terminated",
        "connection_timeout",
        "connection_read_timeout",
        "connection_write_timeout",
        "connection_limit_reached",
        "tls_protocol_error",
        "tls_certificate_error",
        "tls_alert_received",
        "http_request_error",
        "http_request_denied",
        "http_response_incomplete",
        "http_response_header_section_size",
        "http_response_header_size",
        "http_response_body_size",
        "http_response_trailer_section_size",
        "http_response_trailer_size",
        "http_response_transfer_coding",
        "http_response_content_coding",
        "http_response_timeout",
        "http_upgrade_failed",
        "http_protocol_error",
        "proxy_internal_response",
        "proxy_internal_error",
        "proxy_configuration_error",
        "proxy_loop_detected",
    ]
)

STATUS_AND_TYPE = {
    "ProxyError": (500, "proxy_internal_error"),
    "InternalError": (500, "proxy_internal_error"),
    "ConfigError": (500, "proxy_configuration_error"),
    "ClientError": (400, "http_request_error"),
    "MalformedRequest": (400, "http_request_error"),
    "RequestHeadTooLarge": (431, "http_request_error"),
    "RequestTargetTooLong": (414, "http_request_error"),
    "RequestBodyTooLarge": (413, "http_request_error"),
    "RequestTimeout": (408, "http_request_error"),
    "FellBehind": (408, "connection_write_timeout"),
    "StreamUnknown": (404, "http_request_error"),
    "StreamGone": (410, "http_request_error"),
    "UpstreamRepeats": (502, "http_protocol_error"),
    "StreamStopped": (410, "http_request_error"),
    "MethodNotSupported": (501, "http_request_error"),
    "ProtocolNotSupported": (501, "http_request_error"),
    "TransferCodingNotSupported": (501, "http_request_error"),
    "MethodNotAllowed": (405, "http_request_error"),
    "VersionNotSupported": (505, "http_request_error"),
    "NoRoute": (404, "destination_not_found"),
    "LoopDetected": (508, "proxy_loop_detected"),
    "ClientDisconnected": (499, "client_disconnected"),
    "ClientStalled": (408, "connection_write_timeout"),
    "UpstreamError": (502, "http_protocol_error"),
    "UpstreamUnresolved": (502, "dns_error"),
    "UpstreamRefused": (502, "connection_refused"),
    "UpstreamUnreachable": (502, "destination_ip_unroutable"),
    "UpstreamUnavailable": (503, "destination_unavailable"),
    "UpstreamTLSFailed": (502, "tls_protocol_error"),
    "UpstreamUntrusted": (502, "tls_certificate_error"),
    "UpstreamClosed": (502, "http_protocol_error"),
    "UpstreamDisconnected": (502, "connection_terminated"),
    "MalformedResponse": (502, "http_protocol_error"),
    "UpstreamTruncated": (502, "http_response_incomplete"),
    "UnexpectedResponse": (502, "http_protocol_error"),
    "ContentCodingFailed": (502, "http_response_content_coding"),
    "UpstreamTimeout": (504, "http_response_timeout"),
    "ConnectTimeout": (504, "connection_timeout"),
    "FirstByteTimeout": (504, "http_response_timeout"),
    "UploadStalled": (504, "connection_write_timeout"),
    "FinishTimeout": (504, "http_response_timeout"),
    "FinishTooLarge": (503, "proxy_internal_response"),
    "IdleTimeout": (504, "http_response_timeout"),
    "DurationExceeded": (504, "http_response_timeout"),
    "Overloaded": (503, "proxy_internal_response"),
    "DescriptorsExhausted": (503, "connection_limit_reached"),
    "ShuttingDown": (503, "proxy_internal_response"),
    "TooManyStreams": (429, "http_request_denied"),
    "StreamUncertain": (503, "proxy_internal_response"),
    "AgedOut": (503, "proxy_internal_response"),
}


@pytest.mark.parametrize("name", ALL)
def test_a_failure_has_its_status_and_its_type(name: str) -> None:
    """The same words in log, metric, body and documentation: a change is felt."""
    assert (ALL[name].status, ALL[name].type) == STATUS_AND_TYPE[name]


@pytest.mark.parametrize("name", ALL)
def test_the_side_at_fault_tells_the_class_of_the_status(name: str) -> None:
    kind = ALL[name]
    if issubclass(kind, ClientError):
        assert 400 <= kind.status < 500 or kind.status in (501, 505, 508)
    elif issubclass(kind, UpstreamError):
        status = 504 if issubclass(kind, UpstreamTimeout) else 502
        assert kind.status == (503 if kind is UpstreamUnavailable else status)
    else:
        assert kind.status in (500, 503)


@pytest.mark.parametrize("name", ALL)
def test_a_type_is_in_the_registry(name: str) -> None:
    """RFC 9209 §2.3; a client that has left is told nothing, so its type is ours."""
    kind = ALL[name]
    assert kind.type in TYPES or kind is ClientDisconnected


@pytest.mark.parametrize("name", ALL)
def test_a_status_that_is_sent_has_a_phrase(name: str) -> None:
    kind = ALL[name]
    known = {status.value for status in HTTPStatus}
    assert (kind.status in known) is (kind is not ClientDisconnected)


@pytest.mark.parametrize("name", ALL)
def test_a_failure_says_whom_it_concerns(name: str) -> None:
    assert ALL[name].__doc__


def test_a_wrong_configuration_tells_every_fault() -> None:
    error = ConfigError(["a: wrong", "b: wrong too"])
    assert error.faults == ["a: wrong", "b: wrong too"]
    assert str(error) == "a: wrong\nb: wrong too"
