"""An `if` of nginx that refuses: does it protect, or does it only filter?

What a request says of itself (its method, its user agent) is no secret: to test
it protects nothing, and a route without the test is open to the same people.
Who comes, and with what key, is another matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.tools.importers.nginx_syntax import Directive, walk

# A client chooses these freely.
CLAIMS = {
    "request_method", "http_user_agent", "http_referer", "invalid_referer", "host",
    "http_host", "scheme", "https", "server_port", "server_name", "server_protocol",
    "http_origin", "http_accept", "http_accept_language", "http_accept_encoding",
    "http_content_type", "http_content_length", "content_type", "content_length",
    "request_length", "http_upgrade", "http_connection", "http_range",
    "http_x_forwarded_proto", "http_x_requested_with", "http_purpose",
}  # fmt: skip
# Where a request goes: to refuse some of it is a filter, to let some in is not.
PLACES = {
    "request_uri", "uri", "document_uri", "args", "query_string", "request",
    "request_filename", "is_args",
}  # fmt: skip
# It is the message that is refused, not who sent it.
OF_THE_MESSAGE = re.compile(r"return (405|406|411|41[3-6]|426|431)\b.*", re.DOTALL)
TEST = re.compile(
    r"\(?\s*(?:(?P<file>!?-[fdex])\s|\$\{?(?P<name>\w+)\}?\s*(?P<how>!?~\*?|!?=)?)"
)
DEPTH = 5


def mark_filters(top: list[Directive]) -> None:
    """Note of each `if` whether it only filters."""
    maps = {
        each.values[1].lstrip("$"): each.values[0]
        for each in walk(top)
        if each.name == "map" and len(each.values) == 2
    }
    for directive in walk(top):
        if directive.name == "if":
            directive.filters = filters(directive, maps)


def filters(directive: Directive, maps: dict[str, str]) -> bool:
    """Is the condition one that anybody can meet?"""
    returns = [str(each) for each in directive.block if each.name == "return"]
    if returns and all(OF_THE_MESSAGE.fullmatch(each) for each in returns):
        return True
    found = TEST.match(" ".join(directive.values))
    if found is None:
        return False
    return bool(found["file"]) or is_claim(found["name"], found["how"] or "", maps)


def is_claim(name: str, how: str, maps: dict[str, str], depth: int = DEPTH) -> bool:
    """Is a variable chosen by the client, or made by a `map` of such?"""
    if name in CLAIMS:
        return True
    if name in PLACES:
        return not how.startswith("!")
    sources = variables(maps.get(name, ""))
    return (
        bool(sources)
        and depth > 0
        and all(is_claim(each, "", maps, depth - 1) for each in sources)
    )


def variables(text: str) -> Iterable[str]:
    return re.findall(r"\$\{?(\w+)", text)
