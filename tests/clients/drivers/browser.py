"""Clients in a page of Chromium: the arguments are Chromium and the page's script."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def ask(page: Page, url: str, call: str, script: str) -> dict[str, object]:
    """One call, from a page of the origin that is asked."""
    address = f"{url}/page"
    page.route(address, lambda route: route.fulfill(body="", content_type="text/html"))
    page.goto(address)
    page.add_script_tag(content=script)
    told: dict[str, object] = page.evaluate(
        "([call, url]) => clients[call](url)", [call, url]
    )
    page.unroute(address)
    return told


def main(chromium: str, bundle: str) -> None:
    script = Path(bundle).read_text("utf-8")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page()
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            told = ask(page, asked["url"], asked["call"], script)
            print(json.dumps(told), flush=True)


main(*sys.argv[1:])
