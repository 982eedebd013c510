"""OpenTelemetry spans, one for each ended exchange: the extra `otel`, off by default.

Where spans go and which are kept is said by the standard variables
(OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER …). They
leave by a thread of the exporter's own; no exchange waits for it. The fields
`traceparent` and `tracestate` pass untouched: our span is a leaf beside those
of the upstream.
"""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING

from proxy.config.packages import no_otel
from proxy.errors import ConfigError, in_words
from proxy.http1.head import RequestHead
from proxy.observe.list_row import reason, text
from proxy.stream.families import named
from proxy.timeline import Clock, Timeline, wall_clock

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

NANOSECONDS = 1_000_000_000
PORT = re.compile(rb":\d*\Z")


class Tracing:
    """Makes spans of timelines."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http import trace_exporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation import tracecontext
        except ModuleNotFoundError:
            raise ConfigError([f"[tracing] enabled: {no_otel()}"]) from None
        name = os.environ.get("OTEL_SERVICE_NAME", "unbuffered")
        self.provider = TracerProvider(resource=Resource.create({"service.name": name}))
        self.provider.add_span_processor(
            BatchSpanProcessor(exporter or trace_exporter.OTLPSpanExporter())
        )
        self.tracer = self.provider.get_tracer("unbuffered")
        self.context = tracecontext.TraceContextTextMapPropagator()
        self.kind = trace.SpanKind.SERVER
        self.failed = trace.Status(trace.StatusCode.ERROR)
        self.clock: Clock = wall_clock

    def ended(self, timeline: Timeline) -> None:
        """One exchange is over; an observer."""
        end = self.clock()
        span = self.tracer.start_span(
            f"{text(timeline.method)} {timeline.route or ''}".rstrip(),
            context=self.context.extract(carrier(timeline)),
            kind=self.kind,
            attributes=attributes(timeline),
            start_time=int((end - timeline.duration) * NANOSECONDS),
        )
        if timeline.status >= 500 or reason(timeline) is not None:
            span.set_status(self.failed)
        span.end(int(end * NANOSECONDS))


def carrier(timeline: Timeline) -> dict[str, str]:
    """What the client said of its own span (W3C Trace Context)."""
    heads = timeline.heads
    request = heads[0] if isinstance(heads, tuple) else None
    if not isinstance(request, RequestHead):
        return {}
    return {
        name: value.decode("latin-1")
        for name in ("traceparent", "tracestate")
        if (value := request.get(name.encode())) is not None
    }


def attributes(timeline: Timeline) -> dict[str, str | int | float]:
    """By the semantic conventions where they have a name for it. No query."""
    first, finish = timeline.first_byte_seconds, timeline.call.finish
    visit = timeline.visit
    told: dict[str, str | int | float | None] = {
        "http.request.method": text(timeline.method),
        "url.path": text(timeline.target.partition(b"?")[0]),
        "url.scheme": text(timeline.scheme),
        "server.address": server_address(timeline),
        "client.address": text(timeline.client),
        "network.peer.address": text(timeline.peer),
        "http.route": timeline.route,
        "http.response.status_code": timeline.status or None,
        "http.request.body.size": timeline.bytes_received,
        "http.response.body.size": timeline.bytes_sent,
        "error.type": timeline.error.type if timeline.error is not None else None,
        "unbuffered.upstream": timeline.call.upstream,
        "unbuffered.request_id": text(timeline.request_id) or None,
        "unbuffered.pieces": timeline.call.pieces,
        "unbuffered.first_byte_seconds": (None if first is None else round(first, 6)),
        "unbuffered.longest_gap_seconds": round(timeline.call.longest_gap, 6),
        "unbuffered.longest_hold_seconds": round(timeline.longest_hold, 6),
        "unbuffered.retries": timeline.call.retries,
        "unbuffered.ending": timeline.ending.value,
        "unbuffered.unread_bytes": finish.unread_bytes if finish is not None else None,
        "unbuffered.family": timeline.call.family,
        "unbuffered.verdict": timeline.call.verdict,
        "unbuffered.stream": None if visit is None else visit.stream,
        "unbuffered.stream.way": None if visit is None else visit.way,
    }
    told |= answer_attributes(timeline)
    return {name: value for name, value in told.items() if value is not None}


def server_address(timeline: Timeline) -> str | None:
    """The host that the client asked, without its port."""
    return None if timeline.host is None else text(PORT.sub(b"", timeline.host))


def answer_attributes(timeline: Timeline) -> dict[str, str | int | float | None]:
    """Of a model's answer: by the conventions for GenAI, v0.1.0."""
    call = timeline.call
    answer = call.answer
    reader = None if call.family is None else named(call.family).answer
    if answer is None or reader is None:
        return {}
    first = timeline.first_token_seconds
    return {
        "gen_ai.operation.name": reader.operation,
        "gen_ai.provider.name": reader.provider,
        "gen_ai.response.model": answer.model or None,
        "gen_ai.usage.input_tokens": answer.input_tokens,
        "gen_ai.usage.output_tokens": answer.output_tokens,
        "gen_ai.response.time_to_first_chunk": (
            None if first is None else round(first, 6)
        ),
    }


@functools.cache
def tracing() -> Tracing:
    """The one of this process, which a reload does not replace.

    Raises:
        ConfigError: its packages are missing, or do not take their variables.
    """
    try:
        return Tracing()
    except ConfigError:
        raise
    except (Exception, SystemExit) as fault:  # a package may do anything at its import
        message = f"OpenTelemetry cannot be set up: {in_words(fault)}"
        raise ConfigError([f"[tracing] enabled: {message}"]) from None
