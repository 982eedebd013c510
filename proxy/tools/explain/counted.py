"""For which client the stream of a request would count, and from when on."""

from __future__ import annotations

from msgspec import Struct

from proxy.config.model import MASK, Config
from proxy.credentials import is_secret_name, is_secret_value
from proxy.exchange.stream_limit import StreamLimit
from proxy.exchange.upstream_call import UpstreamCall
from proxy.policy.counted_client import network_of
from proxy.policy.delivery import may_ask_for_stream
from proxy.policy.request_value import ADDRESS, COOKIE
from proxy.policy.upgrade import is_upgrade
from proxy.tools.explain.kept import Settings
from proxy.tools.explain.sent_fields import text


class CountedStream(Struct, frozen=True):
    """`client`: whose stream it would be. `when`: what makes it count."""

    most: str
    client: str
    when: str


def counted(config: Config, call: UpstreamCall) -> CountedStream | None:
    """Of a request that is forwarded; None: nothing is counted."""
    limit = call.route.stream_limit
    if limit is None:
        return None
    told = Settings(config, call.route)
    setting = told.told("max_streams_per_client", limit.most)
    return CountedStream(
        f"at most {limit.most} ({setting})",
        f"{whose(limit, call)} ({told.told('client_by', limit.source)})",
        when(limit, call),
    )


def whose(limit: StreamLimit, call: UpstreamCall) -> str:
    """The client, as it is counted. What may be a credential is masked."""
    client = limit.client_of(call.head, call.client.address)
    name = limit.by.name.decode("utf-8")
    shown = text(client.value)
    if client.kind != ADDRESS:
        secret = client.kind == COOKIE or is_secret_name(name) or is_secret_value(shown)
        return f"{client.kind} {name} = {MASK if secret else shown}"
    missing = f"no {limit.by.kind} {name}: " if limit.by.kind != ADDRESS else ""
    peer = network_of(call.client.address)
    behind = f", behind {text(call.client.address)}" if client.value != peer else ""
    return f"{missing}address {shown}{behind}"


def when(limit: StreamLimit, call: UpstreamCall) -> str:
    """What makes the request count."""
    head = call.head
    if head.method == b"HEAD":
        return "never: the response to HEAD has no body"
    if limit.is_known(head):
        what = "asks for a tunnel" if is_upgrade(head) else "accepts only a stream"
        return f"from its beginning: it {what}"
    response = "once the response turns out to be a stream by its type"
    if may_ask_for_stream(head):
        return f'if its body has "stream": true, or {response}'
    return response
