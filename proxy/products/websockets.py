"""WebSockets: which products do not open them, or cut them, and what helps there.

What passes them on passes their bytes: no proxy in the table holds a message.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.products.hold_kind import CUT, HELD, UPGRADE
from proxy.products.product import Cure

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones

PASS_ON = Cure(
    UPGRADE,
    "each hop before the back end",
    "Connection: upgrade\nUpgrade: websocket",
    "these fields are for one connection only: many proxies pass them on only if they "
    "are told to, often by a switch for WebSockets (`ws: true`)",
)
MESSAGES = Cure(
    HELD,
    "the back end, or the gateway that reads its messages",
    "# send each message when it is there; without permessage-deflate, to find out",
    "proxies pass the bytes of a WebSocket on as they come: what holds messages "
    "collects them before they are sent, or compresses without flushing",
    websocket=True,
)


def upgraded(where: str, lines: str, reason: str, freed: str, on: str = DAY) -> Cure:
    """A WebSocket that was not opened is."""
    return Cure(UPGRADE, where, lines, reason, freed=freed, on=on, websocket=True)


def kept(where: str, lines: str, reason: str, freed: str) -> Cure:
    """A silent one is not cut."""
    return Cure(CUT, where, lines, reason, freed=freed, on=DAY, websocket=True)


WEBSOCKETS: dict[str, tuple[Cure, ...]] = {
    "nginx": (
        upgraded(
            "nginx.conf, in the location of the WebSocket",
            "proxy_http_version 1.1;\n"
            "proxy_set_header Upgrade $http_upgrade;\n"
            'proxy_set_header Connection "upgrade";',
            "it asks by HTTP/1.0 and without Upgrade unless it is told to",
            "nginx 1.22",
        ),
        kept(
            "nginx.conf, in the location of the WebSocket",
            "proxy_read_timeout 1h;",
            "it times out after 60 s without a byte from the back end, by default",
            "nginx 1.22",
        ),
    ),
    "apache": (
        upgraded(
            "httpd.conf",
            'ProxyPass "/api" "http://127.0.0.1:8000/api" upgrade=websocket',
            "since 2.4.47 mod_proxy_http opens WebSockets, if it is told to; before, "
            "mod_proxy_wstunnel and a ProxyPass to ws:// did",
            "Apache 2.4",
        ),
    ),
    "haproxy": (
        kept(
            "haproxy.cfg, in defaults, and wherever else it is set",
            "timeout tunnel 1h",
            "it is the idle timeout of a WebSocket; without it those of a response "
            "apply, `timeout server` and `timeout client`",
            "HAProxy 2.6",
        ),
    ),
    "varnish": (
        upgraded(
            "the VCL, before any other sub vcl_recv",
            "sub vcl_recv {\n"
            '  if (req.http.upgrade ~ "(?i)websocket") {\n'
            "    return (pipe);\n"
            "  }\n"
            "}\n"
            "sub vcl_pipe {\n"
            "  if (req.http.upgrade) {\n"
            "    set bereq.http.upgrade = req.http.upgrade;\n"
            "    set bereq.http.connection = req.http.connection;\n"
            "  }\n"
            "}",
            "it passes Upgrade on only in a pipe; the parameter pipe_timeout (60 s) "
            "cuts a silent one",
            "Varnish 7.1",
        ),
    ),
    "lighttpd": (
        upgraded(
            "lighttpd.conf",
            'proxy.header = ("upgrade" => "enable")',
            "mod_proxy passes Upgrade on only if it is told to",
            "lighttpd 1.4",
        ),
    ),
    "squid": (
        upgraded(
            "squid.conf",
            "http_upgrade_request_protocols websocket allow all",
            "it passes no Upgrade on unless the protocol is allowed",
            "Squid 5.7",
        ),
    ),
    "h2o": (
        upgraded(
            "h2o.conf",
            "proxy.websocket: ON",
            "it passes Upgrade on only if it is told to",
            "h2o 2.2",
        ),
        kept(
            "h2o.conf, in the path of the WebSocket",
            "proxy.websocket: ON\nproxy.websocket.timeout: 3600000",
            "it times out after 5 minutes of silence by default; the value is in "
            "milliseconds",
            "h2o 2.2",
        ),
    ),
    "envoy": (
        upgraded(
            "the route, in its `route:`",
            "upgrade_configs:\n- upgrade_type: websocket",
            "it answers an Upgrade with 403 unless it is allowed",
            "Envoy 1.40",
        ),
    ),
    "vite": (
        upgraded(
            "vite.config.js",
            "server: {\n"
            "  proxy: {\n"
            "    '/api': { target: 'http://localhost:8000', ws: true },\n"
            "  },\n"
            "},",
            "without `ws: true` it leaves a handshake for a proxied path unanswered",
            "Vite 8.3",
            TODAY,
        ),
    ),
    "webpack-dev-server": (
        upgraded(
            "webpack.config.js (vue.config.js)",
            "devServer: {\n"
            "  proxy: [{\n"
            "    context: ['/api'],\n"
            "    target: 'http://localhost:8000',\n"
            "    ws: true,\n"
            "  }],\n"
            "},",
            "without `ws: true` it leaves a handshake for a proxied path unanswered",
            "webpack-dev-server 6.1",
            TODAY,
        ),
    ),
}


def websockets_at(key: str) -> tuple[Cure, ...]:
    """What helps at a product."""
    return tuple(replace(cure, product=key) for cure in WEBSOCKETS.get(key, ()))
