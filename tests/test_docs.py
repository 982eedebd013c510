"""The documentation says what the code does: keys, defaults, examples, output."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise, takewhile
from pathlib import Path

import msgspec
import pytest

from proxy.cli import main
from proxy.config.faults import expected
from proxy.config.load import load
from proxy.config.model import Log, Server
from proxy.config.report import as_toml
from proxy.config.route import FieldRules, Route, RouteOptions
from proxy.config.routes import check_rule
from proxy.policy.rewrite import compile_rules, rewrite_path

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "configuration.md"
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("README.md")]
FENCE = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
Check = Callable[[str], tuple[int, str]]
NOT_A_DEFAULT = {"target", "path_rewrite"}


class AnyVariable(Mapping[str, str]):
    """An environment that has every variable."""

    def __getitem__(self, name: str) -> str:
        return "http://localhost:1" if name.endswith(("_URL", "TARGET")) else "1"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


# -- the reference of keys --------------------------------------------------------


def rows_of(
    table: type[msgspec.Struct], path: str = "", only: set[str] | None = None
) -> list[str]:
    """The lines of the reference that a table of the model asks for."""
    rows = []
    for each in msgspec.structs.fields(table):
        name = each.encode_name
        if name == "prefix" or (only is not None and name not in only):
            continue
        if each.name == "headers":
            for direction in ("request", "response"):
                rows += rows_of(FieldRules, f"headers.{direction}.")
            continue
        default = "required"
        if each.default is not msgspec.NODEFAULT:
            default = f"`{as_toml(each.default)}`"
        elif each.default_factory is not msgspec.NODEFAULT:
            default = f"`{as_toml(each.default_factory())}`"
        [meaning] = [
            meta.description for meta in each.type.__metadata__ if meta.description
        ]
        rows.append(
            f"| `{path}{name}` | {expected(each.type)} | {default} | {meaning} |"
        )
    return rows


def documented_rows(heading: str) -> list[str]:
    """The lines of the table of keys under a heading."""
    _, _, section = REFERENCE.read_text("utf-8").partition(f"\n### {heading}\n")
    _, _, table = section.partition("\n| Key | Type | Default | Meaning |\n")
    return [*takewhile(lambda line: line.startswith("| `"), table.splitlines()[1:])]


@pytest.mark.parametrize(
    ("heading", "rows"),
    [
        pytest.param("`[server]`", rows_of(Server), id="server"),
        pytest.param("`[log]`", rows_of(Log), id="log"),
        pytest.param(
            '`[routes."/prefix"]`', rows_of(Route, only=NOT_A_DEFAULT), id="route"
        ),
        pytest.param("Options of a route", rows_of(RouteOptions), id="options"),
    ],
)
def test_every_key_has_its_row_and_no_row_is_of_no_key(
    heading: str, rows: list[str]
) -> None:
    assert documented_rows(heading) == rows


def test_no_other_table_lists_keys() -> None:
    text = REFERENCE.read_text("utf-8")
    assert text.count("| Key | Type | Default | Meaning |") == 4


# -- the examples -----------------------------------------------------------------


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """Language, remark and content of each fenced block."""
    for found in FENCE.finditer(page.read_text("utf-8")):
        yield found[1], found[2].strip(), found[3]


EXAMPLES = [
    pytest.param(content, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (language, remark, content) in enumerate(blocks(page), start=1)
    if language == "toml" and "[routes" in content and remark != "faulty"
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_loads(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    assert load(path, AnyVariable()).routes


@pytest.mark.parametrize("name", ["config.toml", "upstream_demo/demo.toml"])
def test_every_configuration_that_we_ship_loads(name: str) -> None:
    assert load(ROOT / name, {}).routes


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
        return status, (output.out + output.err).rstrip("\n")

    return run


@pytest.mark.parametrize(("text", "output"), outputs("faulty"))
def test_faults_are_told_as_documented(
    check: Check, monkeypatch: pytest.MonkeyPatch, text: str, output: str
) -> None:
    monkeypatch.delenv("LLM_API_KEY", raising=False)
    assert check(text) == (2, output)


@pytest.mark.parametrize(("text", "output"), outputs("checked"))
def test_a_configuration_is_reported_as_documented(
    check: Check, monkeypatch: pytest.MonkeyPatch, text: str, output: str
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("LLM_API_KEY", "secret")
    assert check(text) == (0, output)


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


# -- links ------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """How GitHub names a heading in links."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_links_within_the_reference_lead_somewhere() -> None:
    text = FENCE.sub("", REFERENCE.read_text("utf-8"))
    anchors = {anchor(found) for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]*)\)", text)
    assert links
    assert [link for link in links if link not in anchors] == []
