from __future__ import annotations

import pytest

from proxy.config.environment import Expansion, expand

ENVIRON = {"KEY": "secret", "EMPTY": "", "_A1": "under", "DOLLAR": "${KEY}"}


@pytest.mark.parametrize(
    ("text", "expanded", "references"),
    [
        pytest.param("plain", "plain", (), id="nothing to replace"),
        pytest.param("", "", (), id="empty text"),
        pytest.param("a ${KEY} b", "a secret b", ("${KEY}",), id="in the middle"),
        pytest.param("${KEY}${_A1}", "secretunder", ("${KEY}", "${_A1}"), id="two"),
        pytest.param("${KEY}${KEY}", "secretsecret", ("${KEY}",), id="twice told once"),
        pytest.param("${EMPTY}", "", ("${EMPTY}",), id="empty is set"),
        pytest.param("${KEY:-x}", "secret", ("${KEY}",), id="default not needed"),
        pytest.param("${NO:-x y:-z}", "x y:-z", ("${NO} (default)",), id="default"),
        pytest.param("${NO:-}", "", ("${NO} (default)",), id="empty default"),
        pytest.param(
            "${EMPTY:-x}", "x", ("${EMPTY} (default)",), id="default for empty, as sh"
        ),
        pytest.param("$${KEY}", "${KEY}", (), id="escaped"),
        pytest.param("$$${KEY}", "$${KEY}", (), id="escaped after a dollar"),
        pytest.param("${DOLLAR}", "${KEY}", ("${DOLLAR}",), id="replaced only once"),
        pytest.param("$1 $& $$ $KEY $<n> $", "$1 $& $$ $KEY $<n> $", (), id="dollars"),
        pytest.param("a{2} }{", "a{2} }{", (), id="braces"),
    ],
)
def test_references_are_replaced(
    text: str, expanded: str, references: tuple[str, ...]
) -> None:
    assert expand(text, ENVIRON) == Expansion(expanded, references)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("${NO}", ["variable NO is not set", "${NO:-default}"], id="unset"),
        pytest.param("${NO} ${NADA}", ["NO is not", "NADA is not"], id="two unset"),
        pytest.param("a ${", ["the ${ at character 3"], id="never closed"),
        pytest.param("${}", ["the ${ at character 1"], id="no name"),
        pytest.param("${1A}", ["the ${ at character 1"], id="name begins with a digit"),
        pytest.param("${NO-x}", ["the ${ at character 1"], id="colon forgotten"),
        pytest.param("${NO:-${KEY}}", ["the ${ at character 1"], id="nested"),
    ],
)
def test_a_wrong_reference_is_named(text: str, named: list[str]) -> None:
    with pytest.raises(ValueError, match="write ") as caught:
        expand(text, ENVIRON)
    assert [words for words in named if words not in str(caught.value)] == []


def test_a_key_pasted_into_the_braces_is_not_shown() -> None:
    with pytest.raises(
        ValueError, match="does not start a variable reference"
    ) as caught:
        expand("Bearer ${sk-live-123}", {})
    assert "sk-live" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    """The system hands them over as lone surrogates, which no socket takes."""
    with pytest.raises(ValueError, match="variable KEY is not valid UTF-8"):
        expand("${KEY}", {"KEY": "a\udcff"})
