"""Packages that a process finds in place of those that are installed."""

from __future__ import annotations

from pathlib import Path


def without_otel(folder: Path) -> dict[str, str]:
    """The environment of a process for which OpenTelemetry is not installed."""
    return shadowed(folder, {"opentelemetry.py": ""})


def with_broken_otel(folder: Path) -> dict[str, str]:
    """Of one that finds it, and fails when it imports it."""
    return otel_that(folder, 'raise RuntimeError("built for another Python")\n')


def with_otel_that_exits(folder: Path) -> dict[str, str]:
    """Of one whose packages end the process that imports them."""
    return otel_that(folder, 'raise SystemExit("no licence")\n')


def with_otel_that_exits_at_the_check(folder: Path) -> dict[str, str]:
    """Of one where a package around them does so, which looking for them imports."""
    return shadowed(
        folder, {"opentelemetry/__init__.py": 'raise SystemExit("no licence")\n'}
    )


def otel_that(folder: Path, broken: str) -> dict[str, str]:
    """Modules of OpenTelemetry with this content."""
    return shadowed(
        folder,
        {
            "opentelemetry/__init__.py": "",
            "opentelemetry/trace.py": broken,
            "opentelemetry/sdk/__init__.py": "",
            "opentelemetry/sdk/trace.py": broken,
            "opentelemetry/exporter/__init__.py": "",
            "opentelemetry/exporter/otlp/__init__.py": "",
            "opentelemetry/exporter/otlp/proto/__init__.py": "",
            "opentelemetry/exporter/otlp/proto/http.py": broken,
        },
    )


def shadowed(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """Write modules that are found before all others."""
    for name, content in files.items():
        path = folder / "shadow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return {"PYTHONPATH": str(folder / "shadow")}
