"""The directives beside a `proxy_pass`, as keys of a route."""

from __future__ import annotations

import re
from collections.abc import Callable

from proxy.tools.importers.draft import Draft
from proxy.tools.importers.nginx_fields import RequestFields, remove_field, set_field
from proxy.tools.importers.nginx_lua import is_lua
from proxy.tools.importers.nginx_server import inherit
from proxy.tools.importers.nginx_syntax import Directive, walk
from proxy.tools.importers.nginx_template import has_variable, names
from proxy.tools.importers.patterns import escape
from proxy.tools.importers.references import SECRET

# Nothing is buffered or cached here, and every hop is HTTP/1.1.
NEEDLESS = {
    "proxy_pass", "proxy_buffering", "proxy_cache", "proxy_http_version",
    "proxy_request_buffering", "proxy_buffer_size", "proxy_buffers",
    "proxy_busy_buffers_size", "chunked_transfer_encoding", "gzip", "access_log",
    "error_log", "proxy_set_header", "proxy_headers_hash_max_size", "keepalive",
    "proxy_headers_hash_bucket_size", "proxy_ssl_server_name", "proxy_socket_keepalive",
    "proxy_max_temp_file_size", "proxy_temp_file_write_size", "proxy_no_cache",
    "proxy_cache_bypass", "proxy_ssl_verify", "tcp_nodelay", "tcp_nopush", "location",
    "set", "try_files", "root", "index", "proxy_pass_header", "resolver",
    "more_set_input_headers", "more_clear_input_headers", "set_real_ip_from",
    "real_ip_header", "real_ip_recursive",
}  # fmt: skip
CACHING = re.compile(r"proxy_cache")
PROTECTION = re.compile(
    r"auth_(?!basic_user_file|delay|request_set|jwt_\w+_)|allow$|deny$|internal$|"
    r"limit_except$|ssl_verify_client$|access_by_|(server_)?rewrite_by_lua"
)
REFUSAL = re.compile(r"deny .*|internal|return [45]\d\d\b.*", re.DOTALL)
# Their values, or what they are compared with, may be secret.
TELLING = re.compile(r"secure_link|_password|_secret|jwt_key")
PARAMETER = re.compile(r"([?&][^=&?\s]*+=)[^&\s]+")
ALWAYS = "always: nginx's own errors had it, those of Unbuffered do not"
PROTECTED = (
    "nginx protects it ({directive}), but a route would not; uncomment it only if "
    "everyone who can reach Unbuffered may access it"
)
LUA = "only nginx can run its Lua code"
SOME = (
    "{where}: a filter that refuses some requests. Routes have no such filter: "
    "these requests reach the target"
)
NO_FIELDS = "{where}: no header fields of the client reached this target; here they do"
ADDRESS = "binary_remote_addr"
CLIENT = (ADDRESS, "remote_addr")
TIMES_IN = re.compile(r"(\d++)(ms|[smhdwMy]|)")
SIZE = re.compile(r"(\d+)([kKmMgG]?)")
SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
SECONDS |= {"w": 7 * 86400, "M": 30 * 86400, "y": 365 * 86400}
BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
TIMES = {
    "proxy_connect_timeout": ("connect_timeout_seconds",),
    "proxy_read_timeout": ("first_byte_timeout_seconds", "idle_timeout_seconds"),
}


def told(directive: Directive) -> str:
    """A directive in words, without what may be a secret."""
    words = [PARAMETER.sub(r"\1…", word) for word in directive.words]
    if is_lua(words[0]):
        return f"{words[0]}: {LUA}"
    if TELLING.search(words[0]):
        return f"{words[0]} …"
    for position, word in enumerate(words[1:], 1):
        if SECRET.search(word) and words[position + 1 :]:
            return " ".join([*words[: position + 1], "…"])
    return " ".join(words)


def is_protection(directive: Directive) -> bool:
    """Does it let in some clients only?"""
    if directive.name == "if":
        return refuses(directive) and not directive.filters
    off = directive.values in (["off"], ["all"]) and directive.name != "deny"
    return PROTECTION.match(directive.name) is not None and not off


