"""A hook of mkdocs: a page of docs/zh-CN says in which language it is written."""

from __future__ import annotations

from typing import Any

LANGUAGES = ("zh-CN",)  # folders of docs/


def on_page_content(html: str, page: Any, **_: object) -> str:
    """The page, marked: the frame of the site around it stays English."""
    folder = page.file.src_uri.partition("/")[0]
    return f'<div lang="{folder}">\n{html}\n</div>' if folder in LANGUAGES else html
