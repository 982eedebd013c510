from __future__ import annotations

import pytest

from proxy.config.path_rules import check_rule
from proxy.policy.path_rewrite import compile_rules


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        pytest.param("^/sse", "", id="strip a prefix"),
        pytest.param("^/(a)(b)", "/$2$1", id="numbered groups"),
        pytest.param("(?P<v>a)", "$<v>$1", id="named group"),
        pytest.param("a|b", "$&$$", id="match and dollar"),
        pytest.param("", "/x", id="empty pattern"),
        pytest.param("(?i)^/SSE", "", id="flag at the start"),
        pytest.param("a", "$ $x \\ 你", id="dollars and others by themselves"),
    ],
)
def test_rules_that_pass_also_compile(pattern: str, replacement: str) -> None:
    check_rule(pattern, replacement)
    compile_rules({pattern: replacement})


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        pytest.param("(a", "", "is not valid: missing )", id="bracket left open"),
        pytest.param("(?<v>a)", "", "write a named group as (?P<name>…)",
                     id="named group of JavaScript"),
        pytest.param("[[a]", "", "is not valid: Possible", id="ambiguous set"),
        pytest.param("a{9999999999999}", "", "is not valid", id="repeat too large"),
        pytest.param("a", "$1", "$1 in the replacement: the pattern has no groups",
                     id="no group at all"),
        pytest.param("(a)(?P<n>b)", "$3", "the pattern has only $1, $<n>",
                     id="too few groups"),
        pytest.param("(a)", "$10", "$10 in the replacement", id="two digits"),
        pytest.param("(?P<n>a)", "$<m>", "$<m> in the replacement", id="other name"),
        pytest.param("(a)", r"\1", "write $1", id="reference of Python"),
        pytest.param("(?P<n>a)", r"\g<n>", "write $<n>", id="named, of Python"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_apply_is_refused(
    pattern: str, replacement: str, words: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_rule(pattern, replacement)
    assert words in str(caught.value)
