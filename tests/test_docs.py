"""The documentation says what the code does: keys, defaults, examples, output."""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise, takewhile
from pathlib import Path

import jsonschema
import pytest
import trustme

from proxy.cli.main import COMMANDS, main, parser
from proxy.config.kept_options import SWITCHES
from proxy.config.load import load
from proxy.config.path_rules import check_rule
from proxy.config.reader import KEYS_ELSEWHERE, keys_of
from proxy.config.schema import schema
from proxy.policy.path_rewrite import compile_rules, rewrite_path
from tests.support import reference
from tests.support.cure_table import cure_tables

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "configuration.md"
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("README*.md"))]
OTHERS = [
    *sorted(ROOT.glob("examples/**/README.md")),
    *(ROOT / name for name in ("CONTRIBUTING.md", "bench/README.md", "fuzz/README.md")),
]
EVERY_PAGE = [*PAGES, *(each for each in OTHERS if "node_modules" not in each.parts)]
# Of services, in the examples.
ADDRESSES = ("_URL", "TARGET", "AI", "DEV_SERVER", "EVENTS", "LESSONS")
FENCE = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
Check = Callable[[str], tuple[int, str]]


class AnyVariable(Mapping[str, str]):
    """An environment that has every variable."""

    def __getitem__(self, name: str) -> str:
        if name.endswith(("TOKEN", "_KEY")):
            return "0123456789abcdef"
        if name.endswith("STORE_URL"):
            return "redis://localhost"
        return "http://localhost:1" if name.endswith(ADDRESSES) else "1"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


# -- what is made from the code ---------------------------------------------------


@pytest.mark.parametrize("name", reference.GENERATED)
def test_what_is_made_from_the_code_is_current(name: str) -> None:
    """If it fails: `make reference`."""
    if name in ("cli.md", "explain.md") and sys.version_info[:2] != (3, 11):
        pytest.skip("argparse words its help in other ways in other versions")
    text = (ROOT / "docs" / name).read_text("utf-8")
    assert text == reference.GENERATED[name](text)


def test_every_table_of_keys_stands_between_its_markers() -> None:
    text = REFERENCE.read_text("utf-8")
    marked = [found[2] for found in reference.MARKED.finditer(text)]
    assert sorted(marked) == sorted(reference.tables())
    assert text.count("| Key | Type | Default | Meaning |") == len(marked)


def test_every_table_of_cures_stands_between_its_markers() -> None:
    text = (ROOT / "docs" / "doctor_cures.md").read_text("utf-8")
    marked = [found[2] for found in reference.MARKED.finditer(text)]
    assert sorted(marked) == sorted(cure_tables())


# -- the examples -----------------------------------------------------------------


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """Language, remark and content of each fenced block."""
    for found in FENCE.finditer(page.read_text("utf-8")):
        yield found[1], found[2].strip(), found[3]


def shipped() -> list[Path]:
    """Every file of the repository that is a configuration."""
    found = [ROOT / "config.toml", ROOT / "upstream_demo" / "demo.toml"]
    found += sorted((ROOT / "examples").rglob("config*.toml"))
    found += sorted((ROOT / "deploy").rglob("config.toml"))
    return [path for path in found if "node_modules" not in path.parts]


def whole(text: str) -> str:
    """A configuration that a fragment of one could stand in."""
    if "[routes" in text:
        return text
    keys = tomllib.loads(f"\n{text}".partition("\n[")[0])
    if not keys:
        return f'{text}\n[routes."/x"]\n{TARGET}'
    return f'[routes."/x"]\n{"" if "target" in keys else TARGET}{text}'


