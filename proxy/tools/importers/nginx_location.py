"""One location of nginx on its way to be a route."""

from __future__ import annotations

import re

from proxy.tools.importers.draft import Draft, ImportedFile
from proxy.tools.importers.nginx_access import Found, RestrictedLocation
from proxy.tools.importers.nginx_fields import RequestFields
from proxy.tools.importers.nginx_lua import is_lua
from proxy.tools.importers.nginx_options import NginxOptions, is_protection, refuses
from proxy.tools.importers.nginx_server import (
    NginxServer,
    Place,
    conditional,
    constants,
    filled,
)
from proxy.tools.importers.nginx_syntax import Directive
from proxy.tools.importers.nginx_template import has_variable, kept, names, with_dollars
from proxy.tools.importers.patterns import (
    escape,
    is_choosy,
    prefixes_of_pattern,
    reach_of,
    usable,
)
from proxy.tools.importers.targets import CREDENTIALS, local_port
from proxy.tools.importers.values import table

UNIX = re.compile(r"(https?)://unix:([^:]+)(?::(.*))?")
STICKY = ("ip_hash", "hash", "sticky", "sticky_cookie_insert")
HASHED = re.compile(
    r"\$(?:remote_addr|binary_remote_addr|http_[a-z0-9_]+|cookie_\w+)", re.IGNORECASE
)
HELD = (
    "proxy_buffering was on (the default), so nginx held back streams. Unbuffered "
    "does not buffer"
)
SENDING = re.compile(r"proxy_|add_header$|more_")
OTHER_PROTOCOLS = {
    "fastcgi_pass": "FastCGI", "uwsgi_pass": "uwsgi", "scgi_pass": "SCGI",
    "grpc_pass": "gRPC", "memcached_pass": "memcached",
}  # fmt: skip
ENVSUBST = (
    "{name}: envsubst fills it in, but a prefix cannot contain a variable; "
    "write the route by hand"
)
PLACEHOLDER = re.compile(r"@[A-Z][A-Z0-9_]*@")  # of autoconf and of many a script
WHOLE = re.compile(r"(\$\{[A-Z_][A-Z0-9_]*\})(/.*)?")  # an address from the environment
UNKNOWN = "only envsubst knows which paths these are"
BACKUP = (
    "left out, since nginx used it only when all others failed; here all servers of a "
    "target are used alike"
)
DOWN = "left out, since it is down"
FILES = "try_files: Unbuffered does not serve files; all paths go to the target"
HOST = (
    "nginx sent Host: {name}, the name of its upstream; here it is the host of "
    "the target"
)


