"""Proxies: what stands before an application on a machine of its owner."""

from __future__ import annotations

from proxy.products.hold_kind import ANY, CUT, HEAD, HELD, OLD, UPGRADE, Kind
from proxy.products.product import BACK_END, NO_TRANSFORM, Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements

PROXIES = (
    row(
        "lighttpd",
        "lighttpd",
        (FieldSign("server", "lighttpd"),),
        Cure(
            HELD,
            "lighttpd.conf",
            "server.stream-response-body = 1",
            "it collects a whole response by default before it sends the first byte",
            freed="lighttpd 1.4",
            on=DAY,
        ),
        ignores_fields=True,
    ),
    row(
        "varnish",
        "Varnish",
        (FieldSign("via", "varnish"), FieldSign("x-varnish")),
        Cure(
            HELD,
            "the VCL, after the sub that sets do_stream or do_gzip",
            "sub vcl_backend_response {\n"
            '  if (beresp.http.Content-Type ~ "event-stream|ndjson") {\n'
            "    set beresp.do_stream = true;\n"
            "    set beresp.do_gzip = false;\n"
            "  }\n"
            "}",
            "as it comes it streams; `do_stream = false` fetches a whole response "
            "first, and `do_gzip` outputs nothing until the end",
            freed="Varnish 7.1",
            on=DAY,
        ),
        ignores_fields=True,
        passes_server=True,
    ),
    row(
        "squid",
        "Squid",
        (FieldSign("via", "squid"), FieldSign("server", "squid")),
        passes="Squid 5.7",
        passes_server=True,
    ),
    row(
        "h2o",
        "h2o",
        (FieldSign("server", "h2o"),),
        Cure(
            HELD,
            "h2o.conf",
            "compress: [gzip]",
            "with brotli, which `compress: ON` prefers, each event waits for the next "
            "one; gzip is flushed",
            coded=True,
            freed="h2o 2.2",
            on=DAY,
        ),
        passes="h2o 2.2",
    ),
    row(
        "mitmproxy",
        "mitmproxy",
        (FieldSign("server", "mitmproxy"), FieldSign("via", "mitmproxy")),
        Cure(
            HELD,
            "the command",
            "mitmdump --set stream_large_bodies=1",
            "it shows whole messages and so collects them; a body that is larger than "
            "this many bytes, or of unknown length, is streamed",
            freed="mitmproxy 8.1",
            on=DAY,
        ),
        ignores_fields=True,
    ),
    row(
        "traffic-server",
        "Apache Traffic Server",
        (FieldSign("via", "apachetrafficserver"), FieldSign("server", "ats/")),
        passes_server=True,
    ),
    row(
        "ingress-nginx",
        "ingress-nginx",
        # seconds; what ingress-nginx alone sends by default
        (FieldSign("strict-transport-security", "max-age=15724800"),),
        Cure(
            ANY,
            "annotations of the Ingress",
            'nginx.ingress.kubernetes.io/proxy-buffering: "off"',
            "buffering has been switched on, here or in the ConfigMap",
            source="its documentation, annotations",
        ),
        Cure(
            CUT,
            "annotations of the Ingress",
            'nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"',
            "it times out after 60 s of silence",
            source="its documentation, miscellaneous",
        ),
    ),
    row(
        "nginx",
        "nginx",
        (
            FieldSign("server", "nginx"),
            FieldSign("server", "openresty"),
        ),
        Cure(
            HELD,
            "nginx.conf, in the location of the stream",
            "proxy_buffering off;",
            "it buffers by default, in blocks of one memory page",
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            "X-Accel-Buffering: no",
            "it switches buffering off, but only in the first nginx of the chain",
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            OLD,
            "nginx.conf, in the location of the stream",
            "proxy_http_version 1.1;\nproxy_buffering off;",
            "it asks by HTTP/1.0 by default, and the hop behind it holds that",
            source="its documentation, proxy_http_version",
        ),
        Cure(
            HEAD,
            "nginx.conf, in the location of the stream",
            "proxy_buffering off;",
            "with buffering on, the response head waits for the first block",
        ),
        Cure(
            CUT,
            "nginx.conf, in the location of the stream",
            "proxy_read_timeout 1h;",
            "it times out after 60 s of silence; or send a comment from the back end "
            "(`: ping`) every 15 s",
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            UPGRADE,
            "nginx.conf, in the location of the WebSocket",
            "proxy_http_version 1.1;\n"
            "proxy_set_header Upgrade $http_upgrade;\n"
            'proxy_set_header Connection "upgrade";',
            "it asks by HTTP/1.0 and without Upgrade unless it is told to",
            freed="nginx 1.22",
            on=DAY,
        ),
    ),
    row(
        "apache",
        "Apache httpd",
        (FieldSign("server", "apache"),),
        Cure(
            (Kind.FIRST_LATE, Kind.AT_THE_END),
            "httpd.conf, if mod_security is loaded",
            "SecResponseBodyMimeTypesClear\n"
            "SecResponseBodyMimeType text/plain text/html text/xml",
            "ModSecurity buffers responses of these types up to SecResponseBodyLimit "
            "(512 KiB): leave text/event-stream out",
            freed="ModSecurity 2.9 in Apache 2.4",
            on=DAY,
        ),
        Cure(
            HELD,
            "httpd.conf",
            'ProxyPass "/api" "ajp://127.0.0.1:8009" flushpackets=on',
            "mod_proxy_http streams, even through mod_deflate; AJP buffers without "
            "flushpackets",
            source="its documentation, mod_proxy",
        ),
        Cure(
            CUT,
            "httpd.conf",
            "ProxyTimeout 3600",
            "it times out after Timeout, 60 s by default",
            freed="Apache 2.4",
            on=DAY,
        ),
    ),
    row(
        "caddy",
        "Caddy",
        (
            FieldSign("via", "caddy"),
            FieldSign("server", "caddy"),
        ),
        Cure(
            (Kind.BLOCKS,),
            "Caddyfile, in the reverse_proxy block",
            "flush_interval -1",
            "event streams and bodies of unknown length are flushed automatically; a "
            "body with Content-Length is buffered in blocks of 4 KiB",
            freed="Caddy 2.6",
            on=DAY,
        ),
        Cure(
            HEAD,
            "Caddyfile",
            "@others not header Accept text/event-stream\nencode @others gzip",
            "`encode` holds the response head until the first body byte (fixed in "
            "later versions)",
            freed="Caddy 2.6",
            on=DAY,
        ),
        passes_server=True,
    ),
    row(
        "haproxy",
        "HAProxy",
        (),
        Cure(
            (Kind.DELAYED, Kind.RHYTHM, Kind.BURSTS),
            "haproxy.cfg, in defaults or in the backend",
            "option http-no-delay",
            "without it, the kernel waits up to 200 ms for more data before it sends",
            coded=False,
            freed="HAProxy 2.6",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END, Kind.BLOCKS, Kind.FIRST_LATE),
            "haproxy.cfg, in the backend",
            "http-response wait-for-body time 30s "
            "unless { res.hdr(content-type) -m beg text/event-stream }",
            "`http-response wait-for-body` holds a response until it is whole, or its "
            "time is over",
            coded=False,
            freed="HAProxy 2.6",
            on=DAY,
        ),
        Cure(
            HELD,
            "haproxy.cfg, in defaults or in the backend",
            "option http-no-delay\n"
            "compression algo gzip\n"
            "compression type text/html text/css application/javascript",
            "its compressor holds each event until the next one arrives: leave "
            "text/event-stream out of `compression type`",
            coded=True,
            freed="HAProxy 2.6",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            NO_TRANSFORM,
            "its compressor leaves a response with `no-transform` as it is; `option "
            "http-no-delay` is needed all the same",
            coded=True,
            freed="HAProxy 2.6",
            on=DAY,
        ),
        Cure(
            CUT,
            "haproxy.cfg, in defaults",
            "timeout server 1h\ntimeout client 1h",
            "both are idle timeouts that also apply in the middle of a response; "
            "`timeout tunnel` is for WebSocket only",
            freed="HAProxy 2.6",
            on=DAY,
        ),
        ignores_fields=True,
    ),
    row(
        "envoy",
        "Envoy",
        (
            FieldSign("server", "envoy"),
            FieldSign("server", "istio-envoy"),
            FieldSign("x-envoy-upstream-service-time"),
        ),
        Cure(
            CUT,
            "the route, in its `route:`",
            "timeout: 0s\nidle_timeout: 3600s",
            "a route cuts every response 15 s after the request, and a silent stream "
            "after 5 minutes",
            freed="Envoy 1.40",
            on=DAY,
        ),
        Cure(
            ANY,
            "http_filters",
            "# remove the filters that need a whole body:\n"
            "# envoy.filters.http.buffer, ext_proc and lua that read response bodies",
            "Envoy itself streams, also through its compressor",
        ),
    ),
    row(
        "traefik",
        "Traefik",
        (),
        Cure(
            (Kind.AT_THE_END,),
            "labels of the service",
            "# remove the middleware that buffers whole responses:\n"
            "# traefik.http.middlewares.NAME.buffering.maxResponseBodyBytes",
            "its `buffering` reads a whole response before it sends the first byte",
            source="its documentation, buffering",
        ),
        Cure(
            HELD,
            "labels of the service",
            "traefik.http.middlewares.compress.compress.excludedcontenttypes="
            "text/event-stream\n"
            "traefik.http.services.app.loadbalancer.responseforwarding.flushinterval"
            "=-1",
            "its compressor also compresses event streams, and other bodies are "
            "flushed only every 100 ms",
        ),
        Cure(
            CUT,
            "static configuration",
            "entryPoints:\n  web:\n    transport:\n      respondingTimeouts:\n"
            "        writeTimeout: 0s",
            "0s is the default: a limit on the duration of a whole response has been "
            "set",
        ),
    ),
    row(
        "iis",
        "IIS with ARR",
        (
            FieldSign("server", "microsoft-iis"),
            FieldSign("x-powered-by", "arr/"),
        ),
        Cure(
            ANY,
            "an elevated prompt, and web.config",
            "appcmd.exe set config -section:system.webServer/proxy "
            "/responseBufferLimit:0 /commit:apphost\n"
            '<urlCompression doDynamicCompression="false" />',
            "ARR buffers up to 256 KiB of a response, and dynamic compression buffers "
            "more",
        ),
        Cure(
            CUT,
            "an elevated prompt",
            "appcmd.exe set config -section:system.webServer/proxy "
            "/timeout:01:00:00 /commit:apphost",
            "ARR times out after 120 s",
        ),
    ),
    row(
        "unbuffered",
        "Unbuffered",
        (FieldSign("via", "unbuffered"),),
    ),
)
