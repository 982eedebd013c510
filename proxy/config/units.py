"""The units of numbers in a configuration; 0 means: no limit."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

Seconds: TypeAlias = Annotated[float, Meta(ge=0)]
Bytes: TypeAlias = Annotated[int, Meta(ge=0)]