class Location:
    """Reads one location; `found` and `refusals` are what comes of it."""

    def __init__(
        self,
        reading: ImportedFile,
        server: NginxServer,
        place: Place,
        upstreams: dict[str, Directive],
        named: dict[str, Directive],
    ) -> None:
        self.reading = reading
        self.server = server
        self.place = place
        self.location = place.location
        self.upstreams = upstreams
        self.where = f"{self.location.place}: {self.location}"
        self.notes: list[str] = []
        self.found: list[Found] = []
        self.refusals: list[RestrictedLocation] = []  # of what is not open to all
        self.sockets: list[str] = []  # targets of a pattern that is no route
        self.block = self.location.block
        self.name = ""  # of an `upstream`
        self.balance = ""  # how one of its servers is chosen
        self.follow(named)
        unsure = conditional([*server.block, *self.block])
        self.known = constants([*place.above, *self.block], unsure)

    def follow(self, named: dict[str, Directive]) -> None:
        """`try_files $uri @app`: what `@app` does with the rest."""
        tried = self.location.all("try_files")
        last = tried[-1].values[-1] if tried and tried[-1].values else ""
        if last in named and not self.location.all("proxy_pass"):
            self.notes.append(FILES)
            self.reading.notice(f"{self.where}: {FILES}")
            # Its access control is asked here as well; what it sends is not sent.
            own = [each for each in self.block if not SENDING.match(each.name)]
            self.block = [*own, *named[last].block]

    def all(self, name: str) -> list[Directive]:
        return [each for each in self.block if each.name == name]

    def read(self) -> None:
        if self.place.path.startswith("@"):
            return  # reached by others only
        passes = self.all("proxy_pass")
        if not passes or self.all("return"):
            self.pass_over()
            return
        prefixes = self.prefixes()
        written = passes[0].values[0] if passes[0].values else ""
        try:
            targets, uri = self.targets(written)
        except ValueError as fault:
            self.lose(str(fault))
            self.refuse()
            return
        if not prefixes:
            self.refuse()
            self.sockets = [] if uri else targets
            return
        for prefix in prefixes:
            draft = Draft(prefix, self.where, notes=[*self.notes])
            draft.keys["target"] = targets[0] if len(targets) == 1 else targets
            if self.balance:
                draft.keys["balance"] = self.balance
            regex = self.place.modifier.startswith("~")
            path = prefix if regex else self.place.path
            draft.reach = reach_of(self.place.path) if regex else "text"
            if uri is not None:
                self.replace(draft, path, uri)
            options = NginxOptions(draft, self.block, self.place.above)
            fields = RequestFields(draft, self.known, self.server.names)
            options.read(path, fields)
            draft.keys = {key: kept(value) for key, value in draft.keys.items()}
            self.reading.drafts.append(draft)
            self.found.append(Found(draft, self.place, self.narrow))
            self.tell_host(draft)
            if not draft.inactive:
                self.reading.opened += options.opened
            self.reading.ports |= {local_port(each) for each in targets}
            if draft.keys.pop("held", False):
                self.reading.notice(HELD)
        if any(each.draft.inactive for each in self.found):
            self.refusals.append(RestrictedLocation(self.place, self.where))

    def refuse(self) -> None:
        """Keep closed what is no route, if not everybody was let in."""
        if not any(is_protection(each) for each in self.block):
            return
        if names(self.place.path):
            self.reading.opened.append(f"{self.where}: nginx protects it; {UNKNOWN}")
        else:
            self.refusals.append(RestrictedLocation(self.place, self.where))

    def lets_upgrade(self) -> bool:
        """Does a location without a route pass WebSockets on?"""
        upgrades = [
            each.values[1]
            for each in self.all("proxy_set_header")
            if len(each.values) == 2 and each.values[0].lower() == "upgrade"
        ]
        return bool(self.sockets) and any(upgrades)

    def tell_host(self, draft: Draft) -> None:
        sets = table(draft.keys.get("headers.request.set"))
        if self.name and draft.keys.get("change_origin") and "Host" not in sets:
            draft.notes.append(HOST.format(name=self.name))

    @property
    def narrow(self) -> bool:
        """Did it take less than a route of its prefix?"""
        modifier, path = self.place.modifier, self.place.path
        return modifier == "=" or (modifier.startswith("~") and is_choosy(path))

    def lose(self, why: str) -> None:
        self.reading.lost.append(f"{self.where}: {why}")

    def pass_over(self) -> None:
        """Say of a location without proxy_pass what it did, if it did anything."""
        kinds = [each.name for each in self.block if each.name != "location"]
        closed = any(is_protection(each) or refuses(each) for each in self.block)
        if closed and "stub_status" not in kinds:
            self.refusals.append(RestrictedLocation(self.place, self.where))
            self.lose("it refuses requests; no route is needed")
            return
        for kind in kinds:
            if kind in OTHER_PROTOCOLS:
                sent = [each.values[0] for each in self.all(f"{kind[:-5]}_param")]
                sent += [each.values[0] for each in self.all(f"{kind[:-5]}_set_header")]
                also = (
                    f", together with the fields it sends: {', '.join(sent)}"
                    if sent
                    else ""
                )
                protocol = OTHER_PROTOCOLS[kind]
                self.lose(f"{kind}: {protocol} is not HTTP/1.1; keep it in nginx{also}")
                return
            if is_lua(kind) or kind == "js_content":
                self.lose(f"{kind}: it is answered by code; keep it in nginx")
                return
        for kind in ("root", "alias", "try_files", "return", "stub_status"):
            if kind in kinds:
                self.lose(f"{kind}: not an HTTP upstream; keep it in nginx")
                return

    def prefixes(self) -> list[str]:
        """The prefixes that it stands for; none where it is more than those."""
        modifier, path = self.place.modifier, self.place.path
        if names(path):
            self.lose(ENVSUBST.format(name=", ".join(names(path))))
            return []
        found: list[str] | None = [path]
        if modifier == "=":
            self.notes.append(
                f"nginx matched only {path}; here it also matches everything below it"
            )
        elif modifier.startswith("~"):
            found = prefixes_of_pattern(path)
            if self.narrow:
                self.notes.append(f"the pattern {path} matched less than this prefix")
            if modifier == "~*":
                self.notes.append(
                    "nginx matched it case-insensitively; a route is case-sensitive"
                )
        usables = [usable(each) for each in found or []]
        if not usables or not all(usables):
            self.lose("not a plain prefix; write the routes by hand")
            return []
        return usables

    def targets(self, written: str) -> tuple[list[str], str | None]:
        """The addresses, and the path that replaces the location's, if any.

        Raises:
            ValueError: says why it has none.
        """
        if PLACEHOLDER.search(written):
            shown = written.partition("?")[0]
            raise ValueError(f"proxy_pass {shown}: a template: render it first")
        text = CREDENTIALS.sub("", filled(written, self.known))
        unix = UNIX.fullmatch(text)
        if unix:
            return [f"unix:{unix[2]}"], unix[3]
        bare = text.removesuffix("$request_uri")
        whole = WHOLE.fullmatch(bare)
        if whole:
            return [whole[1]], whole[2]
        scheme, _, address = bare.partition("://")
        server, slash, rest = address.partition("/")
        path = f"/{rest}" if slash else None
        # With a variable, a path takes the place of the whole request's.
        if has_variable(bare) or (has_variable(written) and path is not None):
            shown = CREDENTIALS.sub("", written).partition("?")[0]
            raise ValueError(f"proxy_pass {shown}: only nginx knows its variables")
        if server not in self.upstreams:
            return [f"{scheme}://{server}"], path
        return self.group(scheme, self.upstreams[server]), path

    def group(self, scheme: str, upstream: Directive) -> list[str]:
        """The servers of an `upstream` block."""
        found = []
        for directive in upstream.block:
            if is_lua(directive.name):
                name = upstream.values[0]
                raise ValueError(f"upstream {name}: {directive.name}: chosen by code")
        for server in upstream.all("server"):
            address, *parameters = server.values
            if "backup" in parameters or "down" in parameters:
                why = DOWN if "down" in parameters else BACKUP
                self.notes.append(f"server {address}: {why}")
                continue
            if parameters:
                self.notes.append(f"server {address}: without {' '.join(parameters)}")
            if not address.startswith("unix:"):
                # Port 80 is the default there, whatever the scheme.
                port = ":80" if scheme == "https" and not has_port(address) else ""
                address = f"{scheme}://{address}{port}"
            found.append(address)
        name = upstream.values[0]
        if not found:
            raise ValueError(f"the upstream {name} has no servers")
        for directive in upstream.block:
            if directive.name in STICKY and len(found) > 1:
                self.balance = balance_of(directive)
                if not self.balance:
                    self.notes.append(
                        f"{directive}: nginx kept a client on one server; here the one "
                        "with the fewest open exchanges is used; see balance, such as "
                        '"cookie:NAME" with a cookie of the servers'
                    )
        self.name = name
        return list(dict.fromkeys(found))

    def replace(self, draft: Draft, path: str, uri: str) -> None:
        """proxy_pass with a path: it comes in place of the location's text."""
        if uri == path:
            return
        optional = "?" if path.endswith("/") and path != "/" else ""
        draft.keys["path_rewrite"] = {f"^{escape(path)}{optional}": with_dollars(uri)}
        if uri.endswith("/") and not path.endswith("/") and path != "/":
            draft.remarks["path_rewrite"] = (
                "as in nginx: this produces two slashes; is that intended?"
            )


def balance_of(directive: Directive) -> str:
    """What decides for one of the servers, by our names; "": nothing that we have."""
    if directive.name == "ip_hash":
        return "client"
    variable = directive.values[0] if directive.values else ""
    if directive.name != "hash" or HASHED.fullmatch(variable) is None:
        return ""
    kind, _, name = variable.removeprefix("$").partition("_")
    if kind == "cookie":
        return f"cookie:{name}"
    return f"header:{name.replace('_', '-')}" if kind == "http" else "client"


def has_port(address: str) -> bool:
    return re.search(r":(?:\d+|\$\{\w+\})\Z", address) is not None
