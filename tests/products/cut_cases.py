"""What cuts a stream, or the silence in it, and the lines that end that."""

from __future__ import annotations

from proxy.tools.doctor.verdict import Kind
from tests.products.case import LONG, SILENT, Case

UPGRADED = (
    "proxy_http_version 1.1;\n"
    "proxy_set_header Upgrade $http_upgrade;\n"
    'proxy_set_header Connection "upgrade";'
)
HOST = (
    "ProxyTimeout 2\n"
    "<VirtualHost *:*>\n{}\nProxyPass / http://127.0.0.1:8000/\n</VirtualHost>"
)
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
CLUSTER = f"""------
typed_extension_protocol_options:
  {OPTIONS}:
    "@type": type.googleapis.com/{OPTIONS}
    common_http_protocol_options: {{max_stream_duration: 2s}}
    explicit_http_config: {{http_protocol_options: {{}}}}
"""
IMPATIENT = "sub vcl_backend_fetch {\n  set bereq.between_bytes_timeout = 2s;\n}"

CUTS = (
    Case("nginx-cut", "nginx", SILENT, Kind.CUT, base="proxy_buffering off;",
         fault="proxy_read_timeout 2s;"),
    Case("nginx-pings", "nginx", SILENT, Kind.CUT, base="proxy_buffering off;",
         fault="proxy_read_timeout 2s;", cure=2),
    Case("nginx-php-cut", "nginx-php", "steady&count=3&every=3", Kind.CUT, cure=1,
         base="fastcgi_buffering off;", fault="fastcgi_read_timeout 2s;",
         recognised="nginx"),
    Case("h2o-php-cut", "h2o-php", "steady&count=3&every=3", Kind.CUT, cure=1,
         fault="fastcgi.timeout.io: 2000", recognised="h2o"),
    Case("nginx-websocket", "nginx", SILENT, Kind.CUT, base=UPGRADED,
         fault="proxy_read_timeout 2s;", scheme="ws"),
    Case("nginx-frames", "nginx", SILENT, Kind.CUT, base=UPGRADED,
         fault="proxy_read_timeout 2s;", scheme="ws", cure=1),
    Case("next-cut", "next", SILENT, Kind.CUT,
         fault="module.exports = { experimental: { proxyTimeout: 2000 } };",
         fields=("Cache-Control: no-transform",)),
    Case("haproxy-cut", "haproxy", SILENT, Kind.CUT, base="option http-no-delay",
         fault="timeout server 2s"),
    Case("haproxy-pings", "haproxy", SILENT, Kind.CUT, base="option http-no-delay",
         fault="timeout server 2s", cure=1),
    Case("haproxy-request-cut", "haproxy", SILENT, Kind.CUT,
         place="option http-no-delay---{}",
         fault="http-request set-timeout server 2s"),
    Case("haproxy-websocket", "haproxy", SILENT, Kind.CUT, base="timeout server 2s",
         scheme="ws"),
    Case("haproxy-frames", "haproxy", SILENT, Kind.CUT, base="timeout server 2s",
         scheme="ws", cure=1),
    Case("h2o-pings", "h2o", SILENT, Kind.CUT, fault="proxy.timeout.io: 2000", cure=2),
    Case("h2o-websocket", "h2o", SILENT, Kind.CUT, scheme="ws",
         place="proxy.websocket: ON\nproxy.websocket.timeout: 2000---{}"),
    Case("h2o-frames", "h2o", SILENT, Kind.CUT, scheme="ws", cure=1,
         fault="proxy.websocket: ON\nproxy.websocket.timeout: 2000"),
    Case("apache-pings", "apache", SILENT, Kind.CUT, fault="ProxyTimeout 2", cure=2),
    Case("apache-cut", "apache", SILENT, Kind.CUT, fault="ProxyTimeout 2"),
    Case("apache-host-cut", "apache", SILENT, Kind.CUT, place=HOST),
    Case("apache-cgi-cut", "apache-cgi", SILENT, Kind.CUT, base="Timeout 2", cure=1,
         recognised="apache"),
    Case("gunicorn-cut", "gunicorn", "silent&silent=2", Kind.CUT,
         fault="gunicorn app:app --timeout 1"),
    Case("nghttpx-cut", "nghttpx", SILENT, Kind.CUT, fault="backend-read-timeout=2s"),
    Case("nghttpx-pings", "nghttpx", SILENT, Kind.CUT, cure=1,
         fault="backend-read-timeout=2s"),
    Case("envoy-cut", "envoy", SILENT, Kind.CUT, fault="timeout: 2s"),
    Case("http-proxy-cut", "http-proxy", SILENT, Kind.CUT,
         fault="createProxyServer({ proxyTimeout: 2000 });",
         recognised="http-proxy-3"),
    Case("caddy-write-cut", "caddy", LONG, Kind.CUT, place="------{}", cure=1,
         fault="servers {\n timeouts {\n  write 2s\n }\n}"),
    Case("caddy-silence-cut", "caddy", SILENT, Kind.CUT, place="---{}",
         fault="transport http {\n read_timeout 2s\n}"),
    Case("lighttpd-cut", "lighttpd", "silent&silent=8", Kind.CUT, place="{}---"
         "server.stream-response-body = 1", fault='"read-timeout" => 2'),
    Case("lighttpd-write-cut", "lighttpd", "silent&silent=8", Kind.CUT, cure=1,
         base="server.stream-response-body = 1", fault="server.max-write-idle = 2"),
    Case("varnish-cut", "varnish", SILENT, Kind.CUT, fault=IMPATIENT),
    Case("varnish-parameter-cut", "varnish", SILENT, Kind.CUT,
         place="{}----p between_bytes_timeout=2"),
    Case("varnish-send-cut", "varnish", LONG, Kind.CUT, cure=1,
         place="{}----p send_timeout=2"),
    Case("squid-cut", "squid", SILENT, Kind.CUT, fault="read_timeout 2 seconds"),
    Case("squid-whole-cut", "squid", LONG, Kind.CUT, cure=1,
         fault="client_lifetime 2 seconds"),
    Case("h2o-cut", "h2o", SILENT, Kind.CUT, place="proxy.timeout.io: 2000---{}"),
    Case("envoy-duration", "envoy", LONG, Kind.CUT,
         fault="timeout: 0s\nmax_stream_duration: {max_stream_duration: 2s}"),
    Case("envoy-cluster", "envoy", LONG, Kind.CUT, fault=f"timeout: 0s\n{CLUSTER}"),
)  # fmt: skip
