"""How the reloads of a configuration went, for the metrics.

The start is the first of them, so that the numbers are there from the beginning.
"""

from __future__ import annotations

from proxy.observe.prometheus_text import Family
from proxy.timeline import wall_clock


class ConfigReloads:
    """Of one process, or of all workers, which serve by the same configuration."""

    def __init__(self) -> None:
        self.succeeded = True  # the last one
        self.at = wall_clock()  # the last one that did, in seconds since the epoch

    def end(self, *, succeeded: bool) -> None:
        """One has ended now."""
        self.succeeded = succeeded
        if succeeded:
            self.at = wall_clock()

    def families(self) -> list[Family]:
        """By the names that Prometheus and Caddy have for it."""
        succeeded = Family(
            "unbuffered_config_last_reload_successful",
            "gauge",
            "1 if the last reload of the configuration was applied, 0 if refused.",
            [],
        )
        succeeded.add(float(self.succeeded))
        at = Family(
            "unbuffered_config_last_reload_success_timestamp_seconds",
            "gauge",
            "When the configuration was last loaded, in seconds since the epoch.",
            [],
        )
        at.add(self.at)
        return [succeeded, at]
