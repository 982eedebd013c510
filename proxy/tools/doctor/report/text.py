"""The report for a person: verdict, timeline, evidence, cure."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from urllib.parse import urlsplit

from proxy.products.hold_kind import HELD
from proxy.products.product import Cure
from proxy.products.product_table import NAMES, PRODUCTS
from proxy.products.recognition import Sign
from proxy.quantities import buffer_size, counted, seconds
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.comparison import Case
from proxy.tools.doctor.events import Unit
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.report.drawing import timeline
from proxy.tools.doctor.result import Result
from proxy.tools.doctor.verdict import Kind
from proxy.tools.doctor.version import about_version

GREEN, RED, YELLOW, BOLD, PLAIN = "32;1", "31;1", "33;1", "1", ""
TOLD = (
    "content-type", "content-encoding", "content-length", "transfer-encoding",
    "cache-control", "x-accel-buffering", "server", "via", "age", "x-cache",
    "cf-cache-status", "x-powered-by", "server-timing", "proxy-status",
)  # fmt: skip
EVENTS = 400  # rows of --events


class Page:
    """Lines, in colour or not."""

    def __init__(self, width: int, *, colour: bool, plain: bool) -> None:
        self.width = width
        self.colour = colour
        self.plain = plain  # a terminal without Unicode
        self.lines: list[str] = []

    def add(self, line: str = "", style: str = PLAIN) -> None:
        # Much of it comes from a peer; a terminal must not obey it.
        line = "".join(char if char.isprintable() else "�" for char in line)
        if style and self.colour and line:
            line = f"\x1b[{style}m{line}\x1b[0m"
        self.lines.append(line)

    def wrap(self, text: str, first: str, rest: str = "", style: str = PLAIN) -> None:
        """A paragraph, indented."""
        for line in textwrap.wrap(
            text, self.width, initial_indent=first, subsequent_indent=rest or first,
            break_long_words=False, break_on_hyphens=False,
        ):  # fmt: skip
            self.add(line, style)

    def heading(self, text: str) -> None:
        self.add()
        self.add(text, BOLD)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def report(
    result: Result,
    width: int = 80,
    *,
    colour: bool = False,
    plain: bool = False,
    events: bool = False,
) -> str:
    """The whole report."""
    page = Page(max(width, 40), colour=colour, plain=plain)
    page.wrap(result.verdict.line, "", style=style_of(result))
    if result.verdict.held and not result.verdict.sure:
        page.wrap(unsure(result), "")
    draw(page, result)
    if result.mode == "through":
        programs(page, result)
    if result.mode == "hops":
        hops(page, result)
    evidence(page, result)
    if events:
        event_list(page, result.cases[0].recording)
    cures(page, result)
    text = page.text()
    return text.encode("ascii", "replace").decode() if plain else text


def style_of(result: Result) -> str:
    return {0: GREEN, 1: RED}.get(result.status, YELLOW)


def unsure(result: Result) -> str:
    """What keeps the verdict from being certain, and how to make it so."""
    if result.verdict.kind is Kind.CUT:
        return (
            "Likely, but not certain: the back end itself may have ended it. "
            "Measure it there too: --via URL --via BACK_END_URL."
        )
    if result.verdict.kind is Kind.NO_UPGRADE:
        return "Likely, but not certain: --via URL --via BACK_END_URL shows where."
    if result.mode == "hops" and result.holder is not result.cases[-1]:
        return (
            "Likely, but not certain: two answers of the back end may differ. "
            "--through URL measures with a test origin in place of the back end."
        )
    return (
        "Likely, but not certain: a back end that sends in this way looks the same. "
        "--via URL --via BACK_END_URL shows where the delay starts; --through URL "
        "measures with a test origin in place of the back end."
    )


def draw(page: Page, result: Result) -> None:
    """The timeline."""
    rows = [
        (name_of(case, result), case.recording)
        for case in result.cases
        if is_drawn(case, result) and not case.recording.missing
    ]
    nothing = (Kind.NO_STREAM, Kind.NO_UPGRADE)
    page_or_error = result.verdict.kind in nothing and result.mode != "hops"
    if not rows or page_or_error:
        return
    page.add()
    for line in timeline(rows, page.width, plain=page.plain):
        page.add(line)


def is_drawn(case: Case, result: Result) -> bool:
    """Has it a row? Where another request streams, nothing at all is one, too."""
    silent = case.recording.ending == "no head" and result.verdict.held
    return case.recording.answered or silent


def name_of(case: Case, result: Result) -> str:
    """What a row of the timeline is called."""
    if result.mode != "hops":
        return case.label
    parts = urlsplit(case.recording.url)
    return parts.netloc + parts.path


def programs(page: Page, result: Result) -> None:
    """What became of each stream of the test origin."""
    page.heading("Streams")
    width = max(len(case.label) for case in result.cases)
    for case in result.cases:
        style = GREEN if case.verdict.kind is Kind.STREAMS else RED
        hold = f"  up to {seconds(case.hold)}" if case.hold is not None else ""
        line = f"  {case.label:{width}}  {case.verdict.kind.value}{hold}"
        page.add(line, style if case.verdict.told else YELLOW)


def hops(page: Page, result: Result) -> None:
    """What each hop adds by itself."""
    page.heading("Hops, from the browser to the back end")
    width = max(len(case.recording.url) for case in result.cases)
    for case in result.cases:
        if case.added is None:
            added = "its own delay is unknown"
        else:
            more = " or more" if case.verdict.kind is Kind.SILENT else ""
            added = f"adds {seconds(case.added)}{more}"
        if case.compared is not None and case.compared.head_held:
            added += f", {seconds(case.compared.head)} to the head"
        line = f"  {case.recording.url:{width}}  {case.verdict.kind.value}; {added}"
        held = case is result.holder and result.verdict.held
        page.add(line, RED if held else PLAIN)


def evidence(page: Page, result: Result) -> None:
    """Why."""
    recording = result.holder.recording
    if not (result.verdict.evidence or recording.answered or recording.account):
        return
    page.heading("Evidence")
    for each in dict.fromkeys(result.verdict.evidence):
        page.wrap(each, "  - ", "    ")
    if recording.answered:
        for each in measured(recording):
            page.wrap(each, "  - ", "    ")
    for each in recording.account:
        page.wrap(each, "  - ", "    ")
    known = ", ".join(sign_text(sign) for sign in result.signs if sign.product)
    if known:
        page.wrap(f"it looks like {known}", "  - ", "    ")
    for sign in result.signs:
        passes = PRODUCTS[sign.product].passes if sign.product else ""
        if passes and result.verdict.kind in HELD:
            said = f"{sign.name} itself streams as it comes (measured: {passes})"
            page.wrap(f"{said}; --via shows whether the hold is behind it",
                      "  - ", "    ")  # fmt: skip
        if not sign.product and result.verdict.held:
            said = f"a hop calls itself {sign.name} ({sign.seen.partition(':')[0]})"
            page.wrap(f"{said}; no measured cure for it is known here", "  - ", "    ")


def sign_text(sign: Sign) -> str:
    """A product, and what it was recognised by."""
    how = ("perhaps: " if sign.guess else "") + sign.seen
    return f"{sign.name} ({how}{', of the hop behind' if sign.behind else ''})"


def measured(recording: ProbeRecording) -> list[str]:
    """The figures and the fields of one response."""
    shape = shape_of(recording)
    found = []
    asked = f"{recording.method} {recording.url}"
    found.append(f"{asked}: {recording.status}, {recording.version}, {shape.kind}")
    times = [f"head after {seconds(recording.head or 0)}"]
    if shape.first_byte is not None:
        times.append(f"first byte {seconds(shape.first_byte)}")
    if len(recording.arrivals) > 1:
        gaps = [after.at - before.at for before, after in pairwise(recording.arrivals)]
        times.append(f"longest gap {seconds(max(gaps))}")
    events = counted(len(shape.shown), shape.noun)
    arrivals = counted(len(shape.bursts), "arrival")
    merged = f" ({shape.merged} arrived together with another)" if shape.merged else ""
    pieces = shape.kind == "pieces"
    times.append(events if pieces else f"{events} in {arrivals}{merged}")
    times.append(buffer_size(recording.size))
    found.append(", ".join(times))
    fields = [
        f"{name}: {value}"
        for name, value in recording.fields
        if name.lower() in TOLD or name.lower().startswith("x-envoy")
    ]
    if fields:
        found.append("; ".join(fields))
    for hop in recording.redirects:
        found.append(f"redirected ({hop.status}) to {hop.location}")
    if recording.ending == "stopped":
        found.append(
            f"stopped after {seconds(recording.ended)}; the response had not ended"
        )
    return found + about_version(recording)


def event_list(page: Page, recording: ProbeRecording) -> None:
    """Every event with its time."""
    page.heading("Events")
    before = None
    units = shape_of(recording).units
    for number, unit in enumerate(units[:EVENTS], start=1):
        page.add(event_line(number, unit, before)[: page.width])
        before = unit
    if len(units) > EVENTS:
        page.add(f"  … and {len(units) - EVENTS} more")


def event_line(number: int, unit: Unit, before: Unit | None) -> str:
    gap = unit.at - before.at if before is not None else unit.at
    late = f" late {seconds(unit.at - unit.sent)}" if unit.sent is not None else ""
    same = before is not None and before.arrival == unit.arrival
    how = "same read" if same else f"+{seconds(gap)}"
    return f"  {number:4}  {unit.at:8.3f} s  {how:>10}{late}  {unit.label}"


def cures(page: Page, result: Result) -> None:
    """What to change, where and why."""
    if not result.cures:
        return
    page.heading("Cure")
    for cure in result.cures:
        write_cure(page, cure, first=cure is result.cures[0])
    if not result.recognised:
        page.add()
        page.wrap(
            "No product was recognized. If you know it, name it to get its exact "
            f"configuration lines: --product {' | '.join(sorted(NAMES))}.",
            "  ",
        )


def write_cure(page: Page, cure: Cure, *, first: bool) -> None:
    """The lines. What depends on something that does not show is said with an if."""
    who = f" ({NAMES[cure.product]})" if cure.product else ""
    if cure.fact:
        how = "In" if first else "Or in"
    elif cure.measured:
        how = f"If {cure.when}, in"
    else:
        how = "This may help" if first else "This may help too"
        how = f"{how}, if {cure.when}, in" if cure.when else f"{how}, in"
    page.add()
    page.wrap(f"{how} {cure.where}{who}:", "  ")
    page.add()
    for line in cure.lines.splitlines():
        page.add(f"      {line}", GREEN if cure.fact else YELLOW)
    page.add()
    page.wrap(f"{cure.reason} ({cure.standing})", "  ")
