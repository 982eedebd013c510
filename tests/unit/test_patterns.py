"""No input makes a regular expression go back: all of the tree, found by its source.

Each is tried with inputs that are made from itself. Which of its uses begin at one
place, and which begin anew behind every failure, is read from the source as well.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.growth import ROUNDS, assert_linear, seconds
from tests.support.patterns import AT_ONE_PLACE, Found, inputs, patterns

# Quick enough at 2,000 characters to be in proportion to them; a square takes more.
NO_DOUBT_SECONDS = 0.001
# What takes as long as this for 200 characters would not come to an end with more.
NO_END_SECONDS = 0.005
FOUND = list(patterns())
OURS = [each for each in FOUND if isinstance(each, Found)]
# Made at run time: of the rules of path_rewrite, and of what is imported or in the
# program's own tables.
MADE_LATER = {
    "proxy.config.path_rules",
    "proxy.config.syntax_fault",
    "proxy.tools.importers.nginx_fields",
    "proxy.tools.importers.slashes",
    "proxy.policy.path_rewrite",
    "proxy.policy.stream_identity",  # of one mark with white space, by `match`
    "proxy.stream.recent_events",  # of one mark with white space, by `match`
}


def test_all_patterns_but_those_made_at_run_time_are_looked_at() -> None:
    unknown = {each.partition(":")[0] for each in FOUND if isinstance(each, str)}
    assert unknown == MADE_LATER
    assert len(OURS) > 100


def apply(pattern: re.Pattern[Any], method: str, text: str) -> None:
    subject = text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text
    if method in AT_ONE_PLACE:
        getattr(pattern, method)(subject)
    else:  # `search` stops at the first match, and so may miss what comes behind it
        pattern.findall(subject)


@pytest.mark.parametrize("found", OURS, ids=lambda each: each.place)
def test_no_input_makes_a_pattern_go_back(found: Found) -> None:
    goes_not_back(found)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        pytest.param(r"(a+)+$", "match", id="a repetition in a repetition"),
        pytest.param(r"(?:a|a)*b", "match", id="two ways to read the same"),
        pytest.param(r"\s*a\s*\s*b", "match", id="two neighbours"),
        pytest.param(r"<!--.*?-->", "findall", id="an opening that nothing closes"),
        pytest.param(r"key=(?:[a-z]=?)*;", "search", id="behind a word"),
        pytest.param(r'"(?:[^"\\]|\\.)*"', "search", id="quotes"),
    ],
)
def test_a_pattern_that_goes_back_is_found(pattern: str, method: str) -> None:
    found = Found("here", re.compile(pattern), frozenset({method}))
    with pytest.raises(AssertionError, match=re.escape("* n + ")):
        goes_not_back(found, rounds=1)  # no noise makes this square


def goes_not_back(found: Found, rounds: int = ROUNDS) -> None:
    """See that the time of a pattern is in proportion to each of its inputs."""
    methods = found.methods or {"findall"}  # where nothing is known, the worst
    methods = {each if each in AT_ONE_PLACE else "findall" for each in methods}
    for method in sorted(methods):
        for head, body, end in inputs(found.pattern):

            def run(text: str, method: str = method) -> None:
                apply(found.pattern, method, text)

            def make(
                size: int, head: str = head, body: str = body, end: str = end
            ) -> str:
                return head + body * (size // len(body)) + end

            if all(seconds(run, make(n)) < NO_DOUBT_SECONDS for n in (20, 200, 2000)):
                continue
            try:
                for length in (20, 200):
                    least = min(seconds(run, make(length)) for _ in range(3))
                    assert least < NO_END_SECONDS, f"{least:.3f} s for n = {length}"
                assert_linear(run, make, 500, rounds)
            except AssertionError as error:
                raise AssertionError(
                    f"{method} of {head!r} + {body!r} * n + {end!r}: {error}"
                ) from None
