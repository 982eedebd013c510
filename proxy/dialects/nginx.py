"""Simple `location` blocks of nginx with a `proxy_pass`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from proxy.dialects.draft import Draft, Origin, Reading
from proxy.dialects.nginxoptions import NginxOptions
from proxy.dialects.nginxsyntax import Directive, parse, walk
from proxy.dialects.patterns import escape, is_choosy, prefixes_of_pattern, usable
from proxy.dialects.targets import local_port

INHERITED = re.compile(
    r"proxy_|add_header$|client_max_body_size$|auth_|allow$|deny$|satisfy$"
)
REFUSAL = re.compile(r"deny .*|internal|return (?:401|403|404|410|444)\b.*")
UNIX = re.compile(r"(https?)://unix:([^:]+)(?::(.*))?")
PREFIX_TEXT = (
    "nginx compares a location as text: 'location /api' took /apis as well. Here "
    "/api takes /api, /api/… and /api?… only"
)
HELD = (
    "proxy_buffering was on (it is by default): nginx held back streams. Nothing is "
    "held here"
)


def read_nginx(reading: Reading, origin: Origin) -> None:
    """Add a draft for each location that passes its requests on.

    Raises:
        Unreadable: the file is no configuration of nginx.
    """
    top = parse(origin.text, origin.name)
    upstreams = {
        directive.values[0]: directive
        for directive in walk(top)
        if directive.name == "upstream" and directive.values
    }
    for directive in walk(top):
        port = re.search(r"(?:^|:)(\d+)$", "".join(directive.values[:1]))
        if directive.name == "listen" and port:
            reading.ports.add(int(port[1]))
    guarded: list[str] = []
    for location, above in locations(top, []):
        found = Location(reading, origin, location, above, upstreams)
        found.read()
        guarded += found.guarded
    keep_closed(reading, guarded)
    if reading.drafts:
        reading.notice(PREFIX_TEXT)
    seen: set[str] = set()
    for draft in reading.active:
        if draft.prefix in seen:
            draft.inactive = "the prefix stands above already (another server block?)"
        seen.add(draft.prefix)


def keep_closed(reading: Reading, guarded: list[str]) -> None:
    """No route takes what a location below it has protected or refused."""
    for draft in reading.active:
        below = draft.prefix.rstrip("/") + "/"
        inside = [p for p in guarded if p == draft.prefix or p.startswith(below)]
        if inside:
            paths = ", ".join(inside)
            draft.inactive = f"it would take {paths} too, which nginx protects"


def locations(
    directives: list[Directive], above: list[Directive]
) -> Iterator[tuple[Directive, list[Directive]]]:
    """Each location, and the directives that it inherits, nearest last."""
    inherited = above + [each for each in directives if INHERITED.match(each.name)]
    for directive in directives:
        if directive.name == "location":
            yield directive, inherited
        if directive.name in ("http", "server", "location"):
            yield from locations(directive.block, inherited)


class Location:
    """One location on its way to be a route."""

    def __init__(
        self,
        reading: Reading,
        origin: Origin,
        location: Directive,
        above: list[Directive],
        upstreams: dict[str, Directive],
    ) -> None:
        self.reading = reading
        self.location = location
        self.above = above
        self.upstreams = upstreams
        self.place = f"{origin.name}:{location.line}: {location}"
        self.notes: list[str] = []
        self.guarded: list[str] = []  # what is not open to all, as prefixes

    def read(self) -> None:
        passes = self.location.all("proxy_pass")
        if not passes:
            self.pass_over()
            return
        modifier, path = self.matching()
        prefixes = self.prefixes(modifier, path)
        written = passes[0].values[0] if passes[0].values else ""
        if "$" in written:
            self.lose(f"proxy_pass {written}: its variables are known to nginx only")
            return
        try:
            targets, uri = self.targets(written)
        except ValueError as fault:
            self.lose(str(fault))
            return
        for prefix in prefixes:
            draft = Draft(prefix, self.place, notes=[*self.notes])
            draft.keys["target"] = targets[0] if len(targets) == 1 else targets
            if uri is not None:
                self.replace(draft, path if modifier != "~" else prefix, uri)
            NginxOptions(draft, self.location, self.above).read(self.place)
            self.reading.drafts.append(draft)
            if draft.inactive:
                self.guarded.append(prefix)
            self.reading.ports |= {local_port(each) for each in targets}
            if draft.keys.pop("held", False):
                self.reading.notice(HELD)

    def lose(self, why: str) -> None:
        self.reading.lost.append(f"{self.place}: {why}")

    def pass_over(self) -> None:
        """Say of a location without proxy_pass what it did, if it did anything."""
        kinds = [each.name for each in self.location.block if each.name != "location"]
        if any(REFUSAL.fullmatch(str(each)) for each in self.location.block):
            modifier, path = self.matching()
            plain = modifier in ("", "=", "^~")
            self.guarded = [path] if plain else prefixes_of_pattern(path) or []
            if not self.guarded:
                self.reading.notice(
                    f"{self.place} refuses what a prefix cannot say; the routes do not"
                )
            self.lose("it refuses; there is no such route")
            return
        for kind in ("root", "alias", "try_files", "return", "fastcgi_pass",
                     "uwsgi_pass", "grpc_pass"):  # fmt: skip
            if kind in kinds:
                self.lose(f"{kind}: no upstream of HTTP; it stays with nginx")
                return

    def matching(self) -> tuple[str, str]:
        """Modifier and path of the location."""
        values = self.location.values or ["/"]
        return (values[0], values[1]) if len(values) > 1 else ("", values[0])

    def prefixes(self, modifier: str, path: str) -> list[str]:
        """The prefixes that it stands for; none where it is more than those."""
        found: list[str] | None = [path]
        if modifier == "=":
            self.notes.append(f"nginx took {path} alone; here also what is below it")
        elif modifier == "~":
            found = prefixes_of_pattern(path)
            if is_choosy(path):
                self.notes.append(f"the pattern {path} was narrower than this prefix")
        elif modifier == "~*" or path.startswith("@"):
            found = None
        usables = [usable(each) for each in found or []]
        if not usables or not all(usables):
            self.lose("no plain prefix; write the routes by hand")
            return []
        return usables

    def targets(self, written: str) -> tuple[list[str], str | None]:
        """The addresses, and the path that replaces the location's, if any.

        Raises:
            ValueError: says why it has none.
        """
        unix = UNIX.fullmatch(written)
        if unix:
            return [f"unix:{unix[2]}"], unix[3]
        parts = urlsplit(written)
        uri = written.partition("://")[2].partition("/")
        path = f"/{uri[2]}" if uri[1] else None
        if parts.netloc not in self.upstreams:
            return [f"{parts.scheme}://{parts.netloc}"], path
        found = []
        for server in self.upstreams[parts.netloc].all("server"):
            address, *parameters = server.values
            if parameters:
                self.notes.append(f"server {address}: without {' '.join(parameters)}")
            if "backup" in parameters or "down" in parameters:
                continue
            unix_socket = address.startswith("unix:")
            found.append(address if unix_socket else f"{parts.scheme}://{address}")
        if not found:
            raise ValueError(f"the upstream {parts.netloc} has no servers")
        return found, path

    def replace(self, draft: Draft, path: str, uri: str) -> None:
        """proxy_pass with a path: it comes in place of the location's text."""
        if uri == path:
            return
        optional = "?" if path.endswith("/") and path != "/" else ""
        draft.keys["path_rewrite"] = {
            f"^{escape(path)}{optional}": uri.replace("$", "$$")
        }
        if uri.endswith("/") and not path.endswith("/") and path != "/":
            draft.remarks["path_rewrite"] = (
                "as nginx does it: two slashes come out of it; is that meant?"
            )
