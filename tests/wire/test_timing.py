"""Server-Timing by key; trace fields untouched; spans where they are asked for."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxy.config.load import from_routes
from proxy.observe.otel import Tracing
from proxy.process.process import observers
from tests.conftest import ManualClock, StartProxy
from tests.support.raw import Upstream

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GET = (
    b"GET /x?key=1 HTTP/1.1\r\nHost: a\r\ntraceparent: %b\r\ntracestate: a=1\r\n\r\n"
    % TRACE
)
OK = b"HTTP/1.1 200 OK\r\nServer-Timing: db;dur=3\r\nContent-Length: 2\r\n\r\nok"


async def test_server_timing_tells_what_the_proxy_added(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "server_timing": True}}, clock=clock
    )
    client, server = await running.begin(upstream, GET)
    clock.advance(0.25)
    await server.send(OK)
    await client.read_head()
    assert [line for line in client.head_lines if line.startswith(b"Server-T")] == [
        b"Server-Timing: db;dur=3",
        b"Server-Timing: unbuffered;dur=0.000, unbuffered-connect;dur=0.000, "
        b"unbuffered-upstream;dur=250.000",
    ]


async def test_without_the_key_nothing_is_added(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET)
    await server.send(OK)
    head = await client.read_head()
    assert head.count(b"Server-Timing") == 1


async def test_the_fields_of_a_trace_pass_untouched(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    _, server = await running.begin(upstream, GET)
    assert b"traceparent: " + TRACE in server.head_lines
    assert b"tracestate: a=1" in server.head_lines


async def test_each_exchange_is_a_span_in_the_trace_of_its_client(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    running.server.observers += (tracing.ended,)
    client, server = await running.begin(upstream, GET)
    await server.send(OK)
    await client.read_head()
    await running.ended()
    tracing.provider.force_flush()
    (span,) = exporter.get_finished_spans()
    tracing.provider.shutdown()
    assert span.name == "GET /"
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}".encode() in TRACE
    assert f"{span.parent.span_id:016x}".encode() in TRACE
    assert span.attributes is not None
    assert span.attributes["url.path"] == "/x"
    assert span.attributes["http.response.status_code"] == 200
    assert "1" not in str(span.attributes.get("url.query", ""))


def test_by_default_nothing_of_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    config = from_routes({"/": "http://localhost:1"})
    assert len(observers(config)) == 1
