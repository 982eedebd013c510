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
LISTEN = "write host and port under [server]"

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
PROXY_KEYS = {
    "proxy_pass": 'write target = "http://host:port"',
    "reverse_proxy": 'write target = "http://host:port"',
    "url": 'write target = "http://host:port"',
    "upstream": 'write target = "http://host:port"',
    "to": 'write target = "http://host:port"',
    "upstreams": TARGETS,
    "targets": TARGETS,
    "servers": TARGETS,
    "load_balancer": TARGETS,
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
    "ssl_certificate": "write tls_certificate under [server]",
    "ssl_certificate_key": "write tls_key under [server]",
    "set_real_ip_from": 'write trusted_proxies = ["10.0.0.0/8"] under [server]',
    "client_max_body_size": "write max_body_bytes (a number of bytes)",
    "large_client_header_buffers": "write max_head_bytes under [server]",
    "worker_connections": "write max_connections under [server]",
    "access_log": "write access = true or access = false under [log]",
    "listen": LISTEN,
    "address": LISTEN,
    "entry_points": LISTEN,
    "server_name": "remove it: routes match the path only, not the host",
    "hosts": "remove it: routes match the path only, not the host",
}
# Time limits: the keys that take their place, and how many of their units a
# second has where they are numbers.
FIRST_AND_IDLE = ("first_byte_timeout_seconds", "idle_timeout_seconds")
TIMES: dict[str, tuple[tuple[str, ...], int]] = {
    "timeout": (("idle_timeout_seconds",), 1000),
    "proxy_timeout": (FIRST_AND_IDLE, 1000),
    "proxy_read_timeout": (FIRST_AND_IDLE, 1),
    "proxy_send_timeout": (("idle_timeout_seconds",), 1),
    "proxy_connect_timeout": (("connect_timeout_seconds",), 1),
    "read_timeout": (("idle_timeout_seconds",), 1),
    "dial_timeout": (("connect_timeout_seconds",), 1),
    "response_header_timeout": (("first_byte_timeout_seconds",), 1),
    "keepalive_timeout": (("keepalive_timeout_seconds",), 1),
    "client_header_timeout": (("head_timeout_seconds",), 1),
    "client_body_timeout": (("body_timeout_seconds",), 1),
}
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")


def advice(name: str, raw: object) -> str | None:
    """What to write instead of a key of another proxy and its value."""
    if name in TIMES:
        keys, per_second = TIMES[name]
        seconds = in_seconds(raw, per_second)
        value = "" if seconds is None else f" = {seconds:.15g}"
        return f"write {' or '.join(key + value for key in keys)} " + (
            "(in seconds, 0: no limit)"
        )
    return DEV_SERVER_KEYS.get(name) or PROXY_KEYS.get(name)


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
