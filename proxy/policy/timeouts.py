"""The time limits of an exchange: which one has passed, if any.

Four clocks that never stand in for each other: connecting, the first byte,
silence inside a response, and the whole. One shared clock kills healthy slow
streams; that is why general proxies cut reasoning models off.
"""

from __future__ import annotations

from proxy.config.route import RouteOptions
from proxy.errors import (
    ConnectTimeout,
    DurationExceeded,
    FirstByteTimeout,
    IdleTimeout,
    UploadStalled,
    UpstreamTimeout,
)
from proxy.timeline import Phase


def exceeded(
    limits: RouteOptions,
    phase: Phase,
    *,
    elapsed: float,
    waited: float,
    silence: float,
    upstream_to_move: bool,
    untaken: int = 0,
) -> UpstreamTimeout | None:
    """The failure that is due, in seconds since: the exchange began (`elapsed`),
    the phase began (`waited`), the upstream last sent something (`silence`).

    `upstream_to_move`: it is the upstream that is waited for, not the client;
    `untaken`: bytes of the request body that it could take.
    """
    if 0 < limits.max_duration_seconds <= elapsed:
        return DurationExceeded(
            f"the exchange lasted {elapsed:.1f} s (max_duration_seconds)"
        )
    if phase is Phase.CONNECTING:
        if 0 < limits.connect_timeout_seconds <= waited:
            return ConnectTimeout(
                f"no connection within {waited:.1f} s (connect_timeout_seconds)"
            )
        return None
    if not upstream_to_move:
        return None
    if phase is Phase.WAITING:
        if 0 < limits.first_byte_timeout_seconds <= waited:
            if untaken:
                return UploadStalled(
                    f"the upstream read none of {untaken} bytes of the request body "
                    f"for {waited:.1f} s (first_byte_timeout_seconds)"
                )
            return FirstByteTimeout(
                f"no response head within {waited:.1f} s (first_byte_timeout_seconds)"
            )
    elif 0 < limits.idle_timeout_seconds <= silence:
        return IdleTimeout(
            f"the upstream sent nothing for {silence:.1f} s (idle_timeout_seconds)"
        )
    return None


def unlimited(limits: RouteOptions) -> bool:
    """May a response go on for ever, as silent as it likes?"""
    return not limits.max_duration_seconds and not limits.idle_timeout_seconds
