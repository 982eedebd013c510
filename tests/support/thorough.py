"""How much is tried: what is enough while developing, or all that there is.

`make matrix` sets `UNBUFFERED_TESTS=thorough`, and `.ci/run` for the compiled core too.
Then every wire test runs on both event loops, Hypothesis tries more examples, and
messages are cut everywhere.
"""

from __future__ import annotations

import os

VARIABLE, ALL = "UNBUFFERED_TESTS", "thorough"


def thorough() -> bool:
    """Is all to be tried?"""
    return os.environ.get(VARIABLE) == ALL
