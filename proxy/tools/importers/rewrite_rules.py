"""`pathRewrite` tables and `rewrite` functions as rules of path_rewrite.

A function is known by its source where that is one `replace`; else by what it
makes of some paths, if all of them agree on one rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from proxy.config.path_rules import check_rule
from proxy.tools.importers.patterns import escape, is_literal, to_python, unescape
from proxy.tools.importers.slashes import MERGES, merged, squeezed
from proxy.tools.importers.values import is_function, mark, shown, source, table

# Possessive throughout: white space between two words is taken by one of them only.
STRING = r"""'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+"|`(?:[^`\\$]|\\.)*+`"""
PATTERN = r"/(?:\\.|\[(?:\\.|[^\]\\])*+\]|[^/\\\[\n])++/[a-z]*+"
PARAMETER = (
    r"\(?\s*+(?P<path>\w++)\s*+(?::\s*+\w++\s*+)?+(?:,[^()]*+)?+\)?+\s*+"
    r"(?::\s*+\w++\s*+)?+"
)
REPLACE = re.compile(
    rf"(?:(?:function\b\s*+\w*+|\w++(?=\s*+\())\s*+)?{PARAMETER}(?:=>)?+\s*+"
    r"(?P<open>\{)?\s*+(?:return\b)?\s*+\(?(?P=path)\.replace\(\s*+"
    rf"(?P<what>{PATTERN}|{STRING}|new RegExp\(\s*+(?P<made>{STRING})\s*+\))\s*+,\s*+"
    rf"(?P<by>{STRING})\s*+,?\s*+\)\)?\s*+;?\s*+(?(open)\}})\s*+"
)
SAME = re.compile(rf"{PARAMETER}=>\s*+(?P=path)")


@dataclass(slots=True)
class RewriteRules:
    """Rules of path_rewrite, what to remark on them, and what was lost."""

    rules: dict[str, str] = field(default_factory=dict)
    remark: str = ""
    lost: str = ""


def read_rewrite(value: object, context: str, prefix: str) -> RewriteRules:
    """The rules that a table or a function stands for, on the route `prefix`."""
    if value in (None, False, ""):
        return RewriteRules()
    if is_function(value):
        found = from_function(value, context, prefix)
    else:
        found = from_table(value, prefix)
    found.rules, remarks = merged(found.rules, prefix)
    if found.remark and remarks:
        remarks = [found.remark, MERGES]
    found.remark = "; ".join(remarks) or found.remark
    return found


def from_table(value: object, prefix: str) -> RewriteRules:
    if not table(value):
        return (
            RewriteRules()
            if value == {}
            else RewriteRules(lost=f"it is {shown(value)}")
        )
    found = RewriteRules()
    for pattern, replacement in table(value).items():
        rule = checked(to_python(pattern), replacement, prefix)
        if rule is None:
            # The rules after it would apply where this one did.
            found.lost = (
                f"the rule {pattern} = {shown(replacement)}, and the rules after it"
            )
            break
        found.rules |= {p: r for p, r in rule.items() if can_match(p, prefix)}
    return found


def from_function(value: object, context: str, prefix: str) -> RewriteRules:
    text = source(value).strip()
    if SAME.fullmatch(text):
        return RewriteRules()
    rule = from_source(text, prefix)
    if rule is not None:
        return RewriteRules(rule, remark=f"was {' '.join(text.split())}")
    rule = from_trials(value, context, prefix)
    if rule == {}:  # of others nothing is known
        return RewriteRules(
            lost="a function that did not change the paths that were tried"
        )
    if rule is not None:
        return RewriteRules(
            rule,
            remark="derived from the results of the function for some paths: check it",
        )
    return RewriteRules(lost="a function that does more than a single replace")


def from_source(text: str, prefix: str) -> dict[str, str] | None:
    """The rule of `path => path.replace(/^\\/api/, '')`, however it is written."""
    found = REPLACE.fullmatch(text)
    if found is None:
        return None
    what, replacement = found["what"], unquoted(found["by"])
    if found["made"] is not None:
        pattern = to_python(unquoted(found["made"]))
    elif what.startswith("/"):
        body, _, flags = what[1:].rpartition("/")
        pattern = to_python(body, flags)
    else:
        pattern = escape(unquoted(what))
    return checked(pattern, replacement, prefix)


def checked(
    pattern: str | None, replacement: object, prefix: str
) -> dict[str, str] | None:
    """The rule, if it means the same here; anchored where that changes nothing."""
    if pattern is None or not isinstance(replacement, str):
        return None
    if "$`" in replacement or "$'" in replacement:
        return None
    # Every path of the route begins with its prefix, so the first match of a
    # part of it is there; and only an anchored rule can be read backwards.
    if pattern and is_literal(pattern) and unescape(pattern) in prefix:
        before = prefix[: prefix.index(unescape(pattern))]
        pattern = f"^{escape(before)}{pattern}"
        replacement = before.replace("$", "$$") + replacement
    try:
        check_rule(pattern, replacement)
    except ValueError:
        return None
    return {pattern: replacement}


def from_trials(value: object, context: str, prefix: str) -> dict[str, str] | None:
    """The rule that all results agree on: one text in place of the prefix.

    The paths that were tried begin with the context, less its `/**`. As a pattern it
    is no path, and what the function made of it says nothing.
    """
    if context.rstrip("/*") != prefix.rstrip("/"):
        return None
    tried = table(table_of(value).get("tried"))
    results = table(tried.get(context))
    answers = {
        rest: squeezed(each) if each else ""
        for rest, each in results.items()
        if isinstance(each, str)
    }
    if len(answers) < len(results) or "/five" not in answers:
        return None
    if not answers["/five"].endswith("/five"):
        return None
    replacement = answers["/five"].removesuffix("/five")
    if any(each not in answered(replacement, rest) for rest, each in answers.items()):
        return None
    if prefix == "/":  # the slash after it belongs to the rest
        replacement = f"{replacement}/"
    if replacement == prefix:
        return {}
    return {f"^{escape(prefix)}": replacement.replace("$", "$$")}


def can_match(pattern: str, prefix: str) -> bool:
    """False for a rule that begins with another path than those of the route."""
    if not pattern.startswith("^") or not is_literal(pattern[1:]):
        return True
    text = unescape(pattern[1:])
    return text.startswith(prefix) or prefix.startswith(text)


def answered(replacement: str, rest: str) -> set[str]:
    """What a rule makes of the rest of a path; an empty path is the root."""
    return {replacement + rest, (replacement + rest) or "/"}


def table_of(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) and mark(value) else {}


def unquoted(text: str) -> str:
    """The value of a string of JavaScript without rare escapes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])
