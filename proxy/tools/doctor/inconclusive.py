"""What cannot be judged: no answer, an error, a page, too little. Pure.

Each says what came instead, and what to do so that it can be judged.
"""

from __future__ import annotations

from proxy.quantities import buffer_size, counted, seconds
from proxy.tools.doctor.arrival_pattern import Shape
from proxy.tools.doctor.cached_answer import by_field, told_by_field
from proxy.tools.doctor.how_to_ask import how_to_ask
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind, Verdict

ENOUGH = 4  # events; fewer have no shape
WAIT = 0.3  # seconds; who gets all at once that soon cannot tell
LASTING = 1.0  # seconds; what is over sooner is a download
BRIEF = 0.5  # seconds; in so short a stream a pause of the machine looks like a hold
FORM = (
    "send the same headers as the page, such as -H 'Accept: …', or paste the "
    "request with Copy as cURL"
)
NO_BACK_END = "{hop} answered itself: it could not reach the server behind it"
# What to do about a status, where something can be said.
HINTS = {
    101: "it switched to another protocol without being asked to",
    204: "an EventSource stops reconnecting when it receives it",
    404: "is this the path that the hop in front expects?",
    405: "-X sets another method",
    406: FORM,
    415: FORM,
    422: FORM,
    429: "it limits the request rate; wait, or use --compare none",
    502: NO_BACK_END,
    503: NO_BACK_END,
    504: "{hop} timed out: the server behind it sent no response head in time",
}
REASON = "the log of Unbuffered, and its inspector, have the reason of each failure"
PAGE = (
    "dev servers and login pages answer with a page if no route matches: is the "
    "path correct, and does it need a cookie?"
)
ONE_OBJECT = 'does the request ask for a stream, as with "stream": true?'
DOCUMENTS = {
    "text/html": ("an HTML page", PAGE),
    "application/xhtml+xml": ("an HTML page", PAGE),
    "text/css": ("a style sheet", "is the path correct?"),
    "text/javascript": ("a script", "is the path correct?"),
    "application/javascript": ("a script", "is the path correct?"),
    "application/json": ("one JSON document", ONE_OBJECT),
}


def unanswered(recording: ProbeRecording) -> Verdict | None:
    """No response, or not the one that was asked for."""
    if recording.ending == "no head":
        return no_head(recording)
    if not recording.answered:
        fault = recording.fault or "no response head came"
        line = f"Could not measure: {fault}"
        line = line if line.endswith("?") else f"{line}."
        return Verdict(Kind.NO_ANSWER, line, sure=True)
    status = recording.status
    if recording.websocket:
        return not_upgraded(recording)
    if 300 <= status < 400 and status != 304:
        return redirected(recording)
    if status >= 400 or status in (101, 204, 205, 304):
        return refused(recording)
    if recording.fault.startswith("content coding broken"):
        return Verdict(
            Kind.NO_STREAM,
            f"Could not measure: Content-Encoding is {recording.coding}, but the "
            "body is not in that format; browsers reject it.",
            (recording.fault,),
        )
    return None


def not_upgraded(recording: ProbeRecording) -> Verdict | None:
    """A handshake that was not answered with 101.

    Where the fields Connection and Upgrade are lost, the back end sees a plain GET.
    """
    status = recording.status
    if status == 101 and recording.fault.startswith("Sec-WebSocket-Accept"):
        line = f"Could not measure: {recording.fault}; browsers close it."
        return Verdict(Kind.NO_STREAM, line, sure=True)
    if status == 101:
        return None
    if 300 <= status < 400:
        return redirected(recording)
    plain = status < 300 and recording.type not in DOCUMENTS
    if status in (400, 426) or plain or refused_by_envoy(recording):
        return Verdict(
            Kind.NO_UPGRADE,
            f"No upgrade: the answer to the handshake of the WebSocket is {status}, "
            "not 101.",
            (
                *what_it_says(recording),
                *ours(recording),
                "a hop that does not pass Connection and Upgrade on makes a plain GET "
                "of it; or there is no WebSocket at this path",
            ),
        )
    return refused(recording)


