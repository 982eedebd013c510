"""An account as text for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.colour import Paint, plain
from proxy.config.effective import aligned, as_toml, column_widths
from proxy.config.fault_text import choice, quoted
from proxy.tools.explain.kept import Resuming
from proxy.tools.explain.result import Account, Limit, ProxyAnswer, Sent

INDENT = "  "
LONGEST = "longest prefix first"


def render_text(
    account: Account, paint: Paint = plain, *, everything: bool = False
) -> str:
    """The whole account. `everything`: also limits that have their defaults."""
    return "\n".join(sections(account, paint, everything))


def sections(account: Account, paint: Paint, everything: bool) -> Iterator[str]:
    if account.method:
        yield (
            f"{paint(f'{account.method} {account.path}', 'bold')} "
            f"from {account.client}, {account.scheme}"
            + (f", Host {account.host}" if account.host else "")
        )
    if account.own:
        yield from answered(account.own, paint)
        if account.own.answered and not account.refused:
            yield "\n" + paint("Nothing was sent.", "dim")
            return
    if account.routes:
        hosts = any(not each.prefix.startswith("/") for each in account.routes)
        order = "most exact host first, then longest prefix" if hosts else LONGEST
        yield "\n" + paint("routes", "bold") + f", {order}"
        yield from routes(account, paint)
    if account.refused:
        yield from details(account, paint)
        yield from refused(account.refused, paint)
        return
    for sent in account.sent:
        yield from sending(sent, account, paint)
    if account.choice:
        yield "\n" + paint("target", "bold")
        yield INDENT + account.choice.reason
    if account.upgrade:
        asked = f": {account.upgrade.asked}" if account.upgrade.asked else ""
        yield "\n" + paint(f"upgrade{asked}", "bold")
        yield INDENT + account.upgrade.reason
    if account.heartbeats:
        yield "\n" + paint("heartbeats", "bold")
        yield INDENT + account.heartbeats.reason
    if account.resume:
        yield from resuming(account.resume, paint)
    if account.share:
        yield "\n" + paint("share", "bold")
        yield INDENT + account.share.reason
    streams = account.client_streams
    if streams:
        yield "\n" + paint("streams of one client", "bold")
        yield INDENT + streams.most
        yield f"{INDENT}counts for {streams.client}"
        yield f"{INDENT}counts {streams.when}"
    if account.faults:
        yield "\n" + paint("faults", "bold") + ", on purpose"
        yield from (INDENT + fault for fault in account.faults)
    yield from details(account, paint)
    shown = [each for each in account.limits if everything or differs(each)]
    left_out = len(account.limits) - len(shown)
    more = f"; {left_out} have their defaults (--all)" if left_out else ""
    yield "\n" + paint("limits", "bold") + f", 0: none{more}"
    yield from settings(shown)
    yield f"\n{verdict(account)} " + paint("Nothing was sent.", "dim")


def verdict(account: Account) -> str:
    """Which route takes the request, and where it would go."""
    taken = next((each.prefix for each in account.routes if each.taken), "")
    targets = [sent.target for sent in account.sent]
    if account.choice and account.choice.target is not None:
        targets = [account.choice.target]
    return f"The route {taken} matches: it would go to {choice(targets)}."


def answered(own: ProxyAnswer, paint: Paint) -> Iterator[str]:
    """What goes to no upstream."""
    claim = "answered by the proxy itself"
    if not own.answered:
        claim = f"not {claim}: this client has no access, so it needs a route"
    yield "\n" + paint(claim, "bold") + (f": {own.what}" if own.answered else "")
    key = own.enabled
    if key is not None:
        yield f"{INDENT}[{key.table}] {key.key} = {as_toml(key.value)}, {key.source}"
    yield f"{INDENT}to {own.whom}"


def routes(account: Account, paint: Paint) -> Iterator[str]:
    """One line for each prefix."""
    takes = "would match: " if account.refused else "matches: "
    rows = [
        (each.prefix, (takes if each.taken else "no: ") + each.reason)
        for each in account.routes
    ]
    widths = column_widths(rows)
    for each, row in zip(account.routes, rows, strict=True):
        line = INDENT + aligned(row, widths)
        yield paint(line, "green") if each.taken else line


def refused(answer: dict[str, object], paint: Paint) -> Iterator[str]:
    """What the client is told instead."""
    yield "\n" + paint(f"refused with {answer['status']}", "red")
    yield f"{INDENT}{answer['message']}"
    if answer.get("advice"):
        yield f"{INDENT}{answer['advice']}"
    yield "\n" + paint("Nothing would be sent to any upstream.", "dim")


def sending(sent: Sent, account: Account, paint: Paint) -> Iterator[str]:
    """The request to one target."""
    yield "\n" + paint(f"sent to {sent.target}", "bold") + chosen(sent, account)
    yield f"{INDENT}{sent.url}"
    rule = account.path_rewrite
    if rule is not None:
        [(pattern, replacement)] = rule.value.items()
        yield f"{INDENT}path_rewrite {pattern} = {quoted(replacement)}, {rule.source}"
    else:
        yield f"{INDENT}no path_rewrite rule applies: path and query are unchanged"
    yield ""
    yield f"{INDENT}{sent.line}"
    rows = [(f"{each.name}: {each.value}", each.origin) for each in sent.fields]
    rows += [(f"- {each.name}", f"removed: {each.reason}") for each in sent.left_out]
    widths = column_widths(rows)
    for row in rows:
        yield INDENT + aligned(row, widths)


def chosen(sent: Sent, account: Account) -> str:
    """Whether a target is the one, if there are several."""
    choice, targets = account.choice, len(account.sent)
    if choice is None:
        return ""
    if choice.target is None:
        return f", one of {targets}: the one with the fewest open exchanges is used"
    if choice.target == sent.target:
        return f", one of {targets}: this one"
    place = choice.then.index(sent.target) + 2
    return f", one of {targets}: choice {place}, if those before it cannot be reached"


def resuming(resume: Resuming, paint: Paint) -> Iterator[str]:
    """Whether its stream is kept, and by what it is found."""
    yield "\n" + paint("resume", "bold")
    yield INDENT + resume.reason
    for title, names in (
        ("looked up first", resume.looked_up),
        ("found later by", resume.found_by),
    ):
        if names:
            yield f"{INDENT}{title}"
            yield from (INDENT + INDENT + each for each in names)
    if resume.ids is not None:
        yield f"{INDENT}ids {resume.ids}"


def details(account: Account, paint: Paint) -> Iterator[str]:
    """Who is told what goes wrong."""
    if account.error_details:
        yield "\n" + paint("details of errors", "bold")
        yield INDENT + account.error_details.reason
        if account.error_details.advice:
            yield INDENT + account.error_details.advice


def differs(limit: Limit) -> bool:
    """Has somebody written another value than that of nobody?"""
    return bool(limit.value != limit.default)


def settings(limits: Sequence[Limit]) -> Iterator[str]:
    """Key, value and source in columns, table by table."""
    rows = [(each.key, as_toml(each.value), each.source) for each in limits]
    widths = column_widths(rows)
    table = None
    for each, row in zip(limits, rows, strict=True):
        if each.table != table:
            table = each.table
            yield f"{INDENT}[{table}]"
        yield INDENT + INDENT + aligned(row, widths)
