"""The traces of `tests/traces` as records: what real servers sent, and when.

A trace has content as it was decoded, and how many bytes it was. What was coded is
coded again, piece by piece; it is not the same bytes, but comes at the same times.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import brotli

from proxy.exchange.record_tap import framing_of
from proxy.http1.framing import response_body
from proxy.http1.head import ResponseHead
from proxy.record.format import (
    ExchangeRecord,
    Framing,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RecordedRequest,
    RequestComplete,
    UpstreamEnd,
)
from proxy.tools.doctor.record import Ending, ProbeRecording, load
from tests.support.codings import zstd

TRACES = Path(__file__).parents[1] / "traces"
BODY = b"{}"  # of a POST, which a trace does not have
ENDS: dict[Ending, tuple[UpstreamEnd, str]] = {
    "complete": ("complete", "complete"),
    "cut": ("fin", "upstream broke"),
    "stopped": ("open", "client left"),
    "no answer": ("fin", "upstream broke"),
    "no head": ("open", "client left"),
}
Code = Callable[[bytes], bytes]


def trace_records() -> dict[str, ExchangeRecord]:
    """All of them, by the names of the traces."""
    return {
        f"{path.stem}{f'-{number}' if number else ''}": record_of(each)
        for path in sorted(TRACES.glob("*.json"))
        for number, each in enumerate(load(path.read_text("utf-8")))
    }


def micro(seconds: float) -> int:
    return round(seconds * 1_000_000)


def record_of(trace: ProbeRecording) -> ExchangeRecord:
    """A trace as a record."""
    parts = urlsplit(trace.url)
    fields = [("Host", parts.netloc), *trace.request]
    items: list[RecordedHead | RecordedPiece | RequestComplete] = []
    if trace.method == "POST":
        fields.append(("Content-Length", str(len(BODY))))
        items += [RecordedPiece(0, "client", BODY), RequestComplete(0)]
    request = RecordedRequest(
        trace.method,
        f"{parts.path}?{parts.query}" if parts.query else parts.path,
        "1.1",
        parts.scheme,
        fields,
    )
    code = coder(trace.coding)
    coded = [(micro(each.at), code(each.data)) for each in trace.arrivals]
    size = sum(len(data) for _, data in coded)
    if trace.head is not None:
        items.append(head_of(trace, micro(trace.head), size))
    items += [RecordedPiece(at, "upstream", data) for at, data in coded if data]
    end, ending = ENDS[trace.ending]
    head = next((each for each in items if isinstance(each, RecordedHead)), None)
    by_length = end == "complete" and head is not None and head.framing == "length"
    ended = items[-1].at if by_length else micro(trace.ended)
    last = RecordedEnd(ended, end, [], ending, trace.fault)
    return ExchangeRecord(
        "2026-11-29T12:00:00.000000Z", "a trace", "/", trace.url, request, items, last
    )


def head_of(trace: ProbeRecording, at: int, size: int) -> RecordedHead:
    """The response head of a trace, which has no reason phrase.

    `size` is how many bytes the body has that is made of the trace.
    """
    told = [
        (name, str(size) if trace.coding and is_length(name) else value)
        for name, value in trace.fields
    ]
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told]
    head = ResponseHead(trace.status, b"OK", 1, fields)
    method = trace.method.encode()
    framing = framing_of(head, response_body(head, method), method)
    return RecordedHead(at, trace.status, "OK", "1.1", told, cast("Framing", framing))


def is_length(name: str) -> bool:
    return name.lower() == "content-length"


def coder(coding: str) -> Code:
    """Codes piece by piece, each so that it can be decoded at once."""
    if coding == "gzip":
        made: Any = zlib.compressobj(wbits=31)
        return lambda data: bytes(made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH))
    if coding == "deflate":
        deflated: Any = zlib.compressobj()
        return lambda data: bytes(
            deflated.compress(data) + deflated.flush(zlib.Z_SYNC_FLUSH)
        )
    if coding == "zstd":
        packed = zstd.ZstdCompressor()
        return lambda data: packed.compress(data, packed.FLUSH_BLOCK)
    if coding == "br":
        brotlied: Any = brotli.Compressor()
        return lambda data: bytes(brotlied.process(data) + brotlied.flush())
    assert coding == "", coding
    return lambda data: data
