"""A timeline for a terminal: arrivals against time, one row per measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.quantities import seconds
from proxy.tools.doctor.events import units_of
from proxy.tools.doctor.record import ProbeRecording

NOTHING = "·"
ASCII_NOTHING = "."
HEAD = "h"
END = "x"
MANY = "#"  # ten or more
SENT = "sent by the origin"
LEAST = 20  # columns of a track


def scale(recordings: Sequence[ProbeRecording]) -> float:
    """How many seconds the timelines show."""
    last = [
        each.ended for each in recordings if each.answered or each.ending == "no head"
    ]
    return max([*last, 0.001]) * 1.001


def track(times: Iterable[float], span: float, columns: int, nothing: str) -> str:
    """One row: how many events there are in each slot of time."""
    counts = [0] * columns
    for at in times:
        slot = int(at / span * columns)
        if 0 <= slot < columns:
            counts[slot] += 1
    return "".join(mark(count, nothing) for count in counts)


def marked(row: str, at: float | None, span: float, sign: str, nothing: str) -> str:
    """The row with a sign at that time, where no event is."""
    if at is None:
        return row
    slot = int(at / span * len(row))
    return row[:slot] + sign + row[slot + 1 :] if row[slot] == nothing else row


def mark(count: int, nothing: str) -> str:
    if not count:
        return nothing
    return str(count) if count < 10 else MANY


def timeline(
    rows: Sequence[tuple[str, ProbeRecording]], width: int, *, plain: bool = False
) -> list[str]:
    """The rows, their axis above them; where it is known, what was sent first."""
    recordings = [recording for _, recording in rows]
    span = scale(recordings)
    names = max(
        [len(label) for label, _ in rows] + [len(SENT) if len(rows) == 1 else 0]
    )
    names = min(names, max(width - LEAST - 4, 12))
    columns = max(width - names - 4, LEAST)
    nothing = ASCII_NOTHING if plain else NOTHING
    end = seconds(span)
    lines = [f"  {'':{names}}  0 s{end:>{columns - 3}}"]
    for label, recording in rows:
        units = units_of(recording)
        sent = [unit.sent for unit in units if unit.sent is not None]
        if sent and len(rows) == 1:
            row = track(sent, span, columns, nothing)
            lines.append(f"  {SENT:{names}}  {row}")
        arrived = track((unit.at for unit in units), span, columns, nothing)
        arrived = marked(arrived, recording.head, span, HEAD, nothing)
        if recording.ending == "cut":
            arrived = marked(arrived, recording.ended, span, END, nothing)
        lines.append(f"  {shortened(label, names):{names}}  {arrived}")
    slot = seconds(span / columns)
    several = f", {MANY} ten or more" if any(MANY in line for line in lines[1:]) else ""
    rest = "".join(line[names + 4 :] for line in lines[1:])
    legend = f"events in each {slot}{several}"
    legend += f", {HEAD} the head alone" if HEAD in rest else ""
    legend += f", {END} cut" if END in rest else ""
    lines.append(f"  {'':{names}}  {legend}")
    return lines


def shortened(text: str, width: int) -> str:
    """The beginning of a text that is too long, and its end."""
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[: width - half - 1]}…{text[-half:]}" if half > 0 else text[:width]
