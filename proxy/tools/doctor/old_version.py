"""A hop that holds or refuses what is asked by HTTP/1.0, as the one before it asks.

HTTP/1.0 has no chunks (RFC 9112, appendix C): a server that wants to say how long
its response is collects all of it. nginx asks like that by default.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.tools.doctor.comparison import Case, first_sentence
from proxy.tools.doctor.verdict import Kind, Verdict

# Kinds that no version explains, or that is known already.
OTHERS = (
    Kind.CUT, Kind.STORED, Kind.HEAD_LATE, Kind.NO_UPGRADE, Kind.OLD_VERSION
)  # fmt: skip


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


def refused_old(case: Case, behind: Case) -> bool:
    """Is the answer 426 here, and a stream one hop further back?

    The hop behind was asked by HTTP/1.1 there, and by this hop in another way.
    """
    one = case.recording
    return (
        one.status == 426
        and not one.websocket
        and behind.recording.status == 200
        and behind.recording.version == "HTTP/1.1"
    )


def refused_version(case: Case, behind: Case) -> Verdict:
    """A hop asks by HTTP/1.0, and the one behind it refuses that."""
    where = behind.recording.url
    return Verdict(
        Kind.OLD_VERSION,
        f"{where} refuses what {case.recording.url} asks: status 426, which is Envoy's "
        "answer to HTTP/1.0.",
        (
            f"{where}, by HTTP/1.1: {first_sentence(behind.verdict)}",
            "nginx asks by HTTP/1.0 unless it is told otherwise",
        ),
        sure=True,
    )
