"""Each host as a program of its own: what it gives is what docs/embedding.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.host_rows import ROWS
from tests.support.hosts import HOSTS, Host, each_host, run_host
from tests.support.raw import Upstream

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "embedding.md"

pytestmark = pytest.mark.hosts


def table() -> list[list[str]]:
    """The rows of the page's table of hosts, its head the first."""
    lines = PAGE.read_text("utf-8").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| | aiohttp |"))
    rows = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


def column(name: str) -> dict[str, str]:
    """What the page says of one host."""
    head, *rows = table()
    place = head.index(name)
    return {row[0]: row[place] for row in rows}


def test_the_page_has_all_that_is_measured() -> None:
    head, *rows = table()
    assert head[1:] == list(HOSTS)
    assert [row[0] for row in rows] == list(ROWS)


@pytest.mark.parametrize("host", each_host())
async def test_a_host_gives_what_the_page_says(
    host: Host, upstream: Upstream, tmp_path: Path
) -> None:
    found = {}
    async with run_host(host, upstream, tmp_path) as running:
        for name, measure in ROWS.items():
            found[name] = await measure(running, upstream)
            if "leaves" in name:
                assert "Traceback" not in running.said()
    assert found == column(host.name)
