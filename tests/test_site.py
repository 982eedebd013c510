"""The site of the documentation: its colours, its texts of links, its translations."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.test_docs import FENCE, PAGES, ROOT, anchor, blocks

DOCS = ROOT / "docs"
LOOK = (DOCS / "stylesheets" / "look.css").read_text("utf-8")
MKDOCS = (ROOT / "mkdocs.yml").read_text("utf-8")
Compared = Callable[[Path], object]
TRANSLATIONS = sorted((DOCS / "zh-CN").glob("*.md"))


# -- contrast ---------------------------------------------------------------------

# Text in each of these colours (--md-…-color), on each of these grounds.
TEXT = 4.5  # WCAG 2.2, 1.4.3
PART = 3.0  # 1.4.11: what is no text, such as the ring of the focus
PROSE_GROUNDS = (
    "default-bg",
    "admonition-bg",
    "typeset-table-color--light",
    "typeset-kbd",
    "code-bg",
    "code-bg--light",
    "code-bg--lighter",
)
PAIRS = {
    "default-fg": (*PROSE_GROUNDS, "default-fg--lightest"),
    "default-fg--light": (*PROSE_GROUNDS, "footer-bg", "footer-bg--dark"),
    "default-fg--lighter": PROSE_GROUNDS,
    "default-bg": ("default-fg",),
    "typeset": (*PROSE_GROUNDS, "typeset-mark", "accent-fg--transparent"),
    "typeset-a": (*PROSE_GROUNDS, "accent-fg--transparent"),
    "primary-fg": ("primary-bg",),
    "primary-bg": ("primary-fg", "primary-fg--dark", "code-bg"),
    "primary-bg--light": ("primary-fg", "code-bg"),
    "accent-fg": (*PROSE_GROUNDS, "accent-fg--transparent", "footer-bg"),
    "accent-bg": ("accent-fg",),
    "admonition-fg": PROSE_GROUNDS,
    "warning-fg": ("warning-bg",),
    "footer-fg": ("footer-bg", "footer-bg--dark"),
    "footer-fg--light": ("footer-bg", "footer-bg--dark"),
    "footer-fg--lighter": ("footer-bg", "footer-bg--dark"),
    "code-fg": ("code-bg", "code-bg--light", "code-hl--light"),
} | {
    f"code-hl-{name}": ("code-bg", "code-bg--light", "code-hl--light")
    for name in (
        "comment",
        "constant",
        "function",
        "generic",
        "keyword",
        "name",
        "number",
        "operator",
        "punctuation",
        "special",
        "string",
        "variable",
    )
}
# The theme's own rules in this colour are overruled in look.css, by the same names.
OVERRULED = {
    "default-fg--lightest": (
        ".md-clipboard",
        ".md-code__button",
        ":disabled",  # WCAG asks no contrast of what is switched off
    )
}


def variable(name: str) -> str:
    """Of a short name: `default-fg--light` is --md-default-fg-color--light."""
    if "color" in name:
        return f"--md-{name}"
    head, dashes, tail = name.partition("--")
    return f"--md-{head}-color{dashes}{tail}"


def short(name: str) -> str:
    """The other way round."""
    return re.sub(r"^--md-(.*?)-color(?=--|$)", r"\1", name)


def colours(scheme: str) -> dict[str, str]:
    """Each variable of a scheme with what it comes to."""
    found: dict[str, str] = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", without_remarks(LOOK)):
        if f'="{scheme}"' in selectors:
            found |= dict(re.findall(r"(--[\w-]+):\s*([^;]+);", body))

    def value(text: str) -> str:
        inner = re.fullmatch(r"var\((--[\w-]+)\)", text)
        return value(found[inner[1]]) if inner else text

    return {name: value(text) for name, text in found.items()}


def without_remarks(style: str) -> str:
    return re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"; `colour` is #rrggbb."""
    assert re.fullmatch(r"#[0-9a-f]{6}", colour), f"{colour} is not opaque"
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(k * c for k, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#0000ff", "#ff0000", 2.15),
    ],
)
def test_the_contrast_is_that_of_the_standard(
    one: str, other: str, ratio: float
) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("scheme", ["default", "slate"])
@pytest.mark.parametrize(
    ("text", "ground"), [(text, each) for text, on in PAIRS.items() for each in on]
)
def test_text_can_be_read_on_its_ground(scheme: str, text: str, ground: str) -> None:
    of = colours(scheme)
    assert contrast(of[variable(text)], of[variable(ground)]) >= TEXT


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_the_ring_of_the_focus_is_seen_on_each_ground(scheme: str) -> None:
    of = colours(scheme)
    for ground in {each for on in PAIRS.values() for each in on} - {
        "accent-fg",  # the ring stands outside of it
        "default-fg",
        "primary-bg",
    }:
        assert contrast(of["--accent"], of[variable(ground)]) >= PART, ground


