"""What axe finds is a failure, on a page with a policy of its own too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import needs_axe, no_findings

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, needs_axe]

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'">
<title>A page</title>
<style>
  @keyframes fade {{ from {{ opacity: 0 }} }}
  main {{ animation: fade 100s }}
</style>
<main><h1>Heading</h1>{}</main>
"""


async def test_a_page_without_a_fault_has_no_finding(browser_page: Page) -> None:
    """While its text fades in, too: that is judged as it will be."""
    await browser_page.set_content(PAGE.format("<p>Text</p>"))
    await no_findings(browser_page)


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        pytest.param("<button></button>", "button-name", id="a button without a name"),
        pytest.param(
            "<p style='color: #999'>Text</p>", "color-contrast", id="grey on white"
        ),
        pytest.param(
            "</main><p>Text</p>",
            "region",
            id="text outside of all landmarks",
        ),
    ],
)
async def test_a_fault_fails_with_its_rule_and_its_place(
    browser_page: Page, part: str, rule: str
) -> None:
    await browser_page.set_content(PAGE.format(part))
    with pytest.raises(AssertionError, match=f"{rule}: <"):
        await no_findings(browser_page)


async def test_a_page_is_judged_as_it_is_now(browser_page: Page) -> None:
    await browser_page.set_content(PAGE.format("<p>Text</p>"))
    await no_findings(browser_page)
    await browser_page.evaluate(
        "document.querySelector('p').replaceWith(document.createElement('button'))"
    )
    with pytest.raises(AssertionError, match="button-name"):
        await no_findings(browser_page)
