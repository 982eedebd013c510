"""Packages that only some configurations need, and whether they are installed.

Looks for them without importing them: a supervisor has no use for them.
"""

from __future__ import annotations

from importlib.util import find_spec

from proxy.config.reader import Entries, Reader
from proxy.system.install_command import install_command

OTEL = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


def no_otel() -> str:
    """What to do where the packages of the extra `otel` are missing."""
    return (
        f"OpenTelemetry is not installed: {install_command('otel')}, or write "
        "enabled = false"
    )


def check_packages(reader: Reader, tracing: Entries) -> None:
    """Spans take the extra `otel`."""
    entry = tracing.get("enabled")
    if entry is not None and entry.value and not all(map(is_installed, OTEL)):
        reader.fault("tracing", "enabled", no_otel())


def is_installed(module: str) -> bool:
    """Can a module be found?"""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a package around it is missing, or none
        return False
    except (Exception, SystemExit):  # it is there, and its use will tell the fault
        return True