def test_no_colour_of_text_in_the_theme_is_without_its_pair() -> None:
    """A new version of the theme may bring a further one."""
    material = pytest.importorskip("material", reason="needs mkdocs-material")
    folder = Path(material.__file__).parent / "templates" / "assets" / "stylesheets"
    (main,) = folder.glob("main.*.min.css")
    theme = main.read_text("utf-8")
    used = set(re.findall(r"[{;]color:var\((--md-[\w-]+)\)", theme))
    assert len(used) > 20
    assert {short(each) for each in used} - set(PAIRS) == set(OVERRULED)
    for name, selectors in OVERRULED.items():
        rules = re.findall(
            rf"([^{{}}]+)\{{[^{{}}]*(?<=[{{;])color:var\({variable(name)}\)[^{{}}]*\}}",
            theme,
        )
        for rule in rules:
            assert any(rule.strip().endswith(each) for each in selectors), rule


def test_the_site_has_the_colours_of_the_demo_page_and_its_icon() -> None:
    page = (ROOT / "upstream_demo" / "page" / "base.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", page, re.DOTALL)[:2]
    for scheme, text in (("default", light), ("slate", dark)):
        ours = colours(scheme)
        named = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", text))
        assert len(named) > 8
        for name in {"--paper", "--panel", "--ink", "--soft", "--line", "--accent"}:
            assert ours[name] == named[name], name
    icon = (ROOT / "proxy" / "web" / "icon.svg").read_bytes()
    assert (DOCS / "icon.svg").read_bytes() == icon


# -- what links are called --------------------------------------------------------

LINK = re.compile(r"(?<!!)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)")
# Read alone, as a list of links is, these say nothing of where they lead.
EMPTY = re.compile(
    r"(?:(?:see|click|read|look) )?(?:here|there|above|below|this|that|it|these|those"
    r"|more|link|(?:this|that|its|the|next) (?:page|section|link|chapter))|\W*\d+\W*"
    r"|这里|此处|这儿|上面|下面|上文|下文|见下|本页|该页|详情|更多|链接|\W*",
    re.IGNORECASE,
)


def linked(page: Path) -> Iterator[tuple[str, str]]:
    """Text and address of each link of a page."""
    for text, address in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        yield " ".join(text.split()), address


