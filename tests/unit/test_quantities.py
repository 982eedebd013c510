"""Times and sizes as text."""

from __future__ import annotations

import pytest

from proxy.quantities import buffer_size, clock, compact_seconds, seconds, traffic


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0µs"),
        (0.0000004, "0µs"),
        (0.00042, "420µs"),
        (0.001, "1.0ms"),
        (0.0123, "12.3ms"),
        (1.0, "1.00s"),
        (61.239, "61.24s"),
        (86400.0, "86400.00s"),
    ],
)
def test_a_duration_is_told_at_its_scale(value: float, text: str) -> None:
    assert compact_seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.10 s"),
        (1.994, "1.99 s"),
        (12.04, "12.0 s"),
    ],
)
def test_a_time_in_a_sentence(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(75, "1:15"), (119.9, "1:59"), (3723, "1:02:03")]
)
def test_minutes_and_hours_are_those_of_a_clock(value: float, text: str) -> None:
    assert clock(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bytes"),
        (1024, "1 KiB"),
        (1500, "1500 bytes"),
        (4096, "4 KiB"),
        (15_565, "15.2 KiB"),
        (1_572_864, "1.5 MiB"),
    ],
)
def test_a_buffer_has_a_power_of_two(value: int, text: str) -> None:
    assert buffer_size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (2_500_000, "2.5 MB"),
        (3 * 10**12, "3000.0 GB"),
    ],
)
def test_traffic_has_a_power_of_ten(value: int, text: str) -> None:
    assert traffic(value) == text
