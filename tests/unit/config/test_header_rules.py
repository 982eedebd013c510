"""What a route may do to fields; each fault with the line a person reads."""

from __future__ import annotations

import pytest

from proxy.config.route import FieldRules
from tests.unit.config.conftest import Load, Refuse

ROUTE = '\n[routes."/sse"]\ntarget = "http://upstream"\n'
HOP_BY_HOP = "this field cannot be changed: it is a hop-by-hop field (RFC 9110 §7.6.1)"
FRAMING = (
    "this field cannot be changed: the proxy frames every message itself (RFC 9112 §6)"
)


@pytest.mark.parametrize(
    ("defaults", "own", "merged"),
    [
        pytest.param(
            'set = { A = "1" }', 'set = { B = "2" }',
            FieldRules(set={"A": "1", "B": "2"}), id="both are set",
        ),
        pytest.param(
            'set = { X-A = "1" }', 'set = { x-a = "2" }',
            FieldRules(set={"x-a": "2"}), id="set by the route, in other letters",
        ),
        pytest.param(
            'remove = ["A", "b"]', 'remove = ["B", "c"]',
            FieldRules(remove=["A", "B", "c"]), id="all are removed, each once",
        ),
        pytest.param(
            'remove = ["A", "B"]', 'set = { a = "1" }',
            FieldRules(set={"a": "1"}, remove=["B"]), id="set beats removed by default",
        ),
        pytest.param(
            'set = { A = "1", B = "2" }', 'remove = ["a"]',
            FieldRules(set={"B": "2"}, remove=["a"]), id="removed beats set by default",
        ),
        pytest.param(
            'remove = ["A", "a"]', "",
            FieldRules(remove=["a"]), id="a name given twice counts once",
        ),
    ],
)  # fmt: skip
def test_headers_of_a_route_merge_over_the_defaults(
    read: Load, defaults: str, own: str, merged: FieldRules
) -> None:
    for direction, other in (("request", "response"), ("response", "request")):
        text = (
            f"[defaults.headers.{direction}]\n{defaults}\n{ROUTE}\n"
            f'[routes."/sse".headers.{direction}]\n{own}\n'
        )
        headers = read(text).routes["/sse"].headers
        assert getattr(headers, direction) == merged
        assert getattr(headers, other) == FieldRules()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param("headers = 5", "headers: expected a table, got the integer 5",
                     id="no table"),
        pytest.param("headers.Authorization = 'x'",
                     "headers.Authorization: unknown key: to send a field, write "
                     "headers.request.set.Authorization", id="fields of a dev server"),
        pytest.param("headers.requst = {}", "headers.requst: unknown key: did you mean "
                     "request?", id="direction misspelt"),
        pytest.param("headers.response.X-A = 'x'",
                     "headers.response.X-A: unknown key: to send a field, write "
                     "headers.response.set.X-A", id="set forgotten"),
        pytest.param("headers.request.sets = {}",
                     "headers.request.sets: unknown key: did you mean set?",
                     id="set misspelt"),
        pytest.param("headers.request.set = []",
                     "headers.request.set: expected a table, got a list",
                     id="list for a table"),
        pytest.param("headers.request.set.X-A = 5",
                     "headers.request.set.X-A: expected a string, got an integer",
                     id="integer for a value"),
        pytest.param("headers.request.set.X-A = true",
                     "headers.request.set.X-A: expected a string, got true or false",
                     id="boolean for a value"),
        pytest.param("headers.request.set.X-A = 1.5",
                     "headers.request.set.X-A: expected a string, got a number",
                     id="number for a value"),
        pytest.param("headers.request.set.'a b' = 'x'",
                     'headers.request.set."a b": not a valid field name (RFC 9110 '
                     "§5.1)", id="name is no token"),
        pytest.param("headers.request.set.'' = 'x'",
                     'headers.request.set."": not a valid field name (RFC 9110 §5.1)',
                     id="name is empty"),
        pytest.param('headers.request.set.A = "a\\r"',
                     "headers.request.set.A: the value contains a control character "
                     "(U+000D); values read from a file often end with one",
                     id="CR in a value"),
        pytest.param('headers.request.set.A = "a\\nB: c"',
                     "headers.request.set.A: the value contains a control character "
                     "(U+000A); values read from a file often end with one",
                     id="LF in a value"),
        pytest.param('headers.request.set.A = "a\\u0000"',
                     "headers.request.set.A: the value contains a control "
                     "character (U+0000)",
                     id="NUL in a value"),
        pytest.param("headers.request.set = { A = 'x', a = 'y' }",
                     "headers.request.set.a: the same field as A: names are "
                     "case-insensitive, set it only once",
                     id="set twice"),
        pytest.param("headers.request = { set = { A = 'x' }, remove = ['a'] }",
                     "headers.request.remove: A is in both set and remove: use only "
                     "one of them",
                     id="set and removed"),
        pytest.param("headers.request.remove = 'a'",
                     "headers.request.remove: expected a list of names, got the "
                     'string "a"', id="string for a list"),
        pytest.param("headers.request.remove = ['a', 5]",
                     "headers.request.remove, item 2: expected a string, got an "
                     "integer", id="integer for a name"),
        pytest.param("headers.request.remove = ['a:']",
                     "headers.request.remove, item 1: not a valid field name (RFC "
                     "9110 §5.1)", id="removed: no token"),
        pytest.param("headers.request.remove = ['HOST']",
                     "headers.request.remove, item 1: every request needs a Host (RFC "
                     "9112 §3.2)", id="Host removed"),
        pytest.param("headers.response.remove = ['te']",
                     "headers.response.remove, item 1: " f"{HOP_BY_HOP}",
                     id="hop-by-hop removed"),
        *(
            pytest.param(f"headers.response.set.{name} = 'x'",
                         f"headers.response.set.{name}: {reason}", id=f"{name} set")
            for name, reason in {
                "Connection": HOP_BY_HOP,
                "keep-alive": HOP_BY_HOP,
                "Proxy-Connection": HOP_BY_HOP,
                "TE": HOP_BY_HOP,
                "Upgrade": f"{HOP_BY_HOP}; to pass upgrades, write ws = true",
                "Content-Length": FRAMING,
                "Trailer": FRAMING,
                "Transfer-Encoding": FRAMING,
            }.items()
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("table", ["defaults", 'routes."/sse"'])
def test_headers(refuse: Refuse, table: str, line: str, fault: str) -> None:
    text = ROUTE + line if table != "defaults" else f"[defaults]\n{line}{ROUTE}"
    assert refuse(text) == [f"config.toml: [{table}] {fault}"]


@pytest.mark.parametrize(
    ("line", "environ"),
    [
        pytest.param('headers.request.set.A = "hunter2\\n"', {}, id="in the file"),
        pytest.param(
            'headers.request.set.A = "${K}"', {"K": "hunter2\n"}, id="variable"
        ),
        pytest.param('headers.request.remove = ["${K}"]', {"K": "hunter2:"}, id="name"),
        pytest.param('headers.request.set.A = ["hunter2"]', {}, id="wrong type"),
    ],
)
def test_no_fault_shows_what_a_field_is_set_to(
    refuse: Refuse, line: str, environ: dict[str, str]
) -> None:
    assert "hunter2" not in "".join(refuse(ROUTE + line, environ))