def title(page: Path) -> str:
    found = re.search(r"^# (.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert found, page
    return found[1]


def is_title(text: str, page: Path) -> bool:
    """Its title, what stands there before or after the colon, or its beginning."""
    whole = title(page).replace("`", "").casefold()
    called = text.replace("`", "").casefold()
    parts = re.split(r": |\N{FULLWIDTH COLON}", whole)
    articles = [each.removeprefix("the ") for each in parts]
    return called in [*parts, *articles] or whole.startswith(f"{called} ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_text_of_a_link_says_where_it_leads(page: Path) -> None:
    empty = [text for text, _ in linked(page) if EMPTY.fullmatch(text)]
    assert not empty


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_with_the_same_text_lead_to_the_same_place(page: Path) -> None:
    """axe: identical-links-same-purpose."""
    places: dict[str, set[str]] = {}
    for text, address in linked(page):
        places.setdefault(text.casefold(), set()).add(address)
    assert not {text: found for text, found in places.items() if len(found) > 1}


def navigation() -> Iterator[tuple[str, str]]:
    """Each name in the site's navigation, and its page."""
    yield from re.findall(r"- ([^:\n]+): (\S+\.md)$", MKDOCS, re.MULTILINE)


@pytest.mark.parametrize(("name", "place"), [*navigation()])
def test_a_page_is_called_in_the_navigation_by_its_title(name: str, place: str) -> None:
    assert is_title(name.strip("\"'"), DOCS / place), title(DOCS / place)


@pytest.mark.parametrize("page", [DOCS / "index.md"], ids=lambda page: page.name)
def test_a_list_of_pages_has_their_titles(page: Path) -> None:
    text = page.read_text("utf-8")
    items = re.findall(r"^- (\[.*?\]\([^)]*\))", text, re.MULTILINE)
    assert items
    for item in items:
        ((name, place),) = LINK.findall(item)
        assert is_title(name, page.parent / place.partition("#")[0]), item


# -- the pages in Chinese ---------------------------------------------------------


def original(page: Path) -> Path:
    return DOCS / page.name


def headings(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text("utf-8"))
    return re.findall(r"^(#+ .*)$", text, re.MULTILINE)


def place_of(page: Path, address: str) -> str:
    """Where a link leads; a translated page counts as its original.

    A heading of a translated page counts by its number, for it has other words.
    """
    if "://" in address:
        return address
    name, _, heading = address.partition("#")
    target = (page.parent / name).resolve() if name else page
    if target in TRANSLATIONS or (DOCS / "zh-CN" / target.name) in TRANSLATIONS:
        anchors = [anchor(each.lstrip("#")) for each in headings(target)]
        number = anchors.index(heading) if heading else ""
        return f"{target.name}#{number}"
    return f"{target.relative_to(DOCS)}#{heading}"


def places(page: Path) -> list[str]:
    """But for those between the two languages."""
    other = {original(page), DOCS / "zh-CN" / page.name} - {page}
    return sorted(
        place_of(page, address)
        for _, address in linked(page)
        if (page.parent / address).resolve() not in other
    )


def code(page: Path) -> list[str]:
    """Its blocks of code, without their remarks, which are translated.

    A drawing is its arrows, and what they lead to.
    """
    return [
        " ".join(re.findall(r"▶|/[a-z]+|localhost:\d+|Unbuffered", content))
        if "▶" in content
        else "\n".join(
            re.sub(r"\s*(#|//) .*", "", line) for line in content.splitlines()
        )
        for _, _, content in blocks(page)
    ]


def shape(page: Path) -> list[str]:
    """The marks that lines begin with, and the number of cells of each row."""
    text = FENCE.sub("```\n", page.read_text("utf-8"))
    lines = re.findall(r"^(?:#+ |- |\d+\. |```|\|.*$|!\[)", text, re.MULTILINE)
    return [f"{each.count('|')} cells" if each[0] == "|" else each for each in lines]


def named(page: Path) -> set[str]:
    """What stands between backticks in the prose."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return {" ".join(each.split()) for each in re.findall(r"`([^`]+)`", text)}


def test_the_first_pages_are_there_in_chinese() -> None:
    names = {each.name for each in TRANSLATIONS}
    assert names >= {"quickstart.md", "streaming.md", "vue.md"}


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
@pytest.mark.parametrize("of", [places, code, shape, named], ids=lambda of: of.__name__)
def test_a_translation_has_what_its_original_has(page: Path, of: Compared) -> None:
    assert of(page) == of(original(page))


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
def test_the_two_languages_of_a_page_lead_to_each_other(page: Path) -> None:
    assert f"[English](../{page.name}) | 简体中文" in page.read_text("utf-8")
    english = original(page).read_text("utf-8")
    assert f"English | [简体中文](zh-CN/{page.name})" in english


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
def test_a_translation_leads_to_translations(page: Path) -> None:
    for text, address in linked(page):
        target = (page.parent / address.partition("#")[0]).resolve()
        if text != "English" and target.parent == DOCS:
            assert (DOCS / "zh-CN" / target.name) not in TRANSLATIONS, address


# -- the navigation ---------------------------------------------------------------


def test_each_title_of_the_navigation_has_a_chinese_one() -> None:
    """But for names: a page that is new needs one, too."""
    hook = runpy.run_path(str(DOCS / "page_language.py"))
    names = {"Unbuffered", "Vite", "Next.js", "Angular", "Create React App"}
    nav = MKDOCS.partition("\nnav:\n")[2]
    sections = {*re.findall(r"^  - (.+):$", nav, re.MULTILINE)} - {"中文"}
    titles = {
        title
        for title, page in re.findall(r"^ +- (.+): (\S+\.md)$", nav, re.MULTILINE)
        if not page.startswith("zh-CN/")
    }
    assert sections == {*hook["SECTIONS"]}
    assert titles - names == {*hook["TITLES"]}


class Item:
    """Of the navigation, as mkdocs has it."""

    def __init__(self, title: str, page: str = "", *children: Item) -> None:
        self.title = title
        self.children = [*children]
        self.is_section = not page
        self.file = SimpleNamespace(src_uri=page)


def test_the_navigation_speaks_the_language_of_each_page() -> None:
    hook = runpy.run_path(str(DOCS / "page_language.py"))
    english, chinese = Item("Limits", "limits.md"), Item("快速开始", "zh-CN/q.md")
    nav = SimpleNamespace(items=[Item("Operation", "", english), chinese])
    config = SimpleNamespace(theme={})
    hook["on_nav"](nav)

    def titles(page: Item) -> list[str]:
        hook["on_page_context"]({}, page, config, nav)
        return [each.title for each in hook["items"](nav)]

    for _ in range(2):  # a page after another, in any order
        assert titles(english) == ["Operation", "Limits", "快速开始"]
        assert titles(chinese) == ["运维", hook["chinese"](english), "快速开始"]
        assert hook["chinese"](english).startswith("限制")
