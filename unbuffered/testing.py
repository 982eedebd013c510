"""The types of the pytest fixtures, for tests that are type-checked.

```python
from unbuffered.testing import ScriptedOrigin, StartProxy


def test_something(stream_origin: ScriptedOrigin, unbuffered_proxy: StartProxy) -> None:
    ...
```

The fixtures themselves need no import: pytest finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unbuffered.own_package import lazy_name

if TYPE_CHECKING:
    from proxy.library.fixture_factories import RunningOrigin as RunningOrigin
    from proxy.library.fixture_factories import StartBroken as StartBroken
    from proxy.library.fixture_factories import StartProxy as StartProxy
    from proxy.library.fixture_factories import StartReplay as StartReplay
    from proxy.library.scripted_origin import ScriptedOrigin as ScriptedOrigin
    from proxy.library.scripted_origin import ScriptedRequest as ScriptedRequest

_PLACES = {
    "RunningOrigin": "proxy.library.fixture_factories",
    "ScriptedOrigin": "proxy.library.scripted_origin",
    "ScriptedRequest": "proxy.library.scripted_origin",
    "StartBroken": "proxy.library.fixture_factories",
    "StartProxy": "proxy.library.fixture_factories",
    "StartReplay": "proxy.library.fixture_factories",
}

__all__ = [
    "RunningOrigin",
    "ScriptedOrigin",
    "ScriptedRequest",
    "StartBroken",
    "StartProxy",
    "StartReplay",
]

if not TYPE_CHECKING:  # a name that is not here is a fault for type checkers

    def __getattr__(name: str) -> object:
        return lazy_name(__name__, _PLACES, name)
