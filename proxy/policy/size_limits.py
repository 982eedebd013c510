"""The sizes of messages: which limit one breaks, told as early as it can be.

Heads are judged by their bytes, before anything is parsed, so that what is
too large costs no more than the counting of its lines.
"""

from __future__ import annotations

from proxy.config.model import ServerOptions
from proxy.config.route import RouteOptions
from proxy.errors import (
    MalformedResponse,
    RequestBodyTooLarge,
    RequestHeadTooLarge,
    RequestTargetTooLong,
)
from proxy.http1.framing import Body, LengthBody
from proxy.http1.head import RequestHead

CRLF = b"\r\n"
# Of a request line, besides its target: the longest registered method has 17
# bytes, two spaces and the version take 10 more.
LINE_ROOM = 64
# Of one response. A head of 256 KiB has room for 65,000 fields of one letter,
# which cost far more than their bytes; real ones have fewer than 100.
MAX_RESPONSE_FIELDS = 1000
INTERIM_BURST = 32  # 1xx responses that may come at once; two are common


def check_request_head(
    data: bytes | bytearray, stop: int, limits: ServerOptions
) -> None:
    """A head that ends at `stop`, or has not ended yet (-1).

    Raises:
        RequestTargetTooLong, RequestHeadTooLarge.
    """
    size = stop if stop >= 0 else len(data) - 3  # three may be of its end
    most = limits.max_target_bytes
    if 0 < most < size - LINE_ROOM:
        first = data.find(CRLF, 0, most + LINE_ROOM + len(CRLF))
        if first < 0:
            raise target_too_long(limits)
    if size > limits.max_head_bytes:
        raise RequestHeadTooLarge(
            f"request head of more than {limits.max_head_bytes} bytes (max_head_bytes)"
        )
    if stop >= 0 and 0 < limits.max_fields < data.count(CRLF, 0, stop):
        raise RequestHeadTooLarge(
            f"more than {limits.max_fields} fields in the request head (max_fields)"
        )


def check_target(head: RequestHead, limits: ServerOptions) -> None:
    """The target alone, once it is known where it ends.

    Raises:
        RequestTargetTooLong.
    """
    if 0 < limits.max_target_bytes < len(head.target):
        raise target_too_long(limits)


def target_too_long(limits: ServerOptions) -> RequestTargetTooLong:
    return RequestTargetTooLong(
        f"request target of more than {limits.max_target_bytes} bytes "
        "(max_target_bytes)"
    )


def check_body(body: Body, limits: RouteOptions) -> None:
    """A request body whose length is said beforehand.

    Raises:
        RequestBodyTooLarge.
    """
    limit = limits.max_body_bytes
    if limit > 0 and isinstance(body, LengthBody) and body.remaining > limit:
        raise body_too_large(limit)


def body_too_large(limit: int) -> RequestBodyTooLarge:
    """The failure of a request body of more than `limit` bytes."""
    return RequestBodyTooLarge(
        f"request body of more than {limit} bytes (max_body_bytes)"
    )


def check_response_head(data: bytes | bytearray, stop: int, max_bytes: int) -> None:
    """As `check_request_head`, for an upstream's; 0: as many bytes as it likes.

    Raises:
        MalformedResponse.
    """
    size = stop if stop >= 0 else len(data) - 3
    if 0 < max_bytes < size:
        raise MalformedResponse(
            f"response head of more than {max_bytes} bytes (max_response_head_bytes)"
        )
    if stop >= 0 and data.count(CRLF, 0, stop) > MAX_RESPONSE_FIELDS:
        raise MalformedResponse(f"more than {MAX_RESPONSE_FIELDS} fields in a response")


def check_interim(count: int, seconds: float, rate: int) -> None:
    """1xx responses, `count` in so many seconds; `rate` 0: as many as it likes.

    Raises:
        MalformedResponse.
    """
    if rate and count > INTERIM_BURST + rate * seconds:
        raise MalformedResponse(
            f"{count} 1xx responses within {seconds:.1f} s: more than {rate} a "
            "second (max_interim_per_second)"
        )
