"""Simple `location` blocks of nginx with a `proxy_pass`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from proxy.config.route_hosts import check_host
from proxy.tools.importers.draft import Draft, ImportedFile, SourceFile
from proxy.tools.importers.nginx_access import Found, RestrictedLocation, settle
from proxy.tools.importers.nginx_condition import mark_filters
from proxy.tools.importers.nginx_include import Includes
from proxy.tools.importers.nginx_listen import (
    only_redirects,
    read_listeners,
    read_trusted,
)
from proxy.tools.importers.nginx_location import Location
from proxy.tools.importers.nginx_options import (
    SOME,
    is_protection,
    mark_limits,
    refuses,
    told,
)
from proxy.tools.importers.nginx_server import NginxServer, servers
from proxy.tools.importers.nginx_syntax import Directive, parse, walk
from proxy.tools.importers.nginx_template import mark_templates
from proxy.tools.importers.references import templates

PREFIX_TEXT = (
    "nginx matches a location as a text prefix: 'location /api' also matched /apis. "
    "Here /api matches only /api, /api/… and /api?…"
)
TEMPLATE = (
    "a template: envsubst filled in {names}. config.toml reads them from the "
    "environment when Unbuffered starts"
)
UNREAD = (
    "{place}: {include} was not read: the file does not exist. If it contains "
    "access control, the routes ignore it"
)
ELSEWHERE = (
    "it belongs to another server ({server}), which no host name tells apart: clients "
    "of one would reach the other. Write a separate configuration for it"
)
FIRST_SITE = (
    "several servers: the routes of {server} are for all hosts, those of the others "
    "for their names. nginx answered 404 where a name had no location for a path; here "
    "the routes for all hosts take it"
)
EACH_NAMED = (
    "several servers: each route is for the names of its server. nginx gave requests "
    "for other hosts to its first server; here they get 404, unless you write a route "
    'without a host, such as [routes."/"]'
)


def read_nginx(
    reading: ImportedFile, origin: SourceFile, folder: Path | None = None
) -> None:
    """Add a draft for each location that passes its requests on.

    Included files are looked for in `folder`; without one, none is read.

    Raises:
        Unreadable: the file is no configuration of nginx.
    """
    includes = Includes(folder or Path())
    top = parse(origin.text, origin.name)
    top = includes.expand(top) if folder else top
    mark_templates(top)
    mark_filters(top)
    mark_limits(top)
    read_trusted(reading, top)
    for include in includes.unread:
        reading.opened.append(UNREAD.format(place=include.place, include=include))
    upstreams = {
        directive.values[0]: directive
        for directive in walk(top)
        if directive.name == "upstream" and directive.values
    }
    sites: list[Site] = []
    known = list(servers(top))
    for server in known:
        reading.ports |= {port for _, port in server.listens}
        before = len(reading.drafts)
        read_server(reading, server, upstreams)
        if reading.drafts[before:]:
            sites.append(Site(server, reading.drafts[before:]))
    tell_apart(reading, sites, known)
    served = [each.server for each in sites if each.is_active]
    read_listeners(reading, served, known)
    one_site(reading)
    if reading.drafts:
        reading.notice(PREFIX_TEXT)
    variables = templates([draft.keys for draft in reading.active])
    if variables:
        reading.notice(TEMPLATE.format(names=", ".join(variables)))


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and what it has that becomes routes."""

    server: NginxServer
    drafts: list[Draft]

    @property
    def is_active(self) -> bool:
        return any(not each.inactive for each in self.drafts)


def tell_apart(
    reading: ImportedFile, sites: list[Site], known: list[NginxServer]
) -> None:
    """Several servers are known by their names; one that stands alone needs none.

    What nginx itself takes for all hosts, `default_server` or a first server without
    a name, is for all hosts here. A name alone, as most files of one site have, is not
    written before each path: the routes work at localhost as well.
    """
    order = [each for each in sites if each.is_active] or sites
    first = next((each for each in order if each.server.is_default), None)
    first = first or next(iter(order), None)
    names = {tuple(sorted(each.names)) for each in known if not only_redirects(each)}
    for site in sites:
        assert first is not None
        server = site.server
        same = server.public == first.server.public
        hosts = plain_hosts(server) if same else hosts_of(server, first.server)
        general = len(names) < 2 or first.server.is_default
        general = general or not plain_hosts(first.server)
        if same and general:
            continue
        for draft in site.drafts:
            if not hosts:
                draft.inactive = draft.inactive or ELSEWHERE.format(server=server)
            else:
                name_hosts(reading, draft, hosts, server)
        if hosts and site.is_active:
            told = FIRST_SITE.format(server=first.server) if general else EACH_NAMED
            reading.notice(told)


