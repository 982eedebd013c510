"""A page of the documentation as the demo shows it: HTML that looks like the demo.

HTML in a document is text, but for `<kbd>`; the policy of the page lets nothing run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from itertools import pairwise
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
CHINESE = "zh-CN/"  # the folder of the translations
BACK = {"en": "Back to the demo", "zh-CN": "返回演示"}
KEYS = re.compile(r"&lt;(/?kbd)&gt;")
NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
PAGE = Template("""\
<!doctype html>
<html lang="$language">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>$title</title>
  <link rel="icon" href="/web/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/base.css">
  <link rel="stylesheet" href="/document.css">
</head>
<body>
  <header class="bar">
    <span class="wordmark">Unbuffered</span>
    <nav aria-label="$back"><a href="/#own">$back</a></nav>
  </header>
  <main class="document">
$body  </main>
</body>
</html>
""")


def can_render() -> bool:
    """Is what reads Markdown installed? It comes with the extra `demo`."""
    return find_spec("markdown_it") is not None


def render_page(name: str, text: str) -> str:
    """The page of the document that is called `name` in docs/."""
    markdown = reader()
    environment: dict[str, Any] = {}
    tokens = markdown.parse(text, environment)
    title = name_headings(tokens) or name
    language = "zh-CN" if name.startswith(CHINESE) else "en"
    return PAGE.substitute(
        language=language,
        title=escape(title),
        back=BACK[language],
        body=markdown.renderer.render(tokens, markdown.options, environment),
    )


def reader() -> MarkdownIt:
    """What reads Markdown as GitHub does, as far as docs/ uses it."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("fence", code_block)
    markdown.add_render_rule("text", plain_text)
    markdown.add_render_rule("table_open", table_open)
    markdown.add_render_rule("table_close", table_close)
    return markdown


def name_headings(tokens: Sequence[Token]) -> str:
    """Give headings the anchors that links use; the first one."""
    title = ""
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(
                each.content for each in inline.children or () if each.content
            )
            opening.attrSet("id", anchor_of(words))
            title = title or words
    return title


def anchor_of(heading: str) -> str:
    """How GitHub names a heading in links."""
    return NOT_IN_ANCHORS.sub("", heading.strip().lower()).replace(" ", "-")


# What scrolls can be reached by the keyboard.


def code_block(_: object, tokens: Sequence[Token], at: int, *__: object) -> str:
    text = escape(tokens[at].content)
    return f'<pre class="code" tabindex="0"><code>{text}</code></pre>\n'


def table_open(*_: object) -> str:
    return '<div class="wide" tabindex="0"><table>\n'


def table_close(*_: object) -> str:
    return "</table></div>\n"


def plain_text(_: object, tokens: Sequence[Token], at: int, *__: object) -> str:
    return KEYS.sub(r"<\1>", escape(tokens[at].content, quote=False))
