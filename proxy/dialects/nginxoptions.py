"""The directives beside a `proxy_pass`, as keys of a route."""

from __future__ import annotations

import re
from collections.abc import Callable

from proxy.config.headers import check_field_name
from proxy.dialects.draft import Draft
from proxy.dialects.nginxsyntax import Directive
from proxy.dialects.options import SECRET, Reference, variable_name

# Nothing is buffered or cached here, and every hop is HTTP/1.1.
NEEDLESS = {
    "proxy_pass", "proxy_buffering", "proxy_cache", "proxy_http_version",
    "proxy_request_buffering", "proxy_buffer_size", "proxy_buffers",
    "proxy_busy_buffers_size", "chunked_transfer_encoding", "gzip", "access_log",
    "error_log", "proxy_set_header", "proxy_headers_hash_max_size", "keepalive",
    "proxy_headers_hash_bucket_size", "proxy_ssl_server_name", "proxy_socket_keepalive",
    "proxy_max_temp_file_size", "proxy_temp_file_write_size", "proxy_no_cache",
    "proxy_cache_bypass", "proxy_ssl_verify", "tcp_nodelay", "tcp_nopush", "location",
}  # fmt: skip
OWN = {"connection", "upgrade", "x-forwarded-for", "x-forwarded-proto"}
OWN |= {"x-forwarded-host", "accept-encoding"}
PROTECTION = re.compile(r"auth_|allow$|deny$|internal$|limit_except$|satisfy$")
PROTECTED = (
    "nginx protects it ({directive}), a route would not; take it over only if what is "
    "behind it may be open to all who reach Unbuffered"
)
HOST = {"$proxy_host": True, "$upstream_addr": True}
CLIENTS_HOST = ("$host", "$http_host", "$host:$server_port", "$host:$proxy_port")
TIME = re.compile(r"(\d+)(ms|s|m|h|d|)")
SIZE = re.compile(r"(\d+)([kKmMgG]?)")
SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
TIMES = {
    "proxy_connect_timeout": ("connect_timeout_seconds",),
    "proxy_read_timeout": ("first_byte_timeout_seconds", "idle_timeout_seconds"),
}


