"""Where the directives of nginx stand: servers, locations, what they inherit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from proxy.tools.importers.nginx_syntax import Directive, walk
from proxy.tools.importers.nginx_template import has_variable

INHERITED = re.compile(
    r"proxy_|add_header$|client_max_body_size$|auth_|allow$|deny$|satisfy$|"
    r"ssl_verify_client$|limit_conn$|access_by_|(?:server_)?rewrite_by_|header_filter_by_|"
    r"body_filter_by_|more_\w+_headers$|set$"
)
# Refuses or answers before any location of its server does.
FIRST = ("return", "if", "rewrite")
FAMILIES = {"allow": "access", "deny": "access"}
LISTEN = re.compile(r"(?:(?P<host>\[[^]]*\]|[^:]*):)?(?P<port>\d+)")
ANY = ("", "*", "0.0.0.0", "[::]", "_")
REDIRECTING = {80, 443}


def inherit(above: list[Directive], block: list[Directive]) -> list[Directive]:
    """What holds in a block: a level that has a directive inherits none of its name.

    `set` is no such directive: all levels run.
    """
    own = [each for each in block if INHERITED.match(each.name)]
    names = {family(each.name) for each in own} - {"set"}
    return [each for each in above if family(each.name) not in names] + own


def family(name: str) -> str:
    """`allow` and `deny` are one list."""
    return FAMILIES.get(name, name)


@dataclass(slots=True)
class Place:
    """A location, what it inherits, and the locations that it stands in."""

    location: Directive
    above: list[Directive]
    outer: list[str] = field(default_factory=list)

    @property
    def modifier(self) -> str:
        return self.location.values[0] if len(self.location.values) > 1 else ""

    @property
    def path(self) -> str:
        return self.location.values[-1] if self.location.values else "/"


@dataclass(slots=True)
class NginxServer:
    """A server block, or the bare locations of a file that is to be included."""

    block: list[Directive]
    places: list[Place]
    line: str = ""
    above: list[Directive] = field(default_factory=list)

    def inherited(self, name: str) -> list[Directive]:
        """The directives of that name: its own, or else those of `http`."""
        own = [each for each in self.block if each.name == name]
        return own or [each for each in self.above if each.name == name]

    @property
    def names(self) -> list[str]:
        """What it is called; patterns and "any name" are none."""
        said = [
            v for each in self.block if each.name == "server_name" for v in each.values
        ]
        return [name for name in said if name.strip("_")]

    @property
    def listens(self) -> list[tuple[str, int]]:
        """Address and port of each `listen`; "" for any address."""
        found = []
        for directive in self.block:
            if directive.name == "listen" and directive.values:
                match = LISTEN.fullmatch(directive.values[0])
                host = (match["host"] or "") if match else directive.values[0]
                port = int(match["port"]) if match else 80
                found.append(("" if host in ANY else host, port))
        return found or [("", 80)]

    @property
    def tls(self) -> bool:
        return any(d.name == "listen" and "ssl" in d.values for d in self.block)

    @property
    def plain_ports(self) -> list[int]:
        """Where it listens without TLS."""
        return self.ports(secure=False)

    @property
    def secure_ports(self) -> list[int]:
        """Where it listens with TLS."""
        return self.ports(secure=True)

    def ports(self, *, secure: bool) -> list[int]:
        """Of each `listen` that has TLS, or has none."""
        return [
            int(match["port"]) if match else 80
            for each in self.block
            if each.name == "listen" and each.values
            if ("ssl" in each.values) is secure
            for match in (LISTEN.fullmatch(each.values[0]),)
        ]

    @property
    def is_default(self) -> bool:
        """Does it take the names that no server has?"""
        return any(
            {"default_server", "default"} & {*each.values}
            for each in self.block
            if each.name == "listen"
        )

    @property
    def public(self) -> tuple[object, ...]:
        """Servers in which this is equal are one site: http and https of a name."""
        ports = {port for _, port in self.listens}
        return (
            sorted(self.names),
            sorted({host for host, _ in self.listens}),
            sorted(REDIRECTING if ports <= REDIRECTING else ports),
        )

    def first(self) -> list[Directive]:
        """What is asked before any location."""
        return [each for each in self.block if each.name in FIRST]

    def __str__(self) -> str:
        names = " ".join(self.names) or "without a name"
        ports = ", ".join(f"{host}:{port}".lstrip(":") for host, port in self.listens)
        return f"{self.line}: server {names}, listen {ports}"


def servers(top: list[Directive]) -> Iterator[NginxServer]:
    """Each server block; bare locations are one more."""
    bare = [each for each in top if each.name == "location"]
    if bare:
        yield NginxServer([], list(places(top, inherit([], top))))
    yield from nested(top, [])


def nested(
    directives: list[Directive], above: list[Directive]
) -> Iterator[NginxServer]:
    inherited = inherit(above, directives)
    for directive in directives:
        if directive.name == "http":
            yield from nested(directive.block, inherited)
        elif directive.name == "server":
            inside = inherit(inherited, directive.block)
            found = list(places(directive.block, inside))
            yield NginxServer(directive.block, found, directive.place, directives)


def places(
    directives: list[Directive], above: list[Directive], outer: tuple[str, ...] = ()
) -> Iterator[Place]:
    """Each location, also those in others."""
    for directive in directives:
        if directive.name == "location":
            place = Place(directive, above, [*outer])
            yield place
            inside = inherit(above, directive.block)
            yield from places(directive.block, inside, (*outer, place.path))


def constants(directives: list[Directive], unsure: set[str]) -> dict[str, str]:
    """The variables that `set` gives a value without a variable in it.

    `unsure` are those that have another value now and then.
    """
    found: dict[str, str] = {}
    for directive in directives:
        if directive.name == "set" and len(directive.values) == 2:
            name, value = directive.values
            found[name] = filled(value, found)
    return {
        name: value
        for name, value in found.items()
        if not has_variable(value) and name not in unsure
    }


def conditional(directives: list[Directive]) -> set[str]:
    """The variables that an `if` sets."""
    return {
        each.values[0]
        for condition in walk(directives)
        if condition.name == "if"
        for each in walk(condition.block)
        if each.name == "set" and each.values
    }


VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def filled(text: str, known: Mapping[str, str]) -> str:
    """The text with the variables that are known in it."""
    return VARIABLE.sub(
        lambda found: known.get(f"${found[1] or found[2]}", found[0]), text
    )