def refuses(directive: Directive) -> bool:
    """Is it a refusal, or a condition that leads to one?"""
    if directive.name == "if":
        return any(refuses(each) for each in directive.block)
    return REFUSAL.fullmatch(str(directive)) is not None


def mark_limits(top: list[Directive]) -> None:
    """Note of each `limit_conn` whether it counts by client.

    The zone of a site may be in a file that was not read: it is by client as a rule.
    """
    zones = {
        zone.removeprefix("zone=").partition(":")[0]: each.values[0]
        for each in walk(top)
        if each.name == "limit_conn_zone"
        for zone in each.values[1:]
    }
    for directive in walk(top):
        if directive.name == "limit_conn" and len(directive.values) == 2:
            key = zones.get(directive.values[0], ADDRESS)
            directive.per_client = key.strip("${}") in CLIENT


class NginxOptions:
    """Fills a draft from its location and from what that inherits."""

    def __init__(
        self, draft: Draft, block: list[Directive], above: list[Directive]
    ) -> None:
        self.draft = draft
        self.directives = inherit(above, block)
        self.directives += [each for each in block if each not in self.directives]
        self.rewrites: dict[str, str] = {}
        self.opened: list[str] = []  # refusals that nobody relies on, and no route has

    def read(self, path: str, fields: RequestFields) -> None:
        """`path` is the location's own text."""
        keys = self.draft.keys
        self.path = path
        fields.read(self.directives)
        for directive in self.directives:
            if directive.name in TIMES:
                self.time(directive)
            elif directive.name not in NEEDLESS and not CACHING.match(directive.name):
                self.other(directive)
        if self.rewrites:  # they are tried before the path of proxy_pass
            rules = keys.get("path_rewrite")
            known = rules if isinstance(rules, dict) else {}
            keys["path_rewrite"] = {**self.rewrites, **known}
        on = [d for d in self.directives if d.name == "proxy_buffering"]
        keys["held"] = not on or on[-1].values != ["off"]
        if str(keys["target"]).startswith(("https:", "['https:")):
            self.draft.notes.append(
                "nginx does not verify certificates unless proxy_ssl_verify is on; "
                "Unbuffered does: see verify and ca_file"
            )

    def other(self, directive: Directive) -> None:
        reader = READERS.get(directive.name)
        if reader is not None and reader(self, directive):
            return
        if is_protection(directive):
            self.draft.inactive = PROTECTED.format(directive=told(directive))
        elif PROTECTION.match(directive.name):  # auth_basic off
            return
        elif refuses(directive):
            self.opened.append(
                SOME.format(where=f"{directive.place}: {told(directive)}")
            )
            return
        self.lose(directive)

    def lose(self, directive: Directive) -> None:
        filled_in = names(str(directive))
        advice = f": envsubst fills in {', '.join(filled_in)}" if filled_in else ""
        self.draft.lost.append(f"{directive.place}: {told(directive)}{advice}")

    def time(self, directive: Directive) -> None:
        text = " ".join(directive.values)
        parts = TIMES_IN.findall(text)
        if not parts or TIMES_IN.sub("", text).strip():
            self.lose(directive)
            return
        for key in TIMES[directive.name]:
            seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
            self.draft.keys[key] = seconds
            self.draft.remarks[key] = str(directive)

    # -- one directive each; True: it is said by a key, or need not be said

    def client_max_body_size(self, directive: Directive) -> bool:
        found = SIZE.fullmatch(directive.values[0]) if directive.values else None
        if found is not None:
            size = int(found[1]) * BYTES[found[2].lower()]
            self.draft.keys["max_body_bytes"] = size
        return found is not None

    def limit_conn(self, directive: Directive) -> bool:
        if not directive.per_client or not directive.values[-1].isdecimal():
            return False
        key, limit = "max_streams_per_client", int(directive.values[-1])
        known = self.draft.keys.get(key, limit)
        assert isinstance(known, int)
        self.draft.keys[key] = min(known, limit)
        self.draft.remarks[key] = "nginx counted all requests, this counts streams"
        return True

    def add_header(self, directive: Directive) -> bool:
        if len(directive.values) < 2 or has_variable(directive.values[1]):
            return False
        set_field(self.draft, directive.values[0], directive.values[1], "response")
        if "always" in directive.values[2:]:
            self.draft.remarks["headers.response.set"] = ALWAYS
        return True

    def proxy_hide_header(self, directive: Directive) -> bool:
        known = self.draft.keys.get("headers.response.set")
        added = {name.lower() for name in known} if isinstance(known, dict) else set()
        for name in directive.values:
            if name.lower() not in added:  # it is replaced anyhow
                remove_field(self.draft, name, "response")
        return True

    def proxy_pass_request_headers(self, directive: Directive) -> bool:
        if directive.values == ["off"]:
            where = f"{directive.place}: {directive}"
            self.opened.append(NO_FIELDS.format(where=where))
        return True

    def proxy_redirect(self, directive: Directive) -> bool:
        if directive.values == ["off"]:
            self.draft.keys["redirect_rewrite"] = False
        return directive.values in (["off"], ["default"])

    def proxy_cookie_path(self, directive: Directive) -> bool:
        return self.cookie(directive, "cookie_path_rewrite")

    def proxy_cookie_domain(self, directive: Directive) -> bool:
        return self.cookie(directive, "cookie_domain_rewrite")

    def cookie(self, directive: Directive, key: str) -> bool:
        if directive.values == ["off"]:
            return True
        if len(directive.values) != 2 or any(map(has_variable, directive.values)):
            return False
        if directive.values[0].startswith("~"):
            return False
        known = self.draft.keys.setdefault(key, {})
        assert isinstance(known, dict)
        known[directive.values[0]] = directive.values[1]
        if key == "cookie_path_rewrite":
            self.draft.remarks[key] = (
                "nginx replaces only the beginning of a path, this the whole path"
            )
        return True

    def rewrite(self, directive: Directive) -> bool:
        """`rewrite ^/api/(.*)$ /$1 break;`"""
        if len(directive.values) != 3 or directive.values[2] != "break":
            return False
        pattern, replacement, _ = directive.values
        whole = whole_path(pattern, replacement, self.path)
        if whole is None or not replacement.startswith("/") or "?" in replacement:
            return False
        if re.search(r"\$[a-z_{]", replacement):
            return False
        self.rewrites.setdefault(whole, replacement)
        return True


