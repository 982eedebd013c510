"""The tokens of the inspector and of the metrics: which ones are taken."""

from __future__ import annotations

import pytest

from tests.unit.config.conftest import Load, Refuse, without_line

ROUTE = '[routes."/sse"]\ntarget = "http://upstream"\n'
BOTH = pytest.mark.parametrize("table", ["inspector", "metrics"])
ADVICE = "create one with openssl rand -hex 16"
TOO_SHORT = f"the token is too short, it needs at least 16 characters: {ADVICE}"
OTHER_CHARACTERS = (
    "the token has characters other than letters, digits and - . _ ~ + / (and = at its "
    f"end): {ADVICE}"
)


@BOTH
@pytest.mark.parametrize(
    "token",
    [
        "0123456789abcdef",
        "q3Jn0m9t5gq2d3M8ZrP4bw==",
        "a-token.with_all~of+them/=",
        "x" * 1000,
        "",
    ],
)
def test_tokens_as_programs_can_send_them(read: Load, table: str, token: str) -> None:
    text = f'{ROUTE}[{table}]\ntoken = "${{TOKEN:-}}"\n'
    config = read(text, {"TOKEN": token})
    assert getattr(config, table).token == token
    assert config.warnings == ()


@BOTH
@pytest.mark.parametrize(
    ("token", "fault"),
    [
        pytest.param("hunter2", TOO_SHORT, id="short"),
        pytest.param("hunter2-hunter2", TOO_SHORT, id="nearly long enough"),
        pytest.param("hunter2 hunter2 hunter2", OTHER_CHARACTERS, id="spaces"),
        pytest.param("hunter2=hunter2=hunter2", OTHER_CHARACTERS, id="= inside"),
        pytest.param("hunter2hunter2hunter2\n", OTHER_CHARACTERS, id="a line feed"),
        pytest.param("hünter2hünter2hünter2", OTHER_CHARACTERS, id="not ASCII"),
        pytest.param("================", OTHER_CHARACTERS, id="= alone"),
    ],
)
def test_other_tokens_are_refused_and_not_shown(
    refuse: Refuse, table: str, token: str, fault: str
) -> None:
    faults = refuse(f'{ROUTE}[{table}]\ntoken = "${{TOKEN}}"\n', {"TOKEN": token})
    assert faults == [f"config.toml: [{table}] token: {fault}"]
    assert "hunter2" not in faults[0]


@BOTH
@pytest.mark.parametrize("value", ["12345678901234567", "0.5", "['hunter2']"])
def test_of_a_value_of_another_type_only_the_type_is_told(
    refuse: Refuse, table: str, value: str
) -> None:
    (fault,) = refuse(f"{ROUTE}[{table}]\ntoken = {value}\n")
    assert fault.startswith(f"config.toml: [{table}] token: expected a string, got ")
    assert value not in fault
    assert "hunter2" not in fault


def test_a_token_that_is_not_in_the_environment_is_a_fault(refuse: Refuse) -> None:
    """And not an inspector that is open without one."""
    (fault,) = refuse(f'{ROUTE}[inspector]\ntoken = "${{TOKEN}}"\n')
    assert "the environment variable TOKEN is not set" in fault


def test_auto_is_for_people(read: Load, refuse: Refuse) -> None:
    assert read(f'{ROUTE}[inspector]\ntoken = "auto"\n').inspector.token == "auto"
    (fault,) = refuse(f'{ROUTE}[metrics]\ntoken = "auto"\n')
    assert '"auto" is for [inspector] only' in fault


@BOTH
@pytest.mark.parametrize(
    ("enabled", "token", "warning"),
    [
        ("false", "0123456789abcdef", "opens nothing, since enabled is false"),
        (
            "true",
            "",
            "is empty, and enabled is true: everyone who can reach the listener may "
            "look",
        ),
        ("true", "0123456789abcdef", None),
        ("false", "", None),
        ('"loopback"', "", None),
    ],
)
def test_a_token_that_does_not_do_what_it_seems_to_is_warned_of(
    read: Load, table: str, enabled: str, token: str, warning: str | None
) -> None:
    text = f'{ROUTE}[{table}]\nenabled = {enabled}\ntoken = "{token}"\n'
    expected = () if warning is None else (f"config.toml: [{table}] token: {warning}",)
    assert tuple(map(without_line, read(text).warnings)) == expected
