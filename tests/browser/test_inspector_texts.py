"""The texts of the inspector's page: each has its Chinese, and none is left over."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
import pytest_asyncio

from proxy.config.route import RouteOptions
from proxy.observe.findings import Kind
from proxy.observe.list_row import PHASES
from proxy.policy.error_detail import ELSEWHERE, NOT_OPEN
from proxy.policy.error_response import ADVICE
from proxy.policy.timeouts import exceeded
from proxy.timeline import Ending, Phase
from proxy.transport.resolver import unresolved
from proxy.web.files import SHARED
from tests.support.feed import PAGE, PREFIX, modules_page, run

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CALL = re.compile(r"\b(?:phrase|counted)\(")
FAULT = re.compile(r"\b(?:need|faultAt)\(")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'')
MARKED = re.compile(r"<(\w+)([^>]*\sdata-text(?=[\s>])[^>]*)>(.*?)</\1>", re.DOTALL)
SAID = re.compile(r"<\w+[^>]*\sdata-said[^>]*>")
ATTRIBUTE = re.compile(r'(?:title|aria-label|placeholder)="([^"]*)"')
KEY = re.compile(r"^\S+: ")  # before a fault: what it is about
# What is compared in a call, and not said.
NOT_SAID = {"websocket"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page() -> AsyncIterator[Page]:
    async with modules_page() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chinese(page: Page) -> dict[str, str]:
    texts: dict[str, str] = await run(page, "ui/texts.js", "return m.TEXTS.zh;")
    return texts


async def test_each_text_that_is_looked_up_has_its_chinese(
    chinese: dict[str, str],
) -> None:
    texts = {text for path in sources() for text in looked_up(path)}
    assert len(texts) > 150
    assert texts - chinese.keys() - NOT_SAID == set()


async def test_what_the_proxy_calls_by_a_name_has_its_chinese(
    chinese: dict[str, str],
) -> None:
    """Its endings, phases and advice are said by the page."""
    names = {
        *(each.value for each in Ending),
        *PHASES.values(),
        *ADVICE.values(),
        *("complete", "truncated", "error", "lost", "running"),  # of a kept stream
        "finishing",
    }
    assert names - chinese.keys() == set()


async def test_advice_is_that_of_the_error_page(chinese: dict[str, str]) -> None:
    page = json.loads((SHARED / "error_page_chinese.json").read_text("utf-8"))
    shared = {text: told for text, told in page.items() if text in chinese}
    shared.pop("type")  # a label; theirs stands beside others
    assert shared.keys() >= {*ADVICE.values(), NOT_OPEN, ELSEWHERE}
    assert shared == {text: chinese[text] for text in shared}


async def test_each_kind_of_warning_has_a_heading(chinese: dict[str, str]) -> None:
    banner = (PAGE / "ui" / "warning_banner.js").read_text("utf-8")
    for kind in get_args(Kind):
        match = re.search(rf'"?{kind}"?: "([^"]+)"', banner)
        assert match is not None, kind
        assert match[1] in chinese


async def test_no_chinese_text_is_left_over(chinese: dict[str, str]) -> None:
    said = "\n".join(
        [path.read_text("utf-8").replace("\\", "") for path in sources()]
        + [
            *ADVICE.values(),
            ELSEWHERE,
            NOT_OPEN,
            *(each.value for each in Ending),
            *PHASES.values(),
        ]
        + PROXY_SAYS
    )
    said = re.sub(r"</?code>", "`", said)
    said = re.sub(r"\s+", " ", said)
    assert [text for text in chinese if text not in said] == []


async def test_texts_have_the_same_values_in_both_languages(
    chinese: dict[str, str],
) -> None:
    slots = re.compile(r"\{\d\}")
    differ = {
        text
        for text, told in chinese.items()
        if sorted(slots.findall(text)) != sorted(slots.findall(told))
    }
    assert differ == set()


async def test_a_text_is_said_in_the_language_that_is_spoken(page: Page) -> None:
    read = await run(
        page,
        "web/language.js",
        """const two = (n) => `二${n}`;
        m.learn({ zh: { "{0} of {1}": "{1} 中的 {0}", one: "一", two } });
        const told = () => [
            m.phrase("{0} of {1}", 3, "$&"), m.phrase("one"), m.phrase("two", 2),
            m.phrase("toString"), m.counted(1, "{0} cat", "{0} cats"),
            m.counted(2000, "{0} cat", "{0} cats"), m.translated("3 of 4"),
        ];
        const english = told();
        m.speak("zh");
        const chinese = told();
        const missing = m.missing();
        m.speak("en");
        return [english, chinese, missing];""",
    )
    assert read == [
        ["3 of $&", "one", "two", "toString", "1 cat", "2,000 cats", "3 of 4"],
        ["$& 中的 3", "一", "二2", "toString", "1 cat", "2,000 cats", "4 中的 3"],
        ["toString", "{0} cat", "{0} cats"],
    ]


def told(phase: Phase) -> str:
    """By a limit of 2 s that has run out."""
    limits = RouteOptions(
        connect_timeout_seconds=2,
        first_byte_timeout_seconds=2,
        idle_timeout_seconds=2,
    )
    error = exceeded(
        limits, phase, elapsed=2, waited=2, silence=2, upstream_to_move=True
    )
    return str(error)


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ("nothing listens at 127.0.0.1:9", "127.0.0.1:9 上没有服务在监听"),
        (
            "nothing listens at unix:/a.sock: the socket does not exist",
            "unix:/a.sock 这个 socket 不存在",
        ),
        ("no route for /a b; configured: /sse", "没有匹配 /a b 的路由"),
        (
            "the upstream closed early: 5 bytes of Content-Length are missing",
            "上游提前关闭了连接\uff0c响应不完整",
        ),
        (told(Phase.CONNECTING), "2.0 秒内没有连上上游"),
        (told(Phase.WAITING), "上游 2.0 秒内没有响应"),
        (told(Phase.RELAYING), "上游 2.0 秒没有发来数据"),
        (str(unresolved("nope.example", OSError("no"))), "无法解析主机名 nope.example"),
        ("a text that nobody knows", "Connection refused"),  # its type
    ],
)
async def test_a_common_message_has_its_meaning_beside_it(
    page: Page, message: str, meaning: str
) -> None:
    read = await run(
        page,
        "ui/words.js",
        """const { speak } = await import("PREFIX/page/web/language.js");
        speak("zh");
        const found = m.errorName("connection_refused", given);
        speak("en");
        return [found, m.errorName("connection_refused", given)];""".replace(
            "PREFIX", PREFIX
        ),
        message,
    )
    assert read == [meaning, ""]


# Texts with a number in them, and reasons of the form for the token.
PROXY_SAYS = [
    "Wrong token.",
    "Too many wrong tokens from this address; try again in {0} s.",
    "Too many links with wrong tokens from this address; enter it here.",
    "{0} feeds are already open",
    "{0} events in {1} bursts {2} s apart",
    "complete truncated error lost running finishing",
]


async def test_the_proxy_still_says_what_is_translated_of_it() -> None:
    root = Path(__file__).parents[2] / "proxy"
    sources = "".join(
        (root / each).read_text("utf-8")
        for each in (
            "inspector/access.py",
            "inspector/inspector.py",
            "observe/burst_detector.py",
        )
    )
    for part in (
        '"wrong token"',
        "too many wrong tokens from this address; try again in {wait} s",
        "too many links with wrong tokens from this address; enter it here",
        "feeds are already open",
        "{events} events in {bursts} bursts {apart:.1f} s apart",
    ):
        assert part in sources


def sources() -> list[Path]:
    scripts = [each for each in PAGE.rglob("*.js") if each.name != "texts.js"]
    pages = [PAGE / "index.html", PAGE / "login" / "form.html"]
    return [*sorted(scripts), SHARED / "model_answer.js", *pages]


def looked_up(path: Path) -> Iterator[str]:
    """The texts that a file looks up as they stand in it."""
    text = path.read_text("utf-8")
    if path.suffix == ".html":
        for match in MARKED.finditer(text):
            whole = re.sub(r"</?code>", "`", match[3])
            yield re.sub(r"\s+", " ", whole).strip()
        for tag in SAID.findall(text):
            yield from ATTRIBUTE.findall(tag)
        return
    for match in CALL.finditer(text):
        yield from literals(arguments(text, match.end()))
    for match in FAULT.finditer(text):
        _, _, said = arguments(text, match.end()).partition("where, ")
        yield from (KEY.sub("", fact) for fact in literals(said.replace("`", '"')))


def literals(text: str) -> list[str]:
    found = LITERAL.findall(text)
    return [(one or other).replace('\\"', '"') for one, other in found]


def arguments(text: str, start: int) -> str:
    """What stands between the brackets of a call."""
    depth, at = 1, start
    while depth:
        sign = text[at]
        if sign in "\"'`":
            at = text.index(sign, at + 1)
        depth += (sign == "(") - (sign == ")")
        at += 1
    return text[start : at - 1]
