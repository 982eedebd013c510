"""What the store says of a stream that a request asks for: that it is not there, or
nothing.

"Not known" is never "not there": who asks for a stream of which the store says nothing
is asked to come back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from proxy.errors import StreamUncertain
from proxy.kept.registry import KeptStreams
from proxy.kept.shared_store import MissingStream

SILENT = "the store of streams does not answer"
BEHIND = "the store of streams does not have yet what the client has of it"
# Beyond keep_seconds, for which a stream stays in the store whose owner has died.
SPARE_SECONDS = 60.0


class StoreWord(NamedTuple):
    """`silence`: why nothing is known. `absence`: what is known of one that is gone."""

    silence: str = ""
    absence: str = ""


NOT_ASKED = StoreWord()


def silence_of(registry: KeptStreams[Any], word: StoreWord) -> str:
    """Why it is not known whether another process has a stream; "": it is."""
    return word.silence or (SILENT if registry.store_is_down else "")


def uncertain(silence: str) -> StreamUncertain:
    """For a client that asks for such a stream."""
    return StreamUncertain(
        f"{silence}, so it is not known whether this stream can go on; send the "
        "request again"
    )


def absence_of(missing: MissingStream, keep_seconds: float) -> str:
    """Of what a stream that is not in the store may have died, as far as it is known.

    `keep_seconds`: a server that runs for longer has not lost it by a restart.
    """
    seconds = missing.store_seconds
    restarted = seconds is not None and seconds < keep_seconds + SPARE_SECONDS
    if missing.maker_alive:
        maker = "the process that began it is there"
    else:
        maker = "the process that began it has died or cannot reach the store"
    if restarted:
        return f"{maker}, and the store, started {seconds:.0f} s ago, does not have it"
    return f"{maker}, and the store does not have it"
