"""The page's pure modules, in the browser that runs them."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Demo

pytestmark = pytest.mark.browser

EVENTS = (
    "\ufeffid: 7\nevent: add\ndata: 你\ndata:好\n\n: comment\n\ndata\n\r\ndata:🌊\r\n\r"
)
EXPECTED_EVENTS = [
    {"data": "你\n好", "type": "add", "id": "7"},
    {"data": "", "type": "message", "id": "7"},
    {"data": "🌊", "type": "message", "id": "7"},
]
SIZES = [1, 2, 3, 5, 7, 1000]
VERDICTS: list[tuple[str, list[int], list[object]]] = [
    ("no message", [], ["nothing"]),
    ("one message", [2500], ["single", "2.5"]),
    ("held to the end", [6010, 6011, 6013], ["at-once", 3, "6.0"]),
    ("one a second", [1000, 2004, 2998], ["steady", 3, "1.0"]),
    ("fast, yet one by one", [3, 5, 7, 9], ["steady", 4, "0.0"]),
    ("by fits", [1000, 2000, 2010, 5200], ["uneven", 4, "5.2", "3.2"]),
]
LINES = '{"a": "你"}\n\n[1, 2]\r\n"🌊"'


async def test_verdict_on_arrivals(demo: Demo) -> None:
    verdicts = await demo.page.evaluate(
        """async (tables) => {
            const { judge } = await import("/verdict.js");
            return tables.map((arrivals) => {
                const { kind, values } = judge(arrivals);
                return [kind, ...values];
            });
        }""",
        [arrivals for _, arrivals, _ in VERDICTS],
    )
    told = {
        name: verdict for (name, *_), verdict in zip(VERDICTS, verdicts, strict=True)
    }
    assert told == {name: expected for name, _, expected in VERDICTS}


async def test_event_stream_is_the_same_at_any_split(demo: Demo) -> None:
    """WHATWG HTML §9.2.6; the last CR is an end of line once the next line comes."""
    read_by_size = await demo.page.evaluate(
        """async ([text, sizes]) => {
            const { EventStreamReader } = await import("/eventstream.js");
            return sizes.map((size) => {
                const reader = new EventStreamReader();
                const events = [];
                for (let at = 0; at < text.length; at += size) {
                    events.push(...reader.push(text.slice(at, at + size)));
                }
                return [...events, ...reader.push(":")];
            });
        }""",
        [EVENTS, SIZES],
    )
    assert read_by_size == [EXPECTED_EVENTS] * len(SIZES)


async def test_ndjson_is_the_same_at_any_split_of_its_bytes(demo: Demo) -> None:
    read_by_size = await demo.page.evaluate(
        """async ([text, sizes]) => {
            const { NdjsonReader } = await import("/ndjson.js");
            const bytes = new TextEncoder().encode(text);
            return sizes.map((size) => {
                const reader = new NdjsonReader();
                const values = [];
                for (let at = 0; at < bytes.length; at += size) {
                    values.push(...reader.push(bytes.slice(at, at + size)));
                }
                return [...values, ...reader.finish()];
            });
        }""",
        [LINES, SIZES],
    )
    assert read_by_size == [[{"a": "你"}, [1, 2], "🌊"]] * len(SIZES)


async def test_line_that_is_no_json_is_named(demo: Demo) -> None:
    message = await demo.page.evaluate(
        """async () => {
            const { NdjsonReader } = await import("/ndjson.js");
            try {
                new NdjsonReader().push(new TextEncoder().encode("<html>\\n"));
            } catch (error) {
                return String(error);
            }
        }"""
    )
    assert message == "SyntaxError: not a line of JSON: <html>"
