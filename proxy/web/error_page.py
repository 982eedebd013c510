"""The page for a person who navigates, and whom the proxy itself has to answer.

It is whole by itself: nothing of it comes from anywhere else. It works without
JavaScript, which only loads it again when what it waits for is back.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
# Read when the proxy starts: an update may replace them under it.
STYLE, SCRIPT, PAGE = (
    (HERE / f"error_page.{kind}").read_text("utf-8") for kind in ("css", "js", "html")
)
TEMPLATE = Template(PAGE)
# By the English text. What is exact stays English.
CHINESE: dict[str, str] = json.loads(
    (HERE / "error_page_chinese.json").read_text("utf-8")
)

AGAIN = "Try again"
RECORD = "This request in the inspector"
WAITS = "This page loads again by itself as soon as there is an answer."
SENT = (
    "What you have sent is not sent again by itself. Go back to have it again, "
    "or reload this page to send it once more."
)


@dataclass(frozen=True)
class ErrorPage:
    """What a page says, in English."""

    status: str  # with its phrase
    summary: str  # for everybody
    exact: str  # for whom it is known; "" if that is the summary
    advice: str
    rows: dict[str, str]  # names and values of what is known
    record: str = ""  # where its reader may look at the request
    sent: bool = False  # has the request brought something, such as a form?
    waits: bool = False  # may it succeed by itself, later?


def hash_of(text: str) -> str:
    """A source of Content-Security-Policy: this very text, and no other."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; style-src {hash_of(STYLE)}; script-src {hash_of(SCRIPT)}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
).encode()


def render(page: ErrorPage, accept_language: bytes | None) -> bytes:
    """The page, in the language that is preferred."""
    say = Speech(language_of(accept_language))
    said = [say.paragraph("", page.summary)]
    if page.exact:
        said.append(f'<p class="exact" lang="en">{escape(page.exact)}</p>')
    if page.advice:
        said.append(say.paragraph("soft", page.advice))
    actions = [] if page.sent else [f'<a class="again" href="">{say.text(AGAIN)}</a>']
    if page.record:
        actions.append(f'<a href="{escape(page.record)}">{say.text(RECORD)}</a>')
    waits = page.waits and not page.sent
    if page.sent:
        said.append(say.paragraph("soft", SENT))
    if waits:
        actions.append(
            '<span id="waits" class="soft" role="status" hidden>'
            f"{say.text(WAITS)}</span>"
        )
    return TEMPLATE.substitute(
        language=say.language,
        title=escape(page.status),
        style=STYLE,
        script=f"<script>{SCRIPT}</script>" if waits else "",
        said="\n".join(said),
        actions=f'<p class="actions">{" ".join(actions)}</p>' if actions else "",
        rows="".join(
            f'<dt>{say.text(name)}</dt><dd lang="en">{escape(value)}</dd>'
            for name, value in page.rows.items()
        ),
    ).encode()


class Speech:
    """Texts, in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.known = CHINESE if language == "zh-CN" else {}

    def text(self, english: str) -> str:
        """A text of which there are all languages."""
        return escape(self.known.get(english, english))

    def paragraph(self, kind: str, english: str) -> str:
        """A text of which there may be English alone."""
        foreign = self.language != "en" and english not in self.known
        return (
            f"<p{f' class={kind!r}' if kind else ''}"
            f"{' lang=en' if foreign else ''}>{self.text(english)}</p>"
        )


def language_of(accept_language: bytes | None) -> str:
    """The language that is preferred, of those that there are (RFC 9110 §12.5.4)."""
    chosen, most = "en", 0.0
    for each in (accept_language or b"").decode("latin-1").lower().split(","):
        tag, _, weight = each.partition(";")
        language = {"zh": "zh-CN", "en": "en"}.get(tag.strip().partition("-")[0])
        value = quality(weight)
        if language is not None and value > most:
            chosen, most = language, value
    return chosen


def quality(weight: str) -> float:
    """The value of `q=`; what is malformed is not preferred (RFC 9110 §12.4.2)."""
    name, _, value = weight.strip().partition("=")
    if not name:
        return 1.0
    try:
        found = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
    return found if 0 <= found <= 1 else 0.0
