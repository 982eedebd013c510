"""Metrics: counted right, and read by the real client of Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ManualClock, StartProxy
from tests.support.certificates import Authority
from tests.support.looking import asked, request
from tests.support.messages import EVENT_STREAM
from tests.support.raw import Upstream, chunk
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"
GET = b"GET /x/secret?key=1 HTTP/1.1\r\nHost: a\r\n\r\n"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(running: RunningProxy) -> Samples:
    """All samples, as Prometheus reads them."""
    status, body = await asked(running, "metrics")
    assert status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all samples of a name with these labels."""
    found = [
        number
        for (each, having), number in samples.items()
        if each == f"unbuffered_{name}" and set(labels.items()) <= having
    ]
    assert found, (name, labels)
    return sum(found)


async def test_a_long_stream_counts_while_it_runs_and_once_it_has_ended(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/x": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    waiting = await scrape(running)
    assert value(waiting, "exchanges_open", route="/x", kind="waiting") == 1
    await server.send(EVENT_STREAM + chunk(b"data: 1\n\n"))
    await client.read_head()
    await client.read_chunk()
    clock.advance(7)
    await server.send(chunk(b"data: 2\n\n"))
    await client.read_chunk()
    samples = await scrape(running)
    kind = {"route": "/x", "kind": "event-stream"}
    assert value(samples, "exchanges_open", **kind) == 1
    assert value(samples, "exchanges_started_total", route="/x") == 1
    assert value(samples, "body_bytes_total", direction="sent", **kind) == 18
    assert value(samples, "pieces_total", **kind) == 2
    clock.advance(3600)
    await server.send(b"0\r\n\r\n")
    await client.read_chunk()
    samples = await scrape(running)
    assert value(samples, "exchanges_started_total", route="/x") == 1
    assert value(samples, "exchanges_ended_total", ending="complete", **kind) == 1
    assert value(samples, "body_bytes_total", direction="sent", **kind) == 18
    assert value(samples, "duration_seconds_bucket", le="3600", **kind) == 0
    assert value(samples, "duration_seconds_bucket", le="10800", **kind) == 1
    assert value(samples, "longest_gap_seconds_sum", **kind) == 7
    assert value(samples, "upstream_up", upstream=upstream.url) == 1


async def test_no_path_is_a_label(proxy: StartProxy, upstream: Upstream) -> None:
    running = await proxy({"/x": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await client.read_head()
    await client.send(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_head()
    _, body = await asked(running, "metrics")
    assert b"secret" not in body
    assert b"nowhere" not in body
    assert b'exchanges_ended_total{route="-",kind="plain",ending="refused"' in body


async def test_health_tells_a_load_balancer_that_the_end_has_begun(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    assert await asked(running, "health") == (200, b'{"status":"ready"}')
    client = await running.client()
    await client.send(request("health"))
    await client.read_head()
    await client.read(len(b'{"status":"ready"}'))
    # A connection on which half a request is here stays until it is answered.
    await client.send(request("health")[:10])
    await running.client()
    for each in running.connections:
        each.draining = True
    await client.send(request("health")[10:])
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert await client.read(len(b'{"status":"draining"}')) == b'{"status":"draining"}'


async def test_every_metric_of_the_dashboard_exists(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    counted = running.server.inspector.metrics_endpoint
    names = {family.name for family in counted.families()}
    names |= {f"{name}_{part}" for name in names for part in ("bucket", "sum")}
    expressions = re.findall(r'"(?:expr|query)": "(.*)"', DASHBOARD.read_text("utf-8"))
    used = {
        name
        for expression in expressions
        for name in re.findall(
            r"\b(?:unbuffered|process|gen_ai_(?:client|server))_[a-z0-9_]+", expression
        )
    }
    assert used
    assert used - names == set()
    shown = {name.removesuffix("_bucket").removesuffix("_sum") for name in used}
    unused = {each for each in names if not each.endswith(("_bucket", "_sum"))} - shown
    assert unused == set()
    assert json.loads(DASHBOARD.read_text("utf-8"))["title"] == "Unbuffered"


@pytest.mark.parametrize(
    "coding", [pytest.param(b"gzip, chunked", id="known"), pytest.param(b"x", id="not")]
)
async def test_a_question_whose_body_cannot_be_read_is_answered_for_the_last_time(
    proxy: StartProxy, upstream: Upstream, coding: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    line = b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n"
    await client.send(request("health")[:-2] + line)
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in head.lower()
    assert (await client.read_to_close())[1] == "fin"


async def test_during_a_drain_the_certificate_has_its_date_as_before(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    """The port is closed then, and the admin listener still answers."""
    running = await proxy({"/x": {"target": upstream.url}}, server=authority.server)
    before = running.server.certificate_expiries
    ((address, expires),) = before
    assert address == f"127.0.0.1:{running.port}"
    assert expires > 4e9
    running.server.listeners.close()
    assert running.server.certificate_expiries == before
