"""`fault` of a route, as a file has it."""

from __future__ import annotations

import pytest

from proxy.config.diff import changes
from proxy.config.effective import fault_lines, report
from proxy.config.fault_options import Fault
from proxy.config.load import build, from_routes
from proxy.config.reader import Reader
from proxy.errors import ConfigError
from proxy.process.process import banner
from tests.unit.config.conftest import Load

ROUTE = '[routes."/x"]\ntarget = "http://a"\n'
ALLOWED = "[server]\nallow_faults = true\n" + ROUTE
KINDS = (
    "fin, reset, clean_end, no_terminal, stall, drip, split, coalesce, duplicate, "
    "late_head, wrong_length, status, error_event or compress"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            'fault = { kind = "fin", after = 3 }',
            [Fault(kind="fin", after=3)],
            id="inline",
        ),
        pytest.param(
            '[routes."/x".fault]\nkind = "stall"\nseconds = 2',
            [Fault(kind="stall", seconds=2.0)],
            id="a table",
        ),
        pytest.param(
            '[[routes."/x".fault]]\nkind = "drip"\n'
            '[[routes."/x".fault]]\nkind = "fin"\nafter = 3',
            [Fault(kind="drip"), Fault(kind="fin", after=3)],
            id="tables",
        ),
        pytest.param(
            'fault = { kind = "${K:-fin}", after = "${N:-3}" }',
            [Fault(kind="fin", after=3)],
            id="from the environment",
        ),
        pytest.param("fault = []", [], id="none"),
    ],
)
def test_what_people_write_is_read(
    read: Load, text: str, expected: list[Fault]
) -> None:
    assert list(read(f"{ALLOWED}{text}\n").routes["/x"].fault) == expected


REFUSED = [
    ("fault = 3", "fault: expected a table or a list of tables, got the integer 3"),
    (
        'fault = "fin"',
        'fault: expected a table or a list of tables, got the string "fin"',
    ),
    (
        'fault = ["fin"]',
        "fault: expected a table or a list of tables, got a list with other items",
    ),
    ("fault = {}", f"fault.kind: missing: expected {KINDS}"),
    (
        "fault = { after = 3, inside = true }",
        f"fault.kind: missing: expected {KINDS}",
    ),
    (
        'fault = { kind = "fin", afer = 3 }',
        "fault.afer: unknown key: did you mean after?",
    ),
    (
        'fault = { kind = "fin", after = "3" }',
        "fault.after: expected an integer from 0 to 1000000000, got the string "
        '"3": remove the quotes',
    ),
    (
        'fault = { kind = "fin", after = 1.5 }',
        "fault.after: expected an integer from 0 to 1000000000, got the number 1.5",
    ),
    (
        'fault = { kind = "stall", seconds = -1 }',
        "fault.seconds: expected a finite number of 0 or more, got the integer -1",
    ),
    (
        'fault = { kind = "stall", seconds = "2s" }',
        "fault.seconds: expected a finite number of 0 or more, got the string "
        '"2s": write 2',
    ),
    (
        'fault = { kind = "fin", inside = true }',
        "fault.inside: needs after = 1 or more: the event that is cut",
    ),
    (
        'fault = { kind = "status", status = 200 }',
        "fault.status: expected 204, or a status from 400 to 599",
    ),
    (
        'fault = [{ kind = "fin" }, { kind = "duplicate" }]',
        "fault.after, item 2: needs 1 or more: the event that is sent twice",
    ),
    (
        'fault = [{ kind = "fin" }, { kind = "reset" }]',
        "fault, item 2: never reached: fault 1 (fin before the first event) comes "
        "before it",
    ),
    (
        'fault = [{ kind = "split" }, { kind = "compress" }]',
        "fault, item 2: cannot be combined with fault 1 (split): compressed bytes have "
        "neither characters nor lines",
    ),
]


@pytest.mark.parametrize(
    ("text", "message"), REFUSED, ids=[text for text, _ in REFUSED]
)
def test_each_wrong_fault_has_one_line(read: Load, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"{ALLOWED}{text}\n")
    [line] = caught.value.faults
    assert line.partition('[routes."/x"] ')[2] == message


def test_all_wrong_faults_are_told_at_once(read: Load) -> None:
    text = 'fault = [{ kind = "fin", after = -1 }, { kind = "cut" }, { x = 1 }]\n'
    with pytest.raises(ConfigError) as caught:
        read(ALLOWED + text)
    places = [line.split('"] ')[1].split(": ")[0] for line in caught.value.faults]
    assert places == [
        *("fault.after, item 1", "fault.kind, item 2"),
        *("fault.x, item 3", "fault.kind, item 3"),
    ]


@pytest.mark.parametrize("table", ["", "[server]\nallow_faults = false\n"])
def test_faults_have_to_be_allowed(read: Load, table: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f'{table}{ROUTE}fault = {{ kind = "fin" }}\n')
    [line] = caught.value.faults
    assert line.endswith(
        '[routes."/x"] fault: breaks the streams of this route: write allow_faults = '
        "true in [server], or remove it"
    )


def test_faults_are_not_for_all_routes(read: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f'[defaults]\nfault = {{ kind = "fin" }}\n{ALLOWED}')
    [line] = caught.value.faults
    assert line.endswith(
        '[defaults] fault: unknown key here: fault belongs in [routes."/prefix"]'
    )


TWO = 'fault = [{ kind = "stall", seconds = 2.5 }, { kind = "fin", after = 3 }]\n'


def test_the_banner_announces_them(read: Load) -> None:
    config = read(ALLOWED + TWO)
    line = "FAULTS: /x: stall for 2.5 s before the first event; fin after 3 events"
    assert fault_lines(config) == [line]
    assert line in banner(config, 8080).splitlines()
    assert "FAULTS" not in banner(from_routes({"/x": "http://a"}), 8080)


def test_check_shows_them(read: Load) -> None:
    [line] = [
        each
        for each in report(read(ALLOWED + TWO)).splitlines()
        if "stall_" not in each and "stall" in each
    ]
    assert line.split("  ")[1] == "fault"
    assert (
        '[{ kind = "stall", seconds = 2.5 }, { kind = "fin", after = 3 }]  config.toml'
        in line.replace(line.split("  ")[-1], "config.toml")
    )


def test_a_reload_names_the_key(read: Load) -> None:
    told = changes(read(ALLOWED), read(ALLOWED + TWO))
    assert told == "route /x changed (fault)"


def test_faults_that_were_made_in_python_are_taken() -> None:
    """As a program has them that has no file."""
    faults = [Fault(kind="stall", seconds=2.0), Fault(kind="fin", after=3)]
    route: dict[str, object] = {"target": "http://a", "fault": faults}
    document = {"server": {"allow_faults": True}, "routes": {"/x": route}}
    config = build(Reader("Proxy", {}), document, {})
    assert list(config.routes["/x"].fault) == faults
    route["fault"] = Fault(kind="cut")  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match=r'fault.kind: expected .* got the string "cut"'
    ):
        build(Reader("Proxy", {}), document, {})
