from __future__ import annotations

import io

import pytest

from proxy.colour import paint, painter, plain


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        pytest.param(Terminal(), {}, True, id="terminal"),
        pytest.param(Terminal(), {"NO_COLOR": ""}, True, id="NO_COLOR empty"),
        pytest.param(Terminal(), {"NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param(Terminal(), {"NO_COLOR": "0"}, False, id="whatever its value"),
        pytest.param(Terminal(), {"TERM": "dumb"}, False, id="dumb terminal"),
        pytest.param(io.StringIO(), {}, False, id="no terminal"),
    ],
)
def test_colour_is_for_terminals_and_for_who_wants_it(
    stream: io.StringIO, environ: dict[str, str], colour: bool
) -> None:
    assert painter(stream, environ) is (paint if colour else plain)


def test_colour_ends_where_the_text_does() -> None:
    assert paint("a", "red") == "\x1b[31ma\x1b[0m"
    assert plain("a", "red") == "a"