def name_hosts(
    reading: ImportedFile, draft: Draft, hosts: list[str], server: NginxServer
) -> None:
    """The same route for each of its names, one behind the other."""
    at = next(i for i, each in enumerate(reading.drafts) if each is draft) + 1
    path = draft.prefix
    draft.prefix = hosts[0] + path
    reading.drafts[at:at] = [copy_for(draft, each + path) for each in hosts[1:]]
    for name in server.names:
        if usable_host(name) is None:
            draft.notes.append(f"not for server_name {name}: not a plain host")


def copy_for(draft: Draft, prefix: str) -> Draft:
    """The same route by another name."""
    return replace(draft, prefix=prefix, notes=[*draft.notes], lost=[*draft.lost])


def hosts_of(server: NginxServer, first: NginxServer) -> list[str]:
    """The hosts by which a server is told from the first; none if it cannot be.

    At another address or port it may have been there for others.
    """
    if server.public[1:] != first.public[1:] or {*server.names} & {*first.names}:
        return []
    return plain_hosts(server)


def plain_hosts(server: NginxServer) -> list[str]:
    """The hosts of its names; `localhost` is none, but what a file has by default."""
    found = [host for name in server.names for host in usable_host(name) or ()]
    return [host for host in dict.fromkeys(found) if host != "localhost"]


def usable_host(name: str) -> list[str] | None:
    """What routes have for a `server_name`; None of patterns."""
    name = name.lower().removesuffix(".")
    names = [name[1:], f"*{name}"] if name.startswith(".") else [name]
    try:
        for each in names:
            check_host(f"{each}/")
    except ValueError:
        return None
    return names


def one_site(reading: ImportedFile) -> None:
    """http and https of one name may have the same locations."""
    seen: set[str] = set()
    for draft in reading.active:
        if draft.prefix in seen:
            draft.inactive = "the prefix is already used above (another server block)"
        seen.add(draft.prefix)


def read_server(
    reading: ImportedFile, server: NginxServer, upstreams: dict[str, Directive]
) -> None:
    """Add the drafts of one server."""
    found: list[Found] = []
    refusals: list[RestrictedLocation] = []
    patterns: list[Location] = []
    named = {p.path: p.location for p in server.places if p.path.startswith("@")}
    for place in server.places:
        location = Location(reading, server, place, upstreams, named)
        location.read()
        found += location.found
        refusals += location.refusals
        if location.lets_upgrade():
            patterns.append(location)
    before_all(reading, server, found)
    settle(reading, found, refusals, server.places)
    for location in patterns:
        let_upgrade(found, location)


def let_upgrade(found: list[Found], location: Location) -> None:
    """WebSockets of a pattern that is no route: those of the route that takes them."""
    head = RestrictedLocation(location.place, location.where).head
    for each in found:
        keys, prefix = each.draft.keys, each.draft.prefix
        target = keys["target"]
        targets = target if isinstance(target, list) else [target]
        below = prefix == "/" or f"{head}/".startswith(f"{prefix}/")
        if not each.draft.inactive and below and targets == location.sockets:
            keys["ws"] = True
            each.draft.remarks["ws"] = f"of {location.where}"


def before_all(reading: ImportedFile, server: NginxServer, found: list[Found]) -> None:
    """What a server does with every request before it looks for a location."""
    for directive in server.first() if found else ():
        where = f"{directive.place}: {told(directive)}"
        if directive.name == "return":
            reason = f"never used there: {where} answers everything"
        elif is_protection(directive):
            reason = f"nginx protects it ({where}), but a route would not"
        elif refuses(directive):
            reading.opened.append(SOME.format(where=where))
            continue
        else:
            reading.lost.append(where)
            continue
        for each in found:
            each.draft.inactive = each.draft.inactive or reason
