"""The log of a process: lines for a person, or one object on each for a machine."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from proxy.observe.findings import Finding, RecentFindings
from proxy.process import console
from proxy.process.event_lines import JsonLines, TextLines
from tests.support.logging_state import unchanged_logging


def record(message: str = "a %s", *arguments: object, **more: object) -> str:
    made = logging.makeLogRecord(
        {
            "name": "unbuffered",
            "levelname": "WARNING",
            "msg": message,
            "args": arguments,
            "created": 784111777.25,
            **more,
        }
    )
    return JsonLines(worker=2).format(made)


def test_a_machine_reads_time_level_worker_and_message() -> None:
    told = json.loads(record("stream %s ended", "x\n\x1b[31m"))
    assert told.pop("time")[19:23] == ".250"
    assert told == {
        "level": "WARNING",
        "message": "stream x\n\x1b[31m ended",
        "worker": 2,
    }


def test_an_object_is_one_line_in_ascii() -> None:
    line = record("é\n\u2028")
    assert line.isascii()
    assert line.isprintable()


def test_a_traceback_is_a_field_and_another_library_is_named() -> None:
    try:
        raise ValueError("of code")
    except ValueError:
        told = json.loads(record("x", name="asyncio", exc_info=sys.exc_info()))
    assert told["logger"] == "asyncio"
    assert told["traceback"].startswith("Traceback (most recent call last):\n")
    assert told["traceback"].endswith("ValueError: of code")


def test_a_warning_says_of_which_kind_it_is(caplog: pytest.LogCaptureFixture) -> None:
    RecentFindings().tell([Finding("stall", ("/a",), "stall: it is silent")], 0.0)
    (found,) = caplog.records
    told = json.loads(JsonLines().format(found))
    assert (told["warning"], told["message"]) == ("stall", "stall: it is silent")
    assert TextLines().format(found).endswith(" WARNING stall: it is silent")


def test_what_is_said_to_a_person_is_an_object_with_lines(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with unchanged_logging():
        console.set_up_logging(form="json")
        console.say("first\nsecond\nthird")
        console.print_error("it is wrong")
        console.write_events_as("text")
        console.print_error("it is wrong")
        console.finish_output()
    first, second, third = capfd.readouterr().err.splitlines()
    told = json.loads(first)
    assert (told["level"], told["message"]) == ("INFO", "first")
    assert told["lines"] == ["second", "third"]
    told = json.loads(second)
    assert (told["level"], told["message"]) == ("ERROR", "it is wrong")
    assert third == "unbuffered: it is wrong"


def test_a_worker_keeps_the_form_of_its_supervisor() -> None:
    with unchanged_logging():
        console.set_up_logging(form="json")
        console.set_up_logging(worker=1)
        lines = console.event_lines()
        assert isinstance(lines, JsonLines)
        assert lines.worker == 1
        console.write_events_as("text")
        lines = console.event_lines()
        assert not isinstance(lines, JsonLines)
        assert lines is not None
        assert lines.worker == 1


def test_a_log_that_others_have_set_up_is_theirs() -> None:
    """A host that runs the proxy by `import unbuffered`."""
    with unchanged_logging():
        before = logging.getLogger().handlers[:]
        console.write_events_as("json")
        assert logging.getLogger().handlers == before
