"""Proxies: what stands before an application on a machine of its owner."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.fastcgi import PHP_BUFFERS
from proxy.products.hold_kind import ANY, CUT, HEAD, HELD, OLD, STORED, Kind
from proxy.products.product import BACK_END, NO_STORE, Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones

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
        Cure(
            CUT,
            "lighttpd.conf, in each host of proxy.server",
            '"read-timeout" => 3600',
            "a limit on the silence of the back end has been set",
            freed="lighttpd 1.4",
            on=DAY,
            idle=True,
        ),
        ignores_fields=True,
        nameless=(Kind.AT_THE_END,),
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
        Cure(
            CUT,
            "h2o.conf",
            "proxy.timeout.io: 3600000",
            "it times out after 30 s of silence by default; the value is in "
            "milliseconds",
            freed="h2o 2.2",
            on=DAY,
            idle=True,
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
            "this many bytes is streamed",
            freed="mitmproxy 8.1",
            on=DAY,
        ),
        ignores_fields=True,
        nameless=(Kind.AT_THE_END,),
    ),
    row(
        "ingress-nginx",
        "ingress-nginx",
        # seconds; what ingress-nginx alone sends by default
        (FieldSign("strict-transport-security", "max-age=15724800"),),
        Cure(
            HELD,
            "annotations of the Ingress",
            'nginx.ingress.kubernetes.io/proxy-buffering: "off"',
            "buffering has been switched on, here or in the ConfigMap",
            source="its documentation, annotations",
        ),
        Cure(
            CUT,
            "annotations of the Ingress",
            'nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"',
            "it times out after 60 s of silence by default",
            source="its documentation, miscellaneous",
            idle=True,
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
            "nginx.conf, beside proxy_pass in the location of the stream",
            "proxy_buffering off;",
            "it buffers by default, in blocks of one memory page",
            coded=False,
            when="it has proxy_pass",
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            "X-Accel-Buffering: no",
            "it switches buffering off, but only in the first nginx of the chain",
            coded=False,
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            HELD,
            "nginx.conf, beside proxy_pass in the location of the stream",
            "proxy_buffering off;",
            "it buffers by default, in blocks of one memory page",
            coded=True,
            when="it has proxy_pass, and compresses or buffers it",
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            "X-Accel-Buffering: no",
            "it switches buffering off, but only in the first nginx of the chain",
            coded=True,
            when="nginx compresses or buffers it",
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            HELD,
            "nginx.conf, in the location of the stream",
            "fastcgi_buffering off;\nuwsgi_buffering off;",
            "what comes by FastCGI or uwsgi has a buffering of its own",
            when="it has fastcgi_pass or uwsgi_pass",
            freed="nginx 1.22 with PHP 8.2",
            on=DAY,
        ),
        Cure(
            HELD,
            "nginx.conf, in the location of the stream",
            'proxy_set_header Accept-Encoding "";\n'
            'fastcgi_param HTTP_ACCEPT_ENCODING "";',
            "an application that is asked for no compression does not compress; "
            "the second line is for fastcgi_pass",
            coded=True,
            when="it is compressed behind nginx",
            freed="nginx 1.22 before Rack::Deflater and PHP 8.2",
            on=DAY,
        ),
        replace(
            PHP_BUFFERS,
            when="it has fastcgi_pass to PHP",
            freed="PHP 8.2 behind nginx 1.22 with fastcgi_buffering off",
        ),
        Cure(
            OLD,
            "nginx.conf, in the location of the stream",
            "proxy_http_version 1.1;\nproxy_buffering off;",
            "it asks by HTTP/1.0 by default, and the hop behind it holds or refuses it",
            source="its documentation, proxy_http_version",
        ),
        Cure(
            CUT,
            "nginx.conf, in the location of the stream",
            "proxy_read_timeout 1h;",
            "it times out after 60 s of silence by default",
            when="it has proxy_pass",
            freed="nginx 1.22",
            on=DAY,
            idle=True,
        ),
        Cure(
            CUT,
            "nginx.conf, in the location of the stream",
            "fastcgi_read_timeout 1h;\nuwsgi_read_timeout 1h;",
            "what comes by FastCGI or uwsgi has a timeout of its own, of 60 s",
            when="it has fastcgi_pass or uwsgi_pass",
            freed="nginx 1.22 with PHP 8.2",
            on=TODAY,
            idle=True,
        ),
        Cure(
            STORED,
            "nginx.conf, in the location of the stream",
            "proxy_cache off;\nproxy_buffering off;",
            "with proxy_cache it keeps what the back end allows, or a "
            "proxy_cache_valid does",
            freed="nginx 1.22",
            on=TODAY,
        ),
        Cure(
            STORED,
            BACK_END,
            f"{NO_STORE}\nX-Accel-Buffering: no",
            "it keeps no such response, and does not buffer it",
            when="it has no proxy_ignore_headers",
            freed="nginx 1.22",
            on=TODAY,
        ),
    ),
    row(
        "apache",
        "Apache httpd",
        (FieldSign("server", "apache"),),
        Cure(
            (Kind.FIRST_LATE, Kind.AT_THE_END),
            "httpd.conf",
            "SecResponseBodyMimeTypesClear\n"
            "SecResponseBodyMimeType text/plain text/html text/xml",
            "ModSecurity buffers responses of these types up to SecResponseBodyLimit "
            "(512 KiB): leave text/event-stream out",
            when="mod_security is loaded",
            freed="ModSecurity 2.9 in Apache 2.4",
            on=DAY,
        ),
        Cure(
            HELD,
            "httpd.conf",
            'ProxyPass "/api" "fcgi://127.0.0.1:9000" flushpackets=on',
            "mod_proxy_fcgi collects what an application flushes, unless it is told to "
            "pass every packet on",
            coded=False,
            when="it asks by FastCGI",
            freed="Apache 2.4 with PHP 8.2",
            on=DAY,
        ),
        Cure(
            HELD,
            "httpd.conf",
            "RequestHeader unset Accept-Encoding",
            "an application that is asked for no compression does not compress; by "
            "mod_headers",
            coded=True,
            when="it is compressed behind Apache httpd",
            freed="Apache 2.4 with PHP 8.2 and flushpackets",
            on=TODAY,
        ),
        Cure(
            HELD,
            "httpd.conf",
            'ProxyPass "/api" "ajp://127.0.0.1:8009" flushpackets=on',
            "mod_proxy_http streams, even through mod_deflate; AJP buffers without "
            "flushpackets",
            when="it asks by AJP",
            source="its documentation, mod_proxy",
        ),
        Cure(
            HELD,
            "httpd.conf, in the location of the stream",
            "# without the filter, such as SetOutputFilter with ExtFilterDefine",
            "a program behind ExtFilterDefine outputs nothing until its own buffer is "
            "full",
            when="a filter changes the body",
        ),
        Cure(
            CUT,
            "httpd.conf",
            "ProxyTimeout 3600\n# and no timeout= in ProxyPass or <Proxy>, which wins",
            "it times out after Timeout, 60 s by default",
            freed="Apache 2.4",
            on=DAY,
            idle=True,
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
            when="the back end sends a Content-Length",
            freed="Caddy 2.6",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END,),
            "Caddyfile, in the reverse_proxy block",
            "# without buffer_responses (since 2.7: response_buffers)\n"
            "flush_interval -1",
            "both read a whole response before the first byte is sent",
            when="Caddy is told to buffer",
            freed="Caddy 2.6",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END,),
            "Caddyfile, in the reverse_proxy block",
            "flush_interval -1",
            "a body with Content-Length is buffered in blocks of 4 KiB, and a shorter "
            "one to its end",
            when="the back end sends a Content-Length",
            freed="Caddy 2.6",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END,),
            "Caddyfile",
            "@pages not header Accept text/event-stream\ntemplates @pages",
            "`templates` reads a whole response",
            when="`templates` is in use",
            source="its documentation, templates",
        ),
        Cure(
            CUT,
            "Caddyfile, in the reverse_proxy block",
            "transport http {\n  read_timeout 1h\n}",
            "a limit on the silence of the back end has been set; the stream then ends "
            "as if it were complete",
            when="it is cut after a silence",
            freed="Caddy 2.6",
            on=DAY,
            idle=True,
        ),
        Cure(
            CUT,
            "Caddyfile, in the global options",
            "servers {\n  timeouts {\n    write 0\n  }\n}",
            "a limit on the whole response has been set",
            when="it is cut some time after the request",
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
            idle=True,
        ),
    ),
    row(
        "unbuffered",
        "Unbuffered",
        (FieldSign("via", "unbuffered"),),
    ),
)
