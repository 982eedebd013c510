"""Cures in what stands before an application: proxies, tunnels, clouds."""

from __future__ import annotations

from proxy.tools.doctor.cure import ANY, CUT, HEAD, HELD, Cure
from proxy.tools.doctor.verdict import Kind

SERVERS = (
    Cure(
        "nginx",
        HELD,
        "nginx.conf, in the location of the stream",
        "proxy_buffering off;",
        "it buffers by default, in blocks of one memory page. `X-Accel-Buffering: "
        "no` from the back end does the same, but only for the first nginx in the "
        "chain",
        tested="nginx 1.22",
    ),
    Cure(
        "nginx",
        HEAD,
        "nginx.conf, in the location of the stream",
        "proxy_buffering off;",
        "with buffering on, the response head waits for the first block",
    ),
    Cure(
        "nginx",
        CUT,
        "nginx.conf, in the location of the stream",
        "proxy_read_timeout 1h;",
        "it times out after 60 s of silence; or send a comment from the back end "
        "(`: ping`) every 15 s",
        tested="nginx 1.22",
    ),
    Cure(
        "ingress-nginx",
        ANY,
        "annotations of the Ingress",
        'nginx.ingress.kubernetes.io/proxy-buffering: "off"',
        "buffering has been switched on, here or in the ConfigMap",
        source="its documentation, annotations",
    ),
    Cure(
        "ingress-nginx",
        CUT,
        "annotations of the Ingress",
        'nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"',
        "it times out after 60 s of silence",
        source="its documentation, miscellaneous",
    ),
    Cure(
        "apache",
        (Kind.FIRST_LATE, Kind.AT_THE_END),
        "httpd.conf, if mod_security is loaded",
        "SecResponseBodyMimeTypesClear\n"
        "SecResponseBodyMimeType text/plain text/html text/xml",
        "ModSecurity buffers responses of these types up to SecResponseBodyLimit "
        "(512 KiB): leave text/event-stream out",
        tested="ModSecurity 2.9 in Apache 2.4",
    ),
    Cure(
        "apache",
        HELD,
        "httpd.conf",
        'SetEnvIf Request_URI "^/api" no-gzip no-brotli\n'
        'ProxyPass "/api" "fcgi://127.0.0.1:9000" flushpackets=on',
        "mod_proxy_http streams, even through mod_deflate; FastCGI and AJP buffer "
        "without flushpackets",
    ),
    Cure(
        "apache",
        CUT,
        "httpd.conf",
        "ProxyTimeout 3600",
        "it times out after Timeout, 60 s by default",
        tested="Apache 2.4",
    ),
    Cure(
        "caddy",
        HELD,
        "Caddyfile, in the reverse_proxy block",
        "flush_interval -1",
        "event streams and bodies of unknown length are flushed automatically; a "
        "body with Content-Length is buffered in blocks of 4 KiB",
        tested="Caddy 2.6",
    ),
    Cure(
        "caddy",
        HEAD,
        "Caddyfile",
        "@others not header Accept text/event-stream\nencode @others gzip",
        "`encode` holds the response head until the first body byte (fixed in later "
        "versions)",
        tested="Caddy 2.6",
    ),
    Cure(
        "haproxy",
        HELD,
        "haproxy.cfg, in defaults or in the backend",
        "option http-no-delay",
        "without it, the kernel waits up to 200 ms for more data before it sends",
        coded=False,
        tested="HAProxy 2.6",
    ),
    Cure(
        "haproxy",
        HELD,
        "haproxy.cfg, in defaults or in the backend",
        "option http-no-delay\n"
        "compression algo gzip\n"
        "compression type text/html text/css application/javascript",
        "its compressor holds each event until the next one arrives: leave "
        "text/event-stream out of `compression type`",
        coded=True,
        tested="HAProxy 2.6",
    ),
    Cure(
        "haproxy",
        CUT,
        "haproxy.cfg, in defaults",
        "timeout server 1h\ntimeout client 1h",
        "both are idle timeouts that also apply in the middle of a response; "
        "`timeout tunnel` is for WebSocket only",
        tested="HAProxy 2.6",
    ),
    Cure(
        "envoy",
        CUT,
        "the route, in its `route:`",
        "timeout: 0s\nidle_timeout: 3600s",
        "a route cuts every response 15 s after the request, and a silent stream "
        "after 5 minutes",
        tested="Envoy 1.40",
    ),
    Cure(
        "envoy",
        ANY,
        "http_filters",
        "# remove the filters that need a whole body:\n"
        "# envoy.filters.http.buffer, ext_proc and lua that read response bodies",
        "Envoy itself streams, also through its compressor",
    ),
    Cure(
        "traefik",
        HELD,
        "labels of the service",
        "traefik.http.middlewares.compress.compress.excludedcontenttypes="
        "text/event-stream\n"
        "traefik.http.services.app.loadbalancer.responseforwarding.flushinterval=-1",
        "its compressor also compresses event streams, and other bodies are flushed "
        "only every 100 ms",
    ),
    Cure(
        "traefik",
        CUT,
        "static configuration",
        "entryPoints:\n  web:\n    transport:\n      respondingTimeouts:\n"
        "        writeTimeout: 0s",
        "0s is the default: a limit on the duration of a whole response has been set",
    ),
    Cure(
        "cloudflare",
        ANY,
        "the response of the back end, and how the tunnel is started",
        "Content-Type: text/event-stream\nCache-Control: no-cache, no-transform",
        "other types may be buffered. A Quick Tunnel (trycloudflare.com) buffers "
        "every response to a GET (cloudflared #1449): use a named tunnel, or POST",
        source="cloudflared #199 and #1449",
    ),
    Cure(
        "cloudflare",
        CUT,
        "the back end",
        ": ping  (a comment, every 30 s)",
        "it times out after 100 s of silence, and only Enterprise plans can change "
        "that",
        source="its documentation, error 524",
    ),
    Cure(
        "aws-alb",
        CUT,
        "the load balancer",
        "aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN \\\n"
        "  --attributes Key=idle_timeout.timeout_seconds,Value=3600",
        "it cuts a stream after 60 s of silence; it never buffers responses of HTTP "
        "targets, only those of Lambda targets",
        source="its documentation, edit-load-balancer-attributes",
    ),
    Cure(
        "aws-alb",
        ANY,
        "the target group",
        "# a target of type instance or ip, not lambda",
        "a Lambda target returns a whole body; HTTP targets are streamed",
        source="its documentation, lambda-functions",
    ),
    Cure(
        "aws-api-gateway",
        (*ANY, Kind.CUT),
        "the integration of the REST API (OpenAPI)",
        "x-amazon-apigateway-integration:\n"
        "  type: http_proxy\n"
        "  responseTransferMode: STREAM\n"
        "  timeoutInMillis: 900000",
        "it buffers whole bodies, for 29 s at most, unless the mode is STREAM, "
        "which needs a REST API with a proxy integration. A stream ends after 15 "
        "minutes, or after 5 minutes of silence (30 s at an edge-optimized endpoint)",
        source="its documentation, response-transfer-mode",
    ),
    Cure(
        "iis",
        ANY,
        "an elevated prompt, and web.config",
        "appcmd.exe set config -section:system.webServer/proxy "
        "/responseBufferLimit:0 /commit:apphost\n"
        '<urlCompression doDynamicCompression="false" />',
        "ARR buffers up to 256 KiB of a response, and dynamic compression buffers more",
    ),
    Cure(
        "iis",
        CUT,
        "an elevated prompt",
        "appcmd.exe set config -section:system.webServer/proxy "
        "/timeout:01:00:00 /commit:apphost",
        "ARR times out after 120 s",
    ),
)
