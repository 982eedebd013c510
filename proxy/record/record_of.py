"""Messages as a record has them: as text, without credentials."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.observe.redaction import masked_fields, masked_target
from proxy.policy.request_plan import RequestPlan
from proxy.record.format import Framing, RecordedFields, RecordedHead, RecordedRequest

SUFFIX = ".jsonl"
UNSAFE = re.compile(r"[^A-Za-z0-9_]+")
MOST_OF_PATH = 60  # characters of a path in a file's name


def recorded_request(head: RequestHead, scheme: bytes) -> RecordedRequest:
    """A request as its client sent it."""
    return RecordedRequest(
        head.method.decode("latin-1"),
        masked_target(head.target.decode("latin-1")),
        head.version,
        scheme.decode("latin-1"),
        recorded_fields(head.fields),
    )


def sent_request(plan: RequestPlan, scheme: str) -> RecordedRequest:
    """A request as its upstream gets it."""
    return RecordedRequest(
        plan.method.decode("latin-1"),
        masked_target(plan.path.decode("latin-1")),
        "1.1",
        scheme,
        recorded_fields(plan.fields),
    )


def recorded_fields(fields: Fields) -> RecordedFields:
    """Fields without credentials."""
    return [(name, value) for name, value in masked_fields(fields)]


def recorded_head(at: int, head: ResponseHead, framing: Framing) -> RecordedHead:
    """A response head as its upstream sent it."""
    return RecordedHead(
        at,
        head.status,
        head.reason.decode("latin-1"),
        head.version,
        recorded_fields(head.fields),
        framing,
    )


def time_of_day(seconds: float) -> str:
    """A time of the wall clock, as a record has it."""
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def record_name(began: float, head: RequestHead, number: str = "") -> str:
    """A name for the file of a record: when, and what was asked."""
    when = moment(began).strftime("%Y%m%dT%H%M%S.%f")
    asked = masked_target(head.target.decode("latin-1"))
    return file_name(when, head.method.decode("latin-1"), asked, number)


def file_name(when: str, method: str, target: str, number: str) -> str:
    """The same of its parts; the target has no credentials any more."""
    path = UNSAFE.sub("-", target.partition("?")[0]).strip("-")
    path = path[:MOST_OF_PATH].strip("-")
    method = UNSAFE.sub("-", method)[:MOST_OF_PATH]
    return "-".join(filter(None, [when, method, path, number])) + SUFFIX


def moment(seconds: float) -> datetime:
    """A time of the wall clock."""
    return datetime.fromtimestamp(seconds, UTC)
