"""`proxy_set_header` and its like: the fields of a request, as nginx leaves them.

What nginx overwrites no client can forge, and back ends rely on it. So what
cannot be overwritten here is removed, and named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.config.header_rules import check_field_name, check_field_value
from proxy.tools.importers.draft import Draft
from proxy.tools.importers.nginx_server import filled
from proxy.tools.importers.nginx_syntax import Directive
from proxy.tools.importers.nginx_template import WRITTEN, has_variable, names
from proxy.tools.importers.references import Reference, is_secret, variable_name

# Of one connection, or written by Unbuffered whatever a client sends.
OWN = {"connection", "upgrade", "accept-encoding", "te", "keep-alive", "via"}
OWN |= {"content-length", "transfer-encoding", "trailer", "host"}
FORWARDED = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
FORWARDED |= {"x-forwarded-port"}
REQUEST_ID = ("x-request-id", "$request_id")  # Unbuffered sends one of its own
CLIENTS_HOST = ("$host", "$http_host", "$host:$server_port", "$host:$proxy_port")
INSTEAD = {
    "x-real-ip": "X-Forwarded-For",
    "x-client-ip": "X-Forwarded-For",
    "x-scheme": "X-Forwarded-Proto",
    "x-forwarded-scheme": "X-Forwarded-Proto",
}
REMOVED = (
    "fields whose values only nginx knows: {fields}. They are removed, so that "
    "clients cannot forge them"
)
ADDED = (
    "{name}: the value that nginx adds to the client's own ({value}) is not added here"
)
SCHEME = re.compile(r"(?:\w+ )?")  # Bearer, Basic: what may stand before a reference
INPUT = re.compile(r"\s*+([^:\s]++)\s*+:\s*+(.*)", re.DOTALL)


class RequestFields:
    """Fills a draft from the directives that change fields of the request.

    `known` are variables with one value, `server_names` those of the server.
    """

    def __init__(
        self, draft: Draft, known: Mapping[str, str], server_names: list[str]
    ) -> None:
        self.draft = draft
        self.known = known
        self.server_names = server_names
        self.removed: list[str] = []

    def read(self, directives: list[Directive]) -> None:
        """`proxy_set_header`; Host is the target's, if nothing is said."""
        said: dict[str, str] = {}
        for directive in directives:
            if directive.name == "more_set_input_headers":
                self.set_input(directive)
            elif directive.name == "more_clear_input_headers":
                for name in options_off(directive.values):
                    self.remove_input(name)
        for directive in directives:
            if directive.name == "proxy_set_header" and len(directive.values) == 2:
                name, value = directive.values
                said[name.lower()] = value = filled(value, self.known)
                self.field(name, value)
        if self.removed:
            told = ", ".join(dict.fromkeys(self.removed))
            self.draft.lost.append(REMOVED.format(fields=told))
        self.host(said.get("host", "$proxy_host"))
        if said.get("upgrade"):
            self.draft.keys["ws"] = True

    def host(self, value: str) -> None:
        if value in ("$server_name", "${server_name}") and self.server_names:
            value = self.server_names[0]
        if value not in CLIENTS_HOST:
            self.draft.keys["change_origin"] = True
        if not has_variable(value):
            set_field(self.draft, "Host", value)
        elif value not in (*CLIENTS_HOST, "$proxy_host"):
            self.draft.lost.append(f"Host: only nginx knows {value}")

    def field(self, name: str, value: str) -> None:
        """One field: it goes on being overwritten, or is removed."""
        lower = name.lower()
        passed_on = f"$http_{lower.replace('-', '_')}"
        bare = value.replace("{", "").replace("}", "")
        if lower in OWN or bare == passed_on or (lower, bare) == REQUEST_ID:
            return
        if not value:
            remove_field(self.draft, name)
        elif not has_variable(value):
            set_field(self.draft, name, value)
        elif lower in FORWARDED:
            return
        elif re.search(rf"{re.escape(passed_on)}\b", bare):
            self.draft.lost.append(ADDED.format(name=name, value=hidden(name, value)))
        else:
            advice = f"; use {INSTEAD[lower]} instead" if lower in INSTEAD else ""
            if remove_field(self.draft, name):
                self.removed.append(f"{name} ({hidden(name, value)}{advice})")

    def set_input(self, directive: Directive) -> None:
        for text in options_off(directive.values):
            found = INPUT.fullmatch(text)
            if found and found[1].lower() == "host":
                self.draft.lost.append(f"{directive.place}: {directive.name} Host")
            elif found:
                self.field(found[1], filled(found[2].rstrip(), self.known))
            else:
                self.remove_input(text)

    def remove_input(self, name: str) -> None:
        remove_field(self.draft, name.strip().rstrip(":"))


def options_off(values: list[str]) -> list[str]:
    """The values without options of one letter and what belongs to them."""
    found = []
    skipped = False
    for value in values:
        if skipped:
            skipped = False
        elif re.fullmatch(r"-[a-z]", value):
            skipped = value in ("-t", "-s")
        else:
            found.append(value)
    return found


def hidden(name: str, value: str) -> str:
    return "its value" if is_secret(name, value) else value


def set_field(draft: Draft, name: str, value: str, direction: str = "request") -> None:
    """Set a field to a text; a secret becomes a reference to the environment."""
    try:
        check_field_name(name)
        check_field_value(value)
    except ValueError as fault:
        draft.lost.append(f"{name}: {fault}")
        return
    known = draft.keys.setdefault(f"headers.{direction}.set", {})
    removed = draft.keys.get(f"headers.{direction}.remove")
    assert isinstance(known, dict)
    if isinstance(removed, list):
        removed[:] = [each for each in removed if each.lower() != name.lower()]
    for twin in [each for each in known if each.lower() == name.lower()]:
        del known[twin]
    in_the_file = SCHEME.fullmatch(WRITTEN.sub("", value)) is None or not names(value)
    if direction == "request" and is_secret(name, value) and in_the_file:
        variable = variable_name(draft.prefix, name)
        known[name] = Reference(variable)
        draft.notes.append(
            f"{name}: its value was not copied; set the environment variable "
            f"{variable} to it"
        )
    else:
        known[name] = value


def remove_field(draft: Draft, name: str, direction: str = "request") -> bool:
    """Remove a field; False if a route cannot, which is told."""
    try:
        check_field_name(name)
        if name.lower() == "host" and direction == "request":
            raise ValueError("every request needs a Host")
    except ValueError as fault:
        draft.lost.append(f"{name}: {fault}")
        return False
    known = draft.keys.get(f"headers.{direction}.set")
    if isinstance(known, dict):
        for twin in [each for each in known if each.lower() == name.lower()]:
            del known[twin]
    removed = draft.keys.setdefault(f"headers.{direction}.remove", [])
    assert isinstance(removed, list)
    if name.lower() not in [each.lower() for each in removed]:
        removed.append(name)
    return True
