"""Unbuffered as a library: a streaming proxy inside your own program and its tests.

`Proxy` is the proxy, as an asynchronous or a synchronous context manager;
`StreamOrigin` and `ReplayOrigin` are upstreams for tests. pytest has them as fixtures.
The names are imported when they are first used. `python -m unbuffered` is the command
`unbuffered`. All else, such as the package `proxy`, is its implementation, and changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unbuffered.own_package import lazy_name

if TYPE_CHECKING:
    from proxy import __version__ as __version__
    from proxy.config.fault_options import Fault as Fault
    from proxy.errors import ConfigError as ConfigError
    from proxy.library.aiohttp_host import aiohttp_handler as aiohttp_handler
    from proxy.library.asgi_host import asgi_app as asgi_app
    from proxy.library.pending import Pending as Pending
    from proxy.library.proxy import Proxy as Proxy
    from proxy.library.seen_exchange import Exchange as Exchange
    from proxy.origin.replay_origin import ReplayOrigin as ReplayOrigin
    from proxy.origin.script_values import ScriptError as ScriptError
    from proxy.origin.stream_origin import StreamOrigin as StreamOrigin
    from proxy.record.format import ExchangeRecord as ExchangeRecord
    from proxy.record.format import RecordFault as RecordFault
    from proxy.record.record_reader import read_record as read_record

# Where each name is. A module that is not needed is not imported.
_PLACES = {
    "ConfigError": "proxy.errors",
    "Exchange": "proxy.library.seen_exchange",
    "ExchangeRecord": "proxy.record.format",
    "Fault": "proxy.config.fault_options",
    "Pending": "proxy.library.pending",
    "Proxy": "proxy.library.proxy",
    "RecordFault": "proxy.record.format",
    "ReplayOrigin": "proxy.origin.replay_origin",
    "ScriptError": "proxy.origin.script_values",
    "StreamOrigin": "proxy.origin.stream_origin",
    "__version__": "proxy",
    "aiohttp_handler": "proxy.library.aiohttp_host",
    "asgi_app": "proxy.library.asgi_host",
    "read_record": "proxy.record.record_reader",
}

__all__ = [
    "ConfigError",
    "Exchange",
    "ExchangeRecord",
    "Fault",
    "Pending",
    "Proxy",
    "RecordFault",
    "ReplayOrigin",
    "ScriptError",
    "StreamOrigin",
    "__version__",
    "aiohttp_handler",
    "asgi_app",
    "read_record",
]

if not TYPE_CHECKING:  # a name that is not here is a fault for type checkers

    def __getattr__(name: str) -> object:
        found = lazy_name(__name__, _PLACES, name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
