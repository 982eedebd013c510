"""A hop that streams by HTTP/1.1 and holds by HTTP/1.0, by which the one before asks.

HTTP/1.0 has no chunks (RFC 9112, appendix C): a server that wants to say how long
its response is collects all of it. nginx asks like that by default.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.tools.doctor.comparison import Case, first_sentence
from proxy.tools.doctor.verdict import Kind, Verdict

# Kinds that no version explains.
OTHERS = (Kind.CUT, Kind.STORED, Kind.HEAD_LATE, Kind.NO_UPGRADE)


def may_be_the_version(verdict: Verdict, behind: Case) -> bool:
    """Is it worth to ask the hop behind by HTTP/1.0?"""
    return (
        verdict.held
        and verdict.kind not in OTHERS
        and behind.verdict.free
        and behind.recording.version == "HTTP/1.1"
    )


def by_old_version(verdict: Verdict, behind: Case, older: Case) -> Verdict:
    """The verdict on a hop, if the one behind it holds what is asked by HTTP/1.0."""
    if not older.verdict.held or older.verdict.kind in OTHERS:
        return verdict
    where = behind.recording.url
    return replace(
        verdict,
        kind=Kind.OLD_VERSION,
        line=f"{verdict.line.rstrip('.')}; {where} holds what is asked by HTTP/1.0.",
        evidence=(
            f"{where}, by HTTP/1.0: {first_sentence(older.verdict)}",
            "HTTP/1.0 has no chunks, so that a server may collect the whole; nginx "
            "1.22 asks by it unless it is told otherwise",
            *verdict.evidence,
        ),
    )
