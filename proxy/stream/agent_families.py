"""What agents and their pages speak: AI SDK, AG-UI, JSON-RPC with MCP."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.stream.family import Told, event, has_id, id_of, kind
from proxy.stream.recent_events import Item

# -- AI SDK, the stream of a page

START_MEMBERS = {"type", "messageId", "messageMetadata"}


def is_ai_sdk(item: Item) -> bool:
    """Its first part, if that says more than that something starts.

    Most say it in the head: see `field`.
    """
    members = set(item.members)
    return kind(item) == "start" and {"type"} < members <= START_MEMBERS


def ai_sdk_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    return event({"type": "error", "errorText": told.reason})


# -- AG-UI


def is_ag_ui(item: Item) -> bool:
    """Its first event, or an error in place of it."""
    found = item.members
    if kind(item) == "RUN_STARTED":
        return "threadId" in found or "runId" in found
    return kind(item) == "RUN_ERROR" and "message" in found


def ag_ui_failure(told: Told, first: Item | None, last: Sequence[Item]) -> bytes:
    return event({"type": "RUN_ERROR", "message": told.reason, "code": told.type})


# -- JSON-RPC 2.0, MCP among it


UPSTREAM_FAILED = -32000  # of the range that is left to implementations


def is_json_rpc(item: Item) -> bool:
    return item.members.get("jsonrpc") == "2.0"


def json_rpc_complete(items: Sequence[Item]) -> bool:
    """A response is one of the last messages."""
    return any("result" in item.members for item in items)


def json_rpc_failure(
    told: Told, first: Item | None, last: Sequence[Item]
) -> bytes | None:
    """The response to the request, as an error; None where that must not be.

    MCP's client for Node waits a minute for a response with its id, whatever becomes
    of the body. But a client that has seen an id of an event asks again with it, and
    an error would end its request for good.
    """
    request = told.request
    if has_id(first, last) or not isinstance(request, dict):
        return None
    number = request.get("id")
    if not isinstance(number, int | str) or isinstance(number, bool):
        return None
    error = {"code": UPSTREAM_FAILED, "message": told.reason}
    if told.request_id:
        error["data"] = id_of(told)
    return event({"jsonrpc": "2.0", "id": number, "error": error}, "message")
