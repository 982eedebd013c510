"""Firefox, which tells a page of a response once a byte of its body is here.

It needs no driver: its page reports to the upstream, by requests through the proxy.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.origin.stream_origin import StreamOrigin
from tests.browser.drivers.firefox import find_firefox, profile
from tests.conftest import StartProxy
from tests.e2e.programs import Program

pytestmark = pytest.mark.browser

GUARD_SECONDS = 60  # for the start of a browser on a busy machine, never a wait
PAGE = """<!doctype html><title>Heartbeats</title><script>
const report = (text) => fetch(`/report?${text}`);
const told = (name) => new Promise((resolve) => {
  const source = new EventSource(`/${name}/events`);
  source.onopen = () => resolve(report(`${name}-open`));
}).then(() => fetch(`/${name}/events`)).then(() => report(`${name}-settled`));
told("plain");
told("beats").then(async () => {
  for (let count = 0; count < 20; count += 1) await report("again");
  report("done");
});
</script>"""


async def reported(origin: StreamOrigin, text: str) -> None:
    request = await origin.request(f"/report?{text}")
    await request.respond(204)


async def test_a_stream_opens_before_its_first_event_where_there_are_heartbeats(
    proxy: StartProxy, origin: StreamOrigin, tmp_path: Path
) -> None:
    """`onopen` of an EventSource, and then the promise of fetch()."""
    origin.guard_seconds = GUARD_SECONDS
    origin.answer("/", [PAGE], content_type="text/html")
    origin.answer("/beats/events", end="open")
    origin.answer("/report?again", status=204)
    beats = {"target": origin.url, "heartbeat_seconds": 60}
    running = await proxy({"/": {"target": origin.url}, "/beats": beats})
    home = profile(tmp_path)
    command: list[str | Path] = [
        find_firefox(),
        "--headless",
        "--no-remote",
        "--profile",
        home,
        running.url,
    ]
    with Program(command, home, {"HOME": str(home)}):
        plain = await origin.stream("/plain/events")
        await reported(origin, "beats-open")
        await reported(origin, "beats-settled")
        # Many requests and their responses later the other stream is not open.
        await reported(origin, "done")
        assert "/report?plain-open" not in [each.target for each in origin.requests]
        origin.answer("/plain/events", ["data: first\n\n"], end="open")
        await plain.send_event("first")
        await reported(origin, "plain-open")
        await reported(origin, "plain-settled")
