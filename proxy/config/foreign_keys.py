"""The keys that people bring along from other proxies, and what to write here.

Pure text, in snake case: `changeOrigin` is `change_origin` already. A key that
has a counterpart of the same name here needs no entry.
"""

from __future__ import annotations

import re

PREFIX = 'the prefix is the name of the route table: [routes."/prefix"]'
ROUTES = 'write one table [routes."/prefix"] for each target'
REDIRECTS = (
    "write redirect_rewrite = true: redirects get the scheme and host of the "
    "client's request"
)
OWN_TLS = "write tls_certificate and tls_key under [server]"
NOT_COMPRESSED = "remove it: responses are never compressed here"
NOT_HELD = "remove it: nothing is ever buffered here"
NO_FUNCTIONS = "remove it: a configuration cannot contain functions; see headers and "
SEE_LOG = "remove it: see [log]"
REWRITE = 'write path_rewrite = { "^/prefix" = "" }'
HOST = "write change_origin = true to send the target's host, false for the client's"
UNCHECKED = "write verify = false, or set ca_file to the CA certificate"
SET = 'write headers.request.set = { Name = "value" }'
ANSWER_SET = 'write headers.response.set = { Name = "value" }'
TARGETS = 'write target = ["http://one", "http://two"]'
BALANCE = 'write balance = "client", "header:NAME" or "cookie:NAME"'
HEARTBEAT = (
    "write heartbeat_seconds = 15 for heartbeats within streams, or "
    "upstream_keepalive_seconds for idle connections"
)
LISTEN = "write host and port under [server]"
TLS_VERSIONS = "remove it: TLS 1.2 and newer is spoken, with the ciphers of OpenSSL"

