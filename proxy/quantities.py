"""Counts, times and sizes as text, for every message of the proxy."""

UNITS = ("kB", "MB", "GB")


def counted(number: int, noun: str) -> str:
    """`1 event`, `2 events`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds(value: float) -> str:
    """A time in a sentence: 3 ms, 0.25 s, 12.0 s."""
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 2 else f"{value:.1f} s"


def compact_seconds(value: float) -> str:
    """A time in a line of values: 80µs, 1.5ms, 2.50s."""
    if not value:
        return "0µs"
    # Compiled, `%` is quicker than a format spec.
    if value < 0.001:
        return "%.0fµs" % (value * 1e6)
    return "%.1fms" % (value * 1e3) if value < 1 else "%.2fs" % value  # noqa: UP031


def clock(value: float) -> str:
    """A time that passes, once it is minutes: 12:05, 1:02:03."""
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def buffer_size(value: int) -> str:
    """A size in powers of two, as buffers have it: 780 bytes, 4 KiB, 1.5 MiB."""
    if value < 2048 and (value % 1024 or not value):
        return f"{value} bytes"
    if value >= 1024 * 1024:
        return f"{value / 1024 / 1024:.1f} MiB"
    return f"{value / 1024:.0f} KiB" if value % 1024 == 0 else f"{value / 1024:.1f} KiB"


def traffic(value: float) -> str:
    """A size in powers of ten, as networks count: 780 B, 4.1 kB, 1.6 MB."""
    if value < 1000:
        return f"{value:.0f} B"
    unit = 0
    while value >= 1_000_000 and unit < len(UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value / 1000:.1f} {UNITS[unit]}"