TARGET = 'target = "http://localhost:1"\n'
EXAMPLES = [
    pytest.param(whole(content), id=f"{page.name}-{number}")
    for page in PAGES
    for number, (language, remark, content) in enumerate(blocks(page), start=1)
    if language == "toml" and remark != "faulty"
]
SHIPPED = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in shipped()]
VALIDATOR = jsonschema.Draft7Validator(schema())


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_loads_and_its_schema_agrees(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    make_files(text, tmp_path)
    assert load(path, AnyVariable()).routes
    VALIDATOR.validate(tomllib.loads(text))


def make_files(text: str, folder: Path) -> None:
    """The files of certificates that an example names have to be there."""
    authority = trustme.CA()
    pair = authority.issue_cert("localhost").private_key_and_cert_chain_pem
    for key, name in re.findall(r'^(tls_\w+|ca_file) = "(.*)"', text, re.MULTILINE):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        pem = authority.cert_pem if key == "ca_file" else pair
        pem.write_to_path(str(path))


@pytest.mark.parametrize("path", SHIPPED)
def test_every_configuration_that_we_ship_loads(path: Path) -> None:
    assert load(path, AnyVariable()).routes
    VALIDATOR.validate(tomllib.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "path", [each for each in shipped() if each.name != "demo.toml"], ids=str
)
def test_the_first_line_of_an_example_leads_to_the_schema(path: Path) -> None:
    first = path.read_text("utf-8").partition("\n")[0]
    directive, _, place = first.partition(" ")
    assert directive == "#:schema"
    assert (path.parent / place).resolve() == ROOT / "docs" / "config.schema.json"


def outputs(remark: str) -> list[tuple[str, str]]:
    """Each toml block with that remark, and the text block after it."""
    found = list(blocks(REFERENCE))
    return [
        (content, after[2].rstrip("\n"))
        for (_, note, content), after in pairwise(found)
        if note == remark and after[0] == "text"
    ]


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    """Run `unbuffered check` on a text; its exit status and its output."""

    def run(text: str) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        Path("config.toml").write_text(text, "utf-8")
        status = main(["check", "--config", "config.toml"])
        output = capsys.readouterr()
        # The verdict comes last, on standard output.
        whole = output.err + output.out if status else output.out + output.err
        return status, whole.rstrip("\n")

    return run


@pytest.mark.parametrize(("text", "output"), outputs("faulty"))
def test_faults_are_told_as_documented(
    check: Check, monkeypatch: pytest.MonkeyPatch, text: str, output: str
) -> None:
    monkeypatch.delenv("LLM_API_KEY", raising=False)
    status, found = check(text)
    assert status == 2
    assert reference.cut(output).fullmatch(found)


@pytest.mark.parametrize(("text", "output"), outputs("checked"))
def test_a_configuration_is_reported_as_documented(
    check: Check, monkeypatch: pytest.MonkeyPatch, text: str, output: str
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("LLM_API_KEY", "secret")
    status, found = check(text)
    assert status == 0
    assert reference.cut(output).fullmatch(found)


def test_rules_of_path_rewrite_do_what_the_examples_say() -> None:
    _, _, section = REFERENCE.read_text("utf-8").partition("| Upstream gets |\n")
    rows = [*takewhile(lambda line: line.startswith("|"), section.splitlines()[1:])]
    assert rows
    for row in rows:
        rules, request, upstream = re.findall(r"`([^`]*)`", row)
        table = tomllib.loads(f"rules = {rules}")["rules"]
        for pattern, replacement in table.items():
            check_rule(pattern, replacement)
        rewritten = rewrite_path(compile_rules(table), request.encode())
        assert (request, rewritten.decode()) == (request, upstream)


# -- fragments in the prose --------------------------------------------------------

# The lines of cures are in the languages of other products.
PROSE = {
    page: FENCE.sub("", page.read_text("utf-8"))
    for page in PAGES
    if page.name != "doctor_cures.md"
}
KEY_AND_VALUE = re.compile(r"`([a-z_.]+ = [^`…]+)`")
COMMAND = re.compile(
    r"(?:^|[\s`/\\])unbuffered ((?:[a-z]+(?= |$|`)|--?\w)[^`\n]*)", re.MULTILINE
)


SHELLS = ("", "sh", "console", "text")
RUN = re.compile(r"(?:\$ )?(?:\.venv[/\\]\w+[/\\])?unbuffered (?!\d)(\S.*)")

# Where a key belongs whose name alone does not tell that, and what it needs there.
OF_SWITCHES = {
    key: f'[routes."/prefix".{name}]'
    for name, model in SWITCHES.items()
    for key in keys_of(model)
}
BOUND = 'bind = ["Cookie"]\n'
NEEDS = {
    "key": BOUND,
    "path": f'{BOUND}key = "body:id"\n',
    "stop": f'{BOUND}key = "body:id"\n',
}


def fragments() -> Iterator[tuple[str, str, str]]:
    """Page, table and text of each `key = value`."""
    for page, prose in PROSE.items():
        for text in dict.fromkeys(KEY_AND_VALUE.findall(prose)):
            key = re.split(r"[ .]", text)[0]
            table = {**OF_SWITCHES, **KEYS_ELSEWHERE}.get(key, '[routes."/prefix"]')
            yield page.name, table.replace("/prefix", "/x"), NEEDS.get(key, "") + text


@pytest.mark.parametrize(("page", "table", "text"), [*fragments()])
def test_every_key_and_value_in_the_prose_loads(
    tmp_path: Path, page: str, table: str, text: str
) -> None:
    address = "" if text.startswith("target") else TARGET
    route = f'[routes."/x"]\n{address}'
    path = tmp_path / "config.toml"
    content = f"{route}{text}" if table in route else f"{table}\n{text}\n{route}"
    path.write_text(content, "utf-8")
    assert load(path, AnyVariable()).routes


# -- commands ---------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """Page and arguments of each command of ours that a person could copy."""
    for page in EVERY_PAGE:
        whole_lines = re.sub(r"\\\n\s*", "", page.read_text("utf-8"))
        for found in COMMAND.findall(whole_lines):
            text = re.split(r" [|>&;] ?", found)[0]
            if not re.search(r"\[[-…]", text):  # a synopsis
                yield page.relative_to(ROOT).as_posix(), text


@pytest.mark.parametrize(("page", "text"), [*dict.fromkeys(commands())])
def test_every_command_line_is_one(page: str, text: str) -> None:
    arguments = shlex.split(text, comments=True)
    if len(arguments) == 1:  # it may be its name alone
        assert arguments[0] in COMMANDS or arguments[0].startswith("--")
        return
    check_arguments(arguments)


def in_blocks() -> Iterator[tuple[str, str]]:
    """Page and arguments of each line of a block that runs our command."""
    for page in EVERY_PAGE:
        for language, _, content in blocks(page):
            lines = re.sub(r"\\\n\s*", "", content).splitlines()
            for line in lines if language in SHELLS else ():
                if found := RUN.match(line):
                    text = re.split(r" [|>&;] ?", found[1])[0]
                    if re.search(r"\[[-…]", text):  # a synopsis
                        continue
                    yield page.relative_to(ROOT).as_posix(), text


@pytest.mark.parametrize(("page", "text"), [*dict.fromkeys(in_blocks())])
def test_every_line_of_a_block_that_runs_it_would_run(page: str, text: str) -> None:
    """There, a command that lacks an argument is a fault of the page."""
    check_arguments(shlex.split(text, comments=True))


def check_arguments(arguments: list[str]) -> None:
    """See that the command takes them."""
    with contextlib.suppress(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "exit", left_well)
        assert parser().parse_args(arguments).run


def left_well(self: object, status: int = 0, message: str | None = None) -> None:
    """What --help and --version do, and what a fault must not."""
    assert status == 0, message
    raise SystemExit


# -- links ------------------------------------------------------------------------

LINK = re.compile(r"\]\(([^)\s]+)\)")
LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def links(page: Path) -> list[str]:
    """The links of a page to pages, files and folders of the repository."""
    found = LINK.findall(FENCE.sub("", page.read_text("utf-8")))
    return [each for each in found if "://" not in each]


def anchor(heading: str) -> str:
    """How GitHub names a heading in links."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text("utf-8"))
    return {anchor(found) for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        place, _, heading = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


@pytest.mark.parametrize(
    "page", [each for each in PAGES if each.parent != ROOT], ids=lambda page: page.stem
)
def test_every_page_has_its_place_on_the_site_and_leads_to_no_other(page: Path) -> None:
    """The site has docs/ alone; `make docs` says the same, later."""
    docs = ROOT / "docs"
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    assert f": {page.relative_to(docs).as_posix()}\n" in nav
    for link in links(page):
        assert (page.parent / link.partition("#")[0]).resolve().is_relative_to(docs)


def test_the_changelog_can_be_read_in_a_terminal() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    assert [line for line in lines if len(line) > 105] == []


def in_english(link: str) -> str:
    """The page that a link of a README leads to, where it has one, in English.

    A heading of a translated page has another name there: it is left out.
    """
    place = link.partition("#")[0].replace("docs/zh-CN/", "docs/")
    translation = ROOT / place.replace("docs/", "docs/zh-CN/", 1)
    return place if place.startswith("docs/") and translation.exists() else link


def test_readmes_lead_to_the_same_pages_and_show_the_same_commands() -> None:
    others = {CHINESE.name, ENGLISH.name}
    english, chinese = ({*map(in_english, links(each))} for each in (ENGLISH, CHINESE))
    assert english - others == chinese - others

    def uncommented(page: Path) -> list[str]:
        return [re.sub(r" +# .*", "", content) for _, _, content in blocks(page)]

    assert uncommented(ENGLISH) == uncommented(CHINESE)