# webpack-dev-server, http-proxy-middleware, http-proxy and Vite
DEV_SERVER_KEYS = {
    "xfwd": "remove it: X-Forwarded-* fields are always sent (see trust_forwarded)",
    "secure": UNCHECKED,
    "compress": NOT_COMPRESSED,
    "compression": NOT_COMPRESSED,
    "buffer": NOT_HELD,
    "rewrite": REWRITE,
    "prefix": PREFIX,
    "context": PREFIX,
    "path_filter": PREFIX,
    "path": PREFIX,
    "router": ROUTES,
    "bypass": ROUTES,
    "auth": "write headers.request.set.Authorization",
    "follow_redirects": (
        "remove it: redirects go to the client; redirect_rewrite "
        "corrects those that point to the target"
    ),
    "auto_rewrite": "write redirect_rewrite = true",
    "host_rewrite": REDIRECTS,
    "protocol_rewrite": REDIRECTS,
    "rewrite_ws_origin": "write rewrite_origin = true",
    "web_socket": "write ws = true",
    "websocket": "write ws = true",
    "preserve_header_key_case": "remove it: field names keep their case",
    "prepend_path": "remove it: the path of the target always comes first",
    "ignore_path": 'write path_rewrite = { "^.*" = "" }',
    "self_handle_response": NO_FUNCTIONS + "path_rewrite",
    "configure": NO_FUNCTIONS + "path_rewrite",
    "on": NO_FUNCTIONS + "path_rewrite",
    "on_proxy_req": NO_FUNCTIONS + "path_rewrite",
    "on_proxy_res": NO_FUNCTIONS + "path_rewrite",
    "log_level": SEE_LOG,
    "logger": SEE_LOG,
    "log_provider": SEE_LOG,
    "https": OWN_TLS,
    "ssl": OWN_TLS,
    "tls": OWN_TLS,
    "cert": OWN_TLS,
    "proxy": 'write one table [routes."/prefix"] for each entry',
    "dev_server": 'write each of its proxy entries as a table [routes."/prefix"]',
}
# nginx, Caddy and Traefik
PROXY_KEYS: dict[str, str] = {
    "proxy_pass": 'write target = "http://host:port"',
    "reverse_proxy": 'write target = "http://host:port"',
    "url": 'write target = "http://host:port"',
    "upstream": 'write target = "http://host:port"',
    "to": 'write target = "http://host:port"',
    "upstreams": TARGETS,
    "targets": TARGETS,
    "servers": TARGETS,
    "load_balancer": TARGETS,
    "lb_policy": BALANCE,
    "ip_hash": 'write balance = "client"',
    "least_conn": "remove it: this is the default (balance)",
    "hash": BALANCE,
    "sticky": BALANCE,
    "sticky_sessions": BALANCE,
    "session_affinity": BALANCE,
    "affinity": BALANCE,
    "health_uri": 'write health_path = "/health"',
    "health_check": 'write health_path = "/health"',
    "health_checks": 'write health_path = "/health"',
    "location": PREFIX,
    "path_prefix": PREFIX,
    "rule": PREFIX,
    "handle_path": PREFIX,
    "proxy_buffering": NOT_HELD,
    "proxy_request_buffering": NOT_HELD,
    "proxy_cache": "remove it: nothing is ever cached here",
    "buffering": NOT_HELD,
    "flush_interval": "remove it: every piece is sent immediately",
    "proxy_buffer_size": "write max_response_head_bytes",
    "proxy_buffers": "write max_buffer_bytes",
    "gzip": NOT_COMPRESSED,
    "encode": NOT_COMPRESSED,
    "chunked_transfer_encoding": (
        "remove it: chunked encoding is used where it is needed"
    ),
    "proxy_http_version": "remove it: upstream requests always use HTTP/1.1",
    "proxy_set_header": SET,
    "header_up": SET,
    "custom_request_headers": SET,
    "add_header": ANSWER_SET,
    "header_down": ANSWER_SET,
    "custom_response_headers": ANSWER_SET,
    "proxy_hide_header": 'write headers.response.remove = ["Name"]',
    "pass_host_header": HOST,
    "preserve_host": HOST,
    "proxy_redirect": REDIRECTS,
    "proxy_cookie_domain": 'write cookie_domain_rewrite = { "old" = "new" }',
    "proxy_cookie_path": 'write cookie_path_rewrite = { "/old" = "/new" }',
    "strip_prefix": REWRITE,
    "strip_path": REWRITE,
    "replace_path_regex": REWRITE,
    "proxy_ssl_verify": "write verify = true or verify = false",
    "insecure_skip_verify": UNCHECKED,
    "tls_insecure_skip_verify": UNCHECKED,
    "proxy_ssl_trusted_certificate": "write ca_file",
    "root_cas": "write ca_file",
    "client_max_body_size": "write max_body_bytes (a number of bytes)",
    "large_client_header_buffers": "write max_head_bytes under [server]",
    "limit_conn": "write max_streams_per_client (it counts streams, not requests)",
    "limit_conn_zone": 'write client_by = "address"',
    **dict.fromkeys(("ping", "ping_seconds", "ping_interval", "sse_ping",
                     "keep_alive", "keep_alive_seconds", "keep_alive_interval",
                     "keepalive_interval", "keepalive_seconds"), HEARTBEAT),
    "worker_connections": "write max_connections under [server]",
    "max_conns": (
        "write max_streams_per_client in the route, or max_connections under [server]"
    ),
    "hsts": (
        "write headers.response.set = { Strict-Transport-Security = "
        '"max-age=31536000" } in [defaults] or a route'
    ),
    **dict.fromkeys(("ssl_protocols", "ssl_ciphers", "tls_protocols", "tls_ciphers",
                     "ssl_prefer_server_ciphers", "tls_min_version", "min_version",
                     "min_tls_version", "ssl_version", "ciphers", "cipher_suites"),
                    TLS_VERSIONS),
    "listen": LISTEN,
    "address": LISTEN,
    "entry_points": LISTEN,
}  # fmt: skip
# What no other proxy's key does here, and where it is done instead.
NOT_HERE = "not done here: "
IN_FRONT = "let the application do it, or a proxy in front, such as nginx or Caddy"
LOGIN = (
    NOT_HERE + "let the application do it, or a proxy in front, such as oauth2-proxy"
)
CACHE = NOT_HERE + "responses are never cached; " + IN_FRONT
FILES = NOT_HERE + "files are not served; route / to the dev server or to a file server"
RATES = (
    NOT_HERE + "requests are not counted per second; max_streams_per_client limits "
    "the streams of a client, a proxy in front can limit rates"
)
ACCESS = NOT_HERE + "let a firewall do it, or a proxy in front, such as nginx or Caddy"
CERTIFICATES = (
    NOT_HERE + "certificates are not ordered; certbot or acme.sh does it, then write "
    "tls_certificate and tls_key under [server]"
)
ANSWERS = NOT_HERE + "the proxy gives no answers of its own; " + IN_FRONT
OTHER_PROTOCOL = (
    NOT_HERE + "upstreams speak HTTP; keep nginx or Caddy before those that do not"
)
CODE = (
    NOT_HERE + "a configuration cannot contain code; the library (docs/library.md) "
    "runs the proxy inside a Python program"
)
RETRIES = (
    NOT_HERE + "a request that was sent is not repeated; connect_retry_seconds waits "
    "for an upstream that is down"
)
SERVICE = NOT_HERE + "the service manager does it (systemd, a container)"
TO_STREAM = (
    NOT_HERE + "logs go to standard output and error; redirect them, or let the "
    "service manager keep them"
)
ONE_FILE = NOT_HERE + "a configuration is one file"
NAMES = NOT_HERE + "the resolver of the system is used"
HTTP3 = NOT_HERE + "HTTP/1.1 and HTTP/2 are spoken; a proxy in front can offer HTTP/3"
CIRCUIT = (
    NOT_HERE + "health_path finds targets that fail, connect_retry_seconds waits for "
    "one that restarts"
)
BUNDLER = NOT_HERE + "it is a key of the dev server: keep it there"
NOT_DONE: dict[str, str] = {
    **dict.fromkeys(("auth_basic", "basic_auth", "basicauth", "auth_request", "jwt",
                     "oauth", "oauth2", "oidc", "forward_auth", "authentication",
                     "authorization", "api_key", "login", "users", "passwords",
                     "auth_basic_user_file"), LOGIN),
    **dict.fromkeys(("cache", "caching", "proxy_cache_path", "proxy_cache_valid",
                     "cache_control", "expires", "etag", "ttl", "max_age"), CACHE),
    **dict.fromkeys(("root", "alias", "index", "try_files", "static", "file_server",
                     "browse", "autoindex", "content_base", "public_path",
                     "public_dir", "error_page", "error_pages", "templates",
                     "history_api_fallback"), FILES),
    **dict.fromkeys(("limit_req", "limit_req_zone", "rate_limit", "ratelimit",
                     "rate_limiting", "throttle", "limit_rate", "rate",
                     "requests_per_second"), RATES),
    **dict.fromkeys(("allow", "deny", "allow_list", "deny_list", "whitelist",
                     "blacklist", "ip_allow_list", "ip_white_list", "geo", "waf",
                     "modsecurity", "block", "firewall"), ACCESS),
    **dict.fromkeys(("acme", "letsencrypt", "lets_encrypt", "auto_https", "certbot",
                     "cert_resolver", "certificates_resolvers", "on_demand_tls"),
                    CERTIFICATES),
    **dict.fromkeys(("return", "redirect", "redirects", "redir", "respond", "mock",
                     "cors", "cors_origins", "access_control_allow_origin",
                     "maintenance"), ANSWERS),
    **dict.fromkeys(("fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "grpc",
                     "php_fastcgi", "tcp", "udp", "stream", "protocol"),
                    OTHER_PROTOCOL),
    **dict.fromkeys(("lua", "script", "plugins", "plugin", "modules", "middlewares",
                     "middleware", "filters", "hooks", "rewrite_by_lua",
                     "access_by_lua", "wasm"), CODE),
    **dict.fromkeys(("retry", "retries", "max_retries", "proxy_next_upstream",
                     "lb_retries", "retry_on"), RETRIES),
    **dict.fromkeys(("user", "group", "daemon", "pid", "pid_file", "chroot"), SERVICE),
    **dict.fromkeys(("error_log", "log_file", "access_log_file", "file", "output",
                     "log_path"), TO_STREAM),
    **dict.fromkeys(("include", "import", "extends", "config", "env_file"), ONE_FILE),
    **dict.fromkeys(("resolver", "dns", "nameservers", "resolve"), NAMES),
    **dict.fromkeys(("http3", "quic", "alt_svc"), HTTP3),
    **dict.fromkeys(("circuit_breaker", "outlier_detection", "max_fails",
                     "fail_timeout", "passive_health_check", "fail_duration"), CIRCUIT),
    **dict.fromkeys(("hot", "open", "hmr", "live_reload", "client_log_level",
                     "dev_middleware", "watch_files", "allowed_hosts"), BUNDLER),
    "brotli": NOT_COMPRESSED,
    "zstd": NOT_COMPRESSED,
    "gzip_types": NOT_COMPRESSED,
    "mirror": NOT_HERE + "a request goes to one upstream only",
    "weight": NOT_HERE + "targets have no weights; balance chooses among them",
    "weights": NOT_HERE + "targets have no weights; balance chooses among them",
    "proxy_protocol": (
        NOT_HERE + "the address of a client comes from X-Forwarded-For: write "
        "trusted_proxies under [server]"
    ),
    "agent": NOT_HERE + "remove it: connections to upstreams are kept by themselves",
    "local_address": NOT_HERE + "the system chooses the address for an upstream",
    "methods": NOT_HERE + "routes match the path; the upstream refuses methods",
    "method": NOT_HERE + "routes match the path; the upstream refuses methods",
    "priority": NOT_HERE + "the longest prefix wins",
    "order": NOT_HERE + "the longest prefix wins",
    "regex": NOT_HERE + "prefixes are plain paths; path_rewrite takes patterns",
}  # fmt: skip
# Time limits: the keys that take their place, and how many of their units a
# second has where they are numbers; 0: some have seconds there, some milliseconds.
FIRST_AND_IDLE = ("first_byte_timeout_seconds", "idle_timeout_seconds")
IDLE = ("idle_timeout_seconds",)
CONNECT = ("connect_timeout_seconds",)
TIMES: dict[str, tuple[tuple[str, ...], int]] = {
    "timeout": (IDLE, 1000),
    "proxy_timeout": (FIRST_AND_IDLE, 1000),
    "socket_timeout": (IDLE, 1000),
    "proxy_read_timeout": (FIRST_AND_IDLE, 1),
    "proxy_send_timeout": (IDLE, 1),
    "proxy_connect_timeout": (CONNECT, 1),
    "read_timeout": (IDLE, 0),
    "dial_timeout": (CONNECT, 0),
    "connection_timeout": (CONNECT, 0),
    "response_header_timeout": (("first_byte_timeout_seconds",), 0),
    "headers_timeout": (("first_byte_timeout_seconds",), 1000),
    "keepalive_timeout": (("keepalive_timeout_seconds",), 1),
    "keep_alive_timeout": (("keepalive_timeout_seconds",), 1000),
    "client_header_timeout": (("head_timeout_seconds",), 1),
    "client_body_timeout": (("body_timeout_seconds",), 1),
}
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmg])(i?b)?|b)", re.IGNORECASE)
# The last word of a key that has its unit in its name.
TIME_WORDS = {
    **dict.fromkeys(("ms", "millis", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("minutes", "mins"), 60.0),
    "hours": 3600.0,
}
SIZE_WORDS = {"bytes": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20}
BOTH_FROM = 1000  # milliseconds: what is less may be meant as seconds


def advice(name: str, raw: object) -> str | None:
    """What to write instead of a key of another proxy and its value."""
    if name in TIMES:
        keys, per_second = TIMES[name]
        values = " or ".join(timed(key, raw, per_second) for key in keys)
        return f"write {values} (in seconds, 0: no limit)"
    return DEV_SERVER_KEYS.get(name) or PROXY_KEYS.get(name) or NOT_DONE.get(name)


def replaced(name: str) -> tuple[str, ...]:
    """Our time limits for one of another proxy."""
    return TIMES[name][0] if name in TIMES else ()


def timed(key: str, raw: object, per_second: int) -> str:
    """The key with its value; with two where the unit is not certain."""
    number = plain_number(raw)
    if number is None or per_second == 1 or not number:
        seconds = in_seconds(raw, per_second or 1)
        return key if seconds is None else f"{key} = {seconds:.15g}"
    milliseconds = f"{number / 1000:.15g}"
    if per_second and number >= BOTH_FROM:
        return f"{key} = {milliseconds}"
    return (
        f"{key} = {number:.15g} if it was in seconds, {key} = {milliseconds} if in "
        "milliseconds"
    )


def plain_number(raw: object) -> float | None:
    """A number that says no unit."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return float(raw)
    found = DURATION.fullmatch(raw.strip()) if isinstance(raw, str) else None
    return float(found[1]) if found and not found[2] else None


def in_unit(name: str, better: str, raw: object) -> str:
    """The better key with the value of `name` in its unit; "": that is not known."""
    last = name.rpartition("_")[2]
    number = plain_number(raw)
    if better.endswith("_seconds"):
        if last in TIME_WORDS and number is not None:
            return f"{better} = {number * TIME_WORDS[last]:.15g}"
        if isinstance(raw, str | int | float) and in_seconds(raw, 1) is not None:
            return timed(better, raw, 0)
    if better.endswith("_bytes"):
        if last in SIZE_WORDS and number is not None:
            return f"{better} = {number * SIZE_WORDS[last]:.15g}"
        size = in_bytes(raw)
        if size is not None:
            return f"{better} = {size}"
    return ""


def in_bytes(raw: object) -> int | None:
    """A size as others write it: "10m" as nginx, "10MiB", "10MB" (of 1000)."""
    found = SIZE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if found is None:
        return None
    number, letter, rest = found.groups()
    unit = (letter or "").lower()
    decimal = (rest or "").lower() == "b"
    factor = 1000 ** " kmg".index(unit) if decimal and unit else SIZES[unit]
    return round(float(number) * factor)


def in_seconds(raw: object, per_second: int) -> float | None:
    """A duration as other proxies write it: 30000, "60", "60s", "5m"."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return raw / per_second
    found = DURATION.fullmatch(raw.strip().lower()) if isinstance(raw, str) else None
    if found is None:
        return None
    number, unit = found.groups()
    return float(number) * UNITS[unit] if unit else float(number) / per_second
