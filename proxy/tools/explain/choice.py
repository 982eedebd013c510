"""Which of several targets would get a request, and by what."""

from __future__ import annotations

from msgspec import Struct

from proxy.config.model import MASK, Config
from proxy.credentials import is_secret_name
from proxy.exchange.target_choice import ByValue
from proxy.exchange.upstream_call import UpstreamCall
from proxy.policy.load_balancing import weight
from proxy.policy.request_value import ADDRESS, COOKIE
from proxy.tools.explain.kept import Settings
from proxy.tools.explain.sent_fields import text


class Choice(Struct, frozen=True):
    """What decides. `target`: the one; None: that depends on what is open at the time.

    `then`: who gets the request while those before it rest or are unhealthy.
    """

    by: str
    value: str | None
    target: str | None
    then: list[str]
    reason: str


def choice(config: Config, call: UpstreamCall) -> Choice | None:
    """Of a request that is forwarded; None: its route has one target."""
    route = call.route
    if len(route.upstreams) == 1:
        return None
    setting = Settings(config, route).told("balance", route.route.balance)
    by_value = route.choice.by_value
    if by_value is None:
        reason = f"the one with the fewest open exchanges ({setting})"
        return Choice("open exchanges", None, None, [], reason)
    by, value = called(by_value), by_value.value_of(call)
    if value is None:
        reason = (
            f"the request has no value for {by}, so the one with the fewest open "
            f"exchanges ({setting})"
        )
        return Choice(by, None, None, [], reason)
    order = sorted(
        route.upstreams, key=lambda each: weight(by_value.seeds[each], value)
    )
    names = [str(each.target) for each in reversed(order)]
    shown = text(value)
    if by_value.learns and is_secret_name(text(by_value.wanted.name)):
        shown = MASK
    reason = f"decided by {by} = {shown} ({setting})"
    if by_value.learns:
        reason += (
            "; a running proxy sends a value that a target has handed out itself to "
            "that target"
        )
    return Choice(by, shown, names[0], names[1:], reason)


def called(by_value: ByValue) -> str:
    """What decides, as a person calls it."""
    wanted = by_value.wanted
    if wanted.kind == ADDRESS:
        return "the client's address"
    kind = "cookie" if wanted.kind == COOKIE else "field"
    return f"{kind} {text(wanted.name)}"