REST = re.compile(r"\([^()]*\.[*+]\)\$?\Z")  # a last group that takes all there is


def whole_path(pattern: str, replacement: str, path: str) -> str | None:
    """The pattern, so that its match is the whole path, which nginx replaces.

    nginx looks at the path, and appends the query afterwards. Here both are one
    text: a last group that takes the rest takes the query, and has to stand last.
    """
    if not pattern.startswith("^"):
        literal = pattern.startswith(escape(path)) or pattern.startswith(path)
        pattern = f"^{pattern}" if literal else f"^[^?]*?{pattern}"
    if REST.search(pattern):
        groups = re.compile(r"(?<!\\)\((?!\?)").findall(pattern)
        ends = replacement.endswith(f"${len(groups)}")
        return pattern if ends else None
    if ".*" in pattern or ".+" in pattern:
        return None
    if pattern.endswith("$"):
        return f"{pattern[:-1]}(?=\\?|$)"
    return f"{pattern}[^?]*"


READERS: dict[str, Callable[[NginxOptions, Directive], bool]] = {
    "client_max_body_size": NginxOptions.client_max_body_size,
    "add_header": NginxOptions.add_header,
    "limit_conn": NginxOptions.limit_conn,
    "proxy_hide_header": NginxOptions.proxy_hide_header,
    "proxy_pass_request_headers": NginxOptions.proxy_pass_request_headers,
    "proxy_redirect": NginxOptions.proxy_redirect,
    "proxy_cookie_path": NginxOptions.proxy_cookie_path,
    "proxy_cookie_domain": NginxOptions.proxy_cookie_domain,
    "rewrite": NginxOptions.rewrite,
}
