"""The field sections of one client, in order: requests and trailers, under limits.

The block of each has to be read, wanted or not: the next one builds on it. What is
too large for an answer, what is malformed, and what ends the connection are told
apart here.
"""

from __future__ import annotations

from proxy.errors import RequestHeadTooLarge, RequestTargetTooLong
from proxy.http1.grammar import Fields
from proxy.http1.head import REMEMBERED_BYTES, RequestHead
from proxy.http2.faults import StreamFault
from proxy.http2.field_compression import BlockDecoder
from proxy.http2.frames import PROTOCOL_ERROR
from proxy.http2.request_fields import (
    PATH,
    AskedFor,
    Request,
    asked,
    check_length,
    request_of,
    trailer_fields,
)


class FieldReader:
    """Reads what one client sends, and remembers the last: the next is often alike.

    A limit of 0 is none; `max_head_bytes` counts as SETTINGS_MAX_HEADER_LIST_SIZE does.
    """

    __slots__ = (
        "before",
        "decoder",
        "fields",
        "max_fields",
        "max_target",
        "others",
        "path_at",
        "said",
    )

    def __init__(
        self, max_head_bytes: int, max_fields: int = 0, max_target_bytes: int = 0
    ) -> None:
        self.decoder = BlockDecoder(max_head_bytes)
        self.max_fields = max_fields
        self.max_target = max_target_bytes
        self.before: RequestHead | None = None
        self.fields: Fields = []  # of `before`, as they came
        self.others: Fields = []  # those of them that ask for nothing
        self.said = (b"", b"")  # its :scheme and :authority
        self.path_at = 0  # which of them is :path

    def request(self, block: bytes, *, complete: bool) -> Request:
        """The request of a header block; `complete`: END_STREAM is set.

        Raises:
            ConnectionFault, StreamFault.
        """
        fields, size = self.decoder.decode(block)
        if size > self.decoder.max_bytes:
            return self.cut_off(fields)
        head = self.same_but_path(fields)
        if head is not None:
            check_length(head, complete=complete)
            return Request(head)
        found, count = asked(fields)
        others = fields[count:]
        error = self.too_large(found, others)
        if error is not None:
            return Request(request_of(found, others).head, error=error)
        request = self.alike(found, others)
        if request is None:
            request = request_of(found, others)
        self.remember(request, found, fields, others, size)
        assert request.head is not None
        check_length(request.head, complete=complete)
        return request

    def trailers(self, block: bytes) -> Fields:
        """The trailers of a header block behind a request's content.

        Raises:
            ConnectionFault, StreamFault.
        """
        fields, size = self.decoder.decode(block)
        error = (
            self.head_too_large()
            if size > self.decoder.max_bytes
            else self.too_many_fields(fields)
        )
        if error is not None:
            raise StreamFault(PROTOCOL_ERROR, str(error), error.status)
        return trailer_fields(fields)

    def skip(self, block: bytes) -> None:
        """A header block that nobody wants.

        Raises:
            ConnectionFault.
        """
        self.decoder.decode(block)

    # -- limits

    def cut_off(self, fields: Fields) -> Request:
        """A request of which only these first fields are known."""
        try:
            found, count = asked(fields)
            head = request_of(found, fields[count:]).head
        except StreamFault:
            head = None
        return Request(head, error=self.head_too_large())

    def head_too_large(self) -> RequestHeadTooLarge:
        return RequestHeadTooLarge(
            f"request head of more than {self.decoder.max_bytes} bytes (max_head_bytes)"
        )

    def too_large(
        self, found: AskedFor, fields: Fields
    ) -> RequestHeadTooLarge | RequestTargetTooLong | None:
        """What is too large about a request that is within `max_head_bytes`."""
        if 0 < self.max_target < len(found.path):
            return RequestTargetTooLong(
                f"request target of more than {self.max_target} bytes "
                "(max_target_bytes)"
            )
        return self.too_many_fields(fields)

    def too_many_fields(self, fields: Fields) -> RequestHeadTooLarge | None:
        """More than `max_fields`, where the pieces of a Cookie are one (§8.2.3)."""
        if not 0 < self.max_fields < len(fields):
            return None
        crumbs = sum(name == b"cookie" for name, _ in fields)
        if len(fields) - max(crumbs - 1, 0) <= self.max_fields:
            return None
        return RequestHeadTooLarge(
            f"more than {self.max_fields} fields in the request head (max_fields)"
        )

    # -- the same again

    def alike(self, found: AskedFor, others: Fields) -> Request | None:
        """The request, if its fields are those of the last."""
        before = self.before
        if (
            before is None
            or (found.scheme, found.authority) != self.said
            or found.method == b"CONNECT"
            or others != self.others
        ):
            return None
        return Request(before.again(found.method, found.path))

    def same_but_path(self, fields: Fields) -> RequestHead | None:
        """The head of a request that differs from the last in nothing but its path.

        All else has been looked at then.
        """
        before, known, at = self.before, self.fields, self.path_at
        if before is None or len(fields) != len(known):
            return None
        name, path = fields[at]
        if (
            name != b":path"
            or 0 < self.max_target < len(path)
            or PATH.fullmatch(path) is None
        ):
            return None
        fields[at] = known[at]
        if fields == known:
            return before.again(before.method, path)
        fields[at] = (name, path)
        return None

    def remember(
        self,
        request: Request,
        found: AskedFor,
        fields: Fields,
        others: Fields,
        size: int,
    ) -> None:
        """Keep a head for the next one, if it is worth it."""
        if (
            found.method == b"CONNECT"
            or request.error is not None
            or size > REMEMBERED_BYTES
        ):
            return
        self.before, self.fields, self.others = request.head, fields, others
        self.said = (found.scheme, found.authority)
        self.path_at = fields.index((b":path", found.path))
