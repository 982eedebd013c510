"""axe-core in a page: what a machine can find of accessibility, and nothing found.

It is a package of npm, which `make examples` installs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

SOURCE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

needs_axe = pytest.mark.skipif(
    not SOURCE.is_file(),
    reason="tests/browser has no node_modules: run `make examples`",
)

# What fades in has not its own colours yet; what runs for ever has no end to go to.
END_ANIMATIONS = """() => {
    for (const each of document.getAnimations()) {
        if (each.effect.getComputedTiming().endTime < Infinity) each.finish();
    }
}"""


async def no_findings(page: Page) -> None:
    """Fail with each rule of axe that the page breaks as it is now, and where.

    For a test with `@needs_axe`. The page's clock has to run (`page.clock`).
    """
    found = await findings(page)
    assert found == [], f"{page.url}\n" + "\n".join(found)


async def findings(page: Page) -> list[str]:
    """Each place that breaks a rule: the rule, the element, and what is wrong."""
    if not await page.evaluate("'axe' in window"):
        # By the debugger, which no Content-Security-Policy stops.
        await page.evaluate(SOURCE.read_text("utf-8"))
    await page.evaluate(END_ANIMATIONS)
    violations: list[dict[str, Any]] = await page.evaluate(
        "async () => (await axe.run()).violations"
    )
    return [
        f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for rule in violations
        for node in rule["nodes"]
    ]