def ours(recording: ProbeRecording) -> list[str]:
    """Unbuffered itself opens WebSockets only where its route says so."""
    if "unbuffered" not in (recording.get("via") or ""):
        return []
    return ["Unbuffered is in the way: it needs `ws = true` in the route"]


def what_it_says(recording: ProbeRecording) -> list[str]:
    """The beginning of an answer that is short, or no stream."""
    said = " ".join(recording.content[:200].decode("utf-8", "replace").split())
    return [f"it says: {said}"] if said and recording.status != 101 else []


def no_head(recording: ProbeRecording) -> Verdict:
    """Connected, asked, and not a byte in all the time."""
    if recording.websocket:
        return Verdict(
            Kind.NO_UPGRADE,
            "No upgrade: the handshake of the WebSocket was not answered within "
            f"{seconds(recording.ended)}.",
            (
                "a dev server leaves it so unless its proxy is told about WebSockets "
                "(`ws: true`); or the back end does not answer",
            ),
        )
    return Verdict(
        Kind.SILENT,
        f"Inconclusive: nothing arrived within {seconds(recording.ended)}, not even "
        "a response head.",
        (
            "either the back end has not sent anything yet (--max-time waits "
            "longer), or a hop buffers everything: --via and --through show which",
        ),
    )


def redirected(recording: ProbeRecording) -> Verdict:
    """A redirection that was not followed."""
    location = recording.get("location")
    where = f"it redirects to {location}" if location else "with no Location"
    told = "Use that URL if it is the right one."
    asked = tuple(how_to_ask(recording))
    if any(hop.location == location for hop in recording.redirects[:-1]):
        told = "It redirects in a circle."
    elif recording.method not in ("GET", "HEAD") and location:
        told = "A browser would follow it with GET, without the body."
    return Verdict(
        Kind.NO_STREAM,
        f"Could not measure: status {recording.status}, {where}."
        + (f" {told}" if location and not asked else ""),
        asked,
        sure=True,
    )


def refused(recording: ProbeRecording) -> Verdict:
    """A status that no stream has."""
    status = recording.status
    evidence = what_it_says(recording)
    allowed = recording.get("allow")
    if status == 405 and allowed:
        evidence.append(f"it allows {allowed}")
    asked = how_to_ask(recording)
    evidence += asked
    if recording.websocket and status in (404, 405, 501):
        evidence.append(
            "there is no WebSocket at this path, or a hop does not pass Connection and "
            "Upgrade on: --via shows which"
        )
    elif status in HINTS and not asked:
        hop = author(recording)
        evidence.append(HINTS[status].format(hop=hop or "this hop"))
        if hop == "Unbuffered":
            evidence.append(REASON)
    elif status >= 500:
        evidence.append("the server failed; see its own log for the reason")
    what = "WebSocket" if recording.websocket else "stream"
    line = f"Could not measure: the response has status {status}, it is not a {what}."
    return Verdict(Kind.NO_STREAM, line, tuple(evidence), sure=True)


def author(recording: ProbeRecording) -> str:
    """Which hop says that the response is its own (RFC 9209 §2.3.1); "" if none does.

    It need not be the one that was asked: a dev server passes the field on.
    """
    for member in (recording.get("proxy-status") or "").split(","):
        name, _, parameters = member.partition(";")
        if parameters.lstrip().startswith("error="):
            name = name.strip(' \t"')
            return "Unbuffered" if name == "unbuffered" else name
    return ""


def without_times(recording: ProbeRecording) -> Verdict | None:
    """A file from which nothing can be told."""
    if not recording.missing:
        return None
    return Verdict(
        Kind.NO_TIMES,
        f"Inconclusive: the file does not say {recording.missing}.",
        (
            "a HAR has the times of messages of a WebSocket, and of the events that "
            "Chromium notes, but of no other piece, and not every body; a record of "
            "`unbuffered record URL` has all",
        ),
    )


