"""HTTP/2: the same calls and the same frames however a client's bytes are cut.

Besides, `h2` as the client understands what is answered, and nothing is kept of what is
over.
"""

from __future__ import annotations

import re

from h2.config import H2Configuration
from h2.connection import H2Connection

from proxy.http2.frames import CODES
from proxy.http2.limits import Http2Limits
from proxy.http2.open_streams import SPARE
from tests.unit.http2.recording import START, Recorder, in_words, split

LIMITS = Http2Limits(max_streams=3, max_control_frames_per_second=5)
# Where these come, and how large they are, depends on how much comes at once.
UPDATE = re.compile(r"WINDOW_UPDATE")
ENDED = re.compile(rf"({'|'.join(CODES)}): ")


def check(data: bytes) -> None:
    """The first byte says where it is cut; the rest follows a client's preface.

    If its lowest bit is set, the rest begins with the preface itself.
    """
    if not data:
        return
    place, data = data[0], data[1:]
    sent = data if place & 1 else START + data
    whole = served([sent])
    cut = len(sent) - len(data) + place
    assert served([sent[:cut], sent[cut:]]) == whole
    singles = [sent[n : n + 1] for n in range(min(len(sent), 400))]
    assert served([*singles, sent[400:]]) == whole


def served(parts: list[bytes]) -> tuple[list[str], list[str]]:
    """What the owners were told, and what was written."""
    recorder = Recorder(LIMITS)
    recorder.feed(parts)
    session = recorder.session
    assert set(session.streams) == set(session.states)
    assert len(session.streams) <= LIMITS.max_streams
    assert session.spare == SPARE
    ends = [line for line in recorder.log if ENDED.match(line)]
    assert len(ends) <= 1
    assert session.closed == bool(ends)
    written = b"".join(recorder.written)
    check_by_h2(written)
    words = [in_words(*each) for each in split(written)]
    return recorder.log, [line for line in words if not UPDATE.match(line)]


def check_by_h2(written: bytes) -> None:
    """A client takes our frames of the connection; streams it has not begun."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    ours = b""
    for kind, flags, number, payload in split(written):
        if number == 0 and kind not in (7, 6) and not (kind == 4 and flags & 1):
            size = len(payload)
            header = bytes((size >> 16, size >> 8 & 255, size & 255, kind, flags))
            ours += header + number.to_bytes(4, "big") + payload
    client.receive_data(ours)
