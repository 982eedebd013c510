"""A hook of mkdocs: a page of docs/zh-CN is Chinese, and so is the site around it.

The navigation stays English: so are the pages that it leads to.
"""

from __future__ import annotations

from typing import Any

LANGUAGES = {"zh-CN": "zh"}  # folders of docs/, and what the theme calls them
SEARCH = {"en": "Search", "zh": "搜索"}
DIALOG = 'role="dialog"'  # that of the search, which the theme gives no name


def language_of(page: Any) -> str:
    """The language of a page, as the theme calls it."""
    return LANGUAGES.get(page.file.src_uri.partition("/")[0], "en")


def on_page_content(html: str, page: Any, **_: object) -> str:
    """The page itself, marked as what it is written in."""
    folder = page.file.src_uri.partition("/")[0]
    return f'<div lang="{folder}">\n{html}\n</div>' if folder in LANGUAGES else html


def on_page_context(context: Any, page: Any, config: Any, **_: object) -> Any:
    """The theme takes its own texts by this name, for each page anew."""
    config.theme["language"] = language_of(page)
    return context


def on_post_page(output: str, page: Any, **_: object) -> str:
    """The whole page."""
    return named(output, language_of(page))


def on_post_template(output: str, **_: object) -> str:
    """A page that is none of the documentation's, such as that of a 404."""
    return named(output, "en")


def named(output: str, language: str) -> str:
    """With a name for the dialog of the search."""
    return output.replace(DIALOG, f'{DIALOG} aria-label="{SEARCH[language]}"')