def nothing_came(shape: Shape) -> Verdict:
    """A head, and no event."""
    recording = shape.recording
    if recording.content:
        return incomplete(shape)
    if recording.ending == "complete":
        return Verdict(Kind.NO_STREAM, "Could not measure: the body is empty.")
    waited = seconds(recording.ended - (recording.head or 0.0))
    nothing = "nothing"
    coding: tuple[str, ...] = ()
    if recording.size:  # a compressor writes its own head at once
        nothing = "no content"
        coding = (
            f"{buffer_size(recording.size)} of {recording.coding} arrived, but they "
            "contain no content yet: typical of a compressor without flushing",
        )
    return Verdict(
        Kind.SILENT,
        f"Inconclusive: a head arrived, and then {nothing} for {waited}.",
        (
            *coding,
            "either the back end is silent for that long (--max-time waits longer), "
            "or a hop holds its output: --via and --through show which",
        ),
    )


def incomplete(shape: Shape) -> Verdict:
    """Bytes that add up to no event."""
    recording = shape.recording
    came = (
        f"{buffer_size(recording.size)} came in {counted(len(shape.bursts), 'arrival')}"
    )
    return Verdict(
        Kind.TOO_FEW,
        f"Inconclusive: {came}, but no event was complete.",
        (
            "an event ends with an empty line, and browsers dispatch it only then: "
            "does the back end write two newlines after each event?",
            f"it begins: {recording.content[:60]!r}",
        ),
    )


def document(shape: Shape) -> Verdict | None:
    """A whole page or object, which nobody meant to stream."""
    recording = shape.recording
    known = DOCUMENTS.get(recording.type)
    if recording.type.startswith(("image/", "font/", "audio/", "video/")):
        known = ("a file", "is the path correct?")
    if shape.kind != "pieces" or known is None or recording.ending != "complete":
        return None
    if not shape.at_once and recording.get("content-length") is None:
        return None
    what, hint = known
    return Verdict(
        Kind.NO_STREAM,
        f"Could not measure: the response is {what} ({recording.type}), not a stream.",
        (*told_by_field(recording), *(how_to_ask(recording) or (hint,))),
    )


def too_quick(shape: Shape) -> Verdict | None:
    """Over before anything could show."""
    recording = shape.recording
    last = shape.bursts[-1].until
    units = counted(len(shape.shown), shape.noun)
    if shape.kind == "pieces" and last - shape.bursts[0].at < LASTING:
        if shape.first_byte is not None and shape.first_byte >= WAIT:
            when = f"at once, after {seconds(last)}"
        else:
            when = f"within {seconds(last)}"
        return Verdict(
            Kind.TOO_QUICK,
            f"Inconclusive: {buffer_size(recording.size)} arrived {when}.",
            (
                *told_by_field(recording),
                "nothing in the body marks the end of an event, and a complete "
                "document looks the same; --through gives a certain answer",
            ),
        )
    quick = shape.at_once or last < BRIEF
    if not quick or (shape.first_byte or 0.0) >= WAIT:
        return None
    if (known := by_field(shape)) is not None:
        return known
    evidence = [
        "a stream this short looks the same with and without buffering; use a longer "
        "one, or another query: it may come from a cache"
    ]
    if recording.ending == "stopped":
        evidence = [f"nothing more arrived for {seconds(shape.silence)}"]
    return Verdict(
        Kind.TOO_QUICK,
        f"Inconclusive: all {units} had arrived after {seconds(last)}.",
        tuple(evidence),
    )


def few(shape: Shape) -> Verdict:
    """Too little to say anything about."""
    number = len(shape.shown)
    first = shape.first_byte or 0.0
    evidence = [
        *told_by_field(shape.recording),
        f"at least {ENOUGH} are needed to recognize a pattern",
    ]
    if shape.recording.ending == "stopped" and not shape.recording.account:
        evidence.append("--max-time waits longer")
    if shape.at_once and number > 1 and first >= WAIT:
        evidence.append(
            f"they arrived together, after {seconds(first)}: they may have been held"
        )
    return Verdict(
        Kind.TOO_FEW,
        f"Inconclusive: only {counted(number, shape.noun)} arrived.",
        tuple(evidence),
    )


def refused_by_envoy(recording: ProbeRecording) -> bool:
    """Is it the 403 of Envoy itself, for an Upgrade that its route does not allow?

    An answer from behind it has the time that it took there.
    """
    by_envoy = (recording.get("server") or "").endswith("envoy")
    behind = recording.get("x-envoy-upstream-service-time")
    return recording.status == 403 and by_envoy and behind is None
