"""The page's pure modules, in the browser that runs them."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Demo

pytestmark = pytest.mark.browser

VERDICTS: list[tuple[str, list[int], list[object]]] = [
    ("no message", [], ["nothing"]),
    ("one message", [2500], ["single", "2.5"]),
    ("held to the end", [6010, 6011, 6013], ["at-once", 3, "6.0"]),
    ("one a second", [1000, 2004, 2998], ["steady", 3, "1.0"]),
    ("fast, yet one by one", [3, 5, 7, 9], ["steady", 4, "0.0"]),
    ("by fits", [1000, 2000, 2010, 5200], ["uneven", 4, "5.2", "3.2"]),
]


async def test_verdict_on_arrivals(demo: Demo) -> None:
    verdicts = await demo.page.evaluate(
        """async (tables) => {
            const { judge } = await import("/arrival_verdict.js");
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
