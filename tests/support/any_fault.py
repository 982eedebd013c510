"""An upstream with any faults, also with those that change nothing of its records."""

from __future__ import annotations

from proxy.config.fault_options import Fault
from proxy.origin.replay_origin import ReplayOrigin


class AnyFaultOrigin(ReplayOrigin):
    """For tests that try all faults with all responses."""

    def check_effect(self, fault: Fault) -> None:
        """Any is right."""
