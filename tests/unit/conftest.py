"""Hypothesis without a deadline: a busy machine is no fault of the code."""

from __future__ import annotations

from hypothesis import settings

from tests.support.thorough import thorough

EXAMPLES = 100 if thorough() else 25  # 100 is the default of Hypothesis

settings.register_profile("unit", deadline=None, max_examples=EXAMPLES)
settings.load_profile("unit")