class NginxOptions:
    """Fills a draft from its location and from what that inherits."""

    def __init__(
        self, draft: Draft, location: Directive, above: list[Directive]
    ) -> None:
        self.draft = draft
        own = {each.name for each in location.block}
        # A level that has a directive inherits none of that name.
        inherited = [each for each in above if each.name not in own]
        self.directives = inherited + location.block

    def read(self, place: str) -> None:
        keys = self.draft.keys
        self.fields()
        for directive in self.directives:
            if directive.name in TIMES:
                self.time(directive)
                continue
            if directive.name in NEEDLESS or (
                directive.name in READERS and READERS[directive.name](self, directive)
            ):
                continue
            where = f"{place.partition(':')[0]}:{directive.line}"
            self.draft.lost.append(f"{where}: {directive}")
            if PROTECTION.match(directive.name) and directive.values != ["off"]:
                self.draft.inactive = PROTECTED.format(directive=directive)
        on = [d for d in self.directives if d.name == "proxy_buffering"]
        keys["held"] = not on or on[-1].values != ["off"]
        if str(keys["target"]).startswith("https:"):
            self.draft.notes.append(
                "nginx does not check certificates unless proxy_ssl_verify is on; "
                "here they are checked: verify and ca_file"
            )

    def fields(self) -> None:
        """`proxy_set_header`; Host is the target's, if nothing is said."""
        said: dict[str, str] = {}
        for directive in self.directives:
            if directive.name == "proxy_set_header" and len(directive.values) == 2:
                said[directive.values[0].lower()] = directive.values[1]
                self.field(*directive.values)
        host = said.get("host", "$proxy_host")
        if host not in CLIENTS_HOST:
            self.draft.keys["change_origin"] = True
        if host not in (*CLIENTS_HOST, *HOST) and "$" not in host:
            self.set_field("Host", host)
        if "upgrade" in said:
            self.draft.keys["ws"] = True

    def field(self, name: str, value: str) -> None:
        lower = name.lower()
        passed_on = f"$http_{lower.replace('-', '_')}"
        if lower in OWN | {"host"} or value == passed_on:
            return
        if "$" in value:
            advice = "; read X-Forwarded-For" if lower == "x-real-ip" else ""
            self.draft.lost.append(f"{name}: {value} is known to nginx only{advice}")
        elif not value:
            removed = self.draft.keys.setdefault("headers.request.remove", [])
            assert isinstance(removed, list)
            removed.append(name)
        else:
            self.set_field(name, value)

    def set_field(self, name: str, value: str, direction: str = "request") -> None:
        try:
            check_field_name(name)
        except ValueError as fault:
            self.draft.lost.append(f"{name}: {fault}")
            return
        known = self.draft.keys.setdefault(f"headers.{direction}.set", {})
        assert isinstance(known, dict)
        if SECRET.search(name) and direction == "request":
            variable = variable_name(self.draft.prefix, name)
            known[name] = Reference(variable)
            self.draft.notes.append(
                f"{name}: its value stays in the old file; "
                f"set the variable {variable} to it"
            )
        else:
            known[name] = value

    def time(self, directive: Directive) -> None:
        found = TIME.fullmatch(directive.values[0]) if directive.values else None
        for key in TIMES[directive.name] if found else ():
            assert found is not None
            self.draft.keys[key] = float(found[1]) * SECONDS[found[2]]
            self.draft.remarks[key] = str(directive)

    # -- one directive each; True: it is said by a key, or need not be said

    def client_max_body_size(self, directive: Directive) -> bool:
        found = SIZE.fullmatch(directive.values[0]) if directive.values else None
        if found is not None:
            size = int(found[1]) * BYTES[found[2].lower()]
            self.draft.keys["max_body_bytes"] = size
        return found is not None

    def add_header(self, directive: Directive) -> bool:
        if len(directive.values) < 2 or "$" in directive.values[1]:
            return False
        self.set_field(directive.values[0], directive.values[1], "response")
        return True

    def proxy_hide_header(self, directive: Directive) -> bool:
        removed = self.draft.keys.setdefault("headers.response.remove", [])
        assert isinstance(removed, list)
        removed.extend(directive.values)
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
        if len(directive.values) != 2 or any("$" in v for v in directive.values):
            return False
        if directive.values[0].startswith("~"):
            return False
        known = self.draft.keys.setdefault(key, {})
        assert isinstance(known, dict)
        known[directive.values[0]] = directive.values[1]
        if key == "cookie_path_rewrite":
            self.draft.remarks[key] = "nginx replaces the beginning of a path, this all"
        return True

    def rewrite(self, directive: Directive) -> bool:
        """`rewrite ^/api/(.*)$ /$1 break;`"""
        if len(directive.values) != 3 or directive.values[2] != "break":
            return False
        pattern, replacement, _ = directive.values
        if "path_rewrite" in self.draft.keys or "?" in replacement:
            return False
        if re.search(r"\$[a-z_]", replacement):
            return False
        # Here path and query are one text; a group that takes all takes both.
        if pattern.endswith("$") and not pattern.endswith((".*)$", ".+)$")):
            return False
        self.draft.keys["path_rewrite"] = {pattern: replacement}
        return True


READERS: dict[str, Callable[[NginxOptions, Directive], bool]] = {
    "client_max_body_size": NginxOptions.client_max_body_size,
    "add_header": NginxOptions.add_header,
    "proxy_hide_header": NginxOptions.proxy_hide_header,
    "proxy_redirect": NginxOptions.proxy_redirect,
    "proxy_cookie_path": NginxOptions.proxy_cookie_path,
    "proxy_cookie_domain": NginxOptions.proxy_cookie_domain,
    "rewrite": NginxOptions.rewrite,
}
