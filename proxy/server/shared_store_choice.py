"""Which store a server shares with other processes, if it does."""

from __future__ import annotations

from proxy.config.kept_options import StoreOptions
from proxy.errors import concerning
from proxy.kept.shared_store import SharedStore


def choose_shared_store(options: StoreOptions) -> SharedStore | None:
    """The store of a configuration.

    Raises:
        ConfigError: what it needs cannot be imported.
    """
    if not options.url:
        return None
    with concerning("[store] url"):
        from proxy.kept.redis.redis_store import RedisStore

        return RedisStore(options)
