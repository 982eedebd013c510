"""Proxies: what stands before an application on a machine of its owner."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.apache_rows import APACHE
from proxy.products.fastcgi import BOTH, PHP_BUFFERS
from proxy.products.hold_kind import ANY, CUT, HEAD, HELD, PACED, Kind
from proxy.products.nginx_rows import NGINX
from proxy.products.product import Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones
BY_ACCEPT = "the page asks by Accept: text/event-stream"
BY_TYPE = "encode gzip {\n  match {\n    header Content-Type text/html*\n  }\n}"
WITHOUT_EVENTS = "@others not header Accept text/event-stream\nencode @others gzip"

PROXIES = (
    row(
        "lighttpd",
        "lighttpd",
        (FieldSign("server", "lighttpd"),),
        Cure(
            HELD,
            "lighttpd.conf, and each of its conditions that sets it",
            "server.stream-response-body = 1",
            "it collects a whole response by default before it sends the first byte; "
            f"{BOTH}",
            freed="lighttpd 1.4",
            on=DAY,
        ),
        replace(
            PHP_BUFFERS,
            when="it has fastcgi.server to PHP",
            freed="PHP 8.2 behind lighttpd 1.4 with stream-response-body",
            on=TODAY,
        ),
        Cure(
            CUT,
            "lighttpd.conf, in each host of proxy.server",
            '"read-timeout" => 3600',
            "a limit on the silence of the back end has been set",
            when="a read-timeout is set",
            freed="lighttpd 1.4",
            on=DAY,
            idle=True,
        ),
        Cure(
            CUT,
            "lighttpd.conf",
            "server.max-write-idle = 36000",
            "it cuts a response in which nothing was sent for 6 minutes, by default",
            when="its read-timeout is longer, or not set",
            freed="lighttpd 1.4",
            on=TODAY,
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
            PACED,
            "h2o.conf, in the path of the stream",
            "compress: [gzip]",
            "with brotli, which `compress: ON` prefers, each event waits for the next "
            "one; gzip is flushed",
            coded=True,
            freed="h2o 2.2",
            on=DAY,
        ),
        Cure(
            CUT,
            "h2o.conf, in the path of the stream",
            "proxy.timeout.io: 3600000",
            "it times out after 30 s of silence by default; the value is in "
            "milliseconds",
            when="it has proxy.reverse.url",
            freed="h2o 2.2",
            on=DAY,
            idle=True,
        ),
        Cure(
            CUT,
            "h2o.conf, beside fastcgi.connect",
            "fastcgi.timeout.io: 3600000",
            "what comes by FastCGI has a timeout of its own, of 30 s",
            when="it has fastcgi.connect",
            freed="h2o 2.2 with PHP 8.2",
            on=TODAY,
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
        nameless=(Kind.AT_THE_END, Kind.FIRST_LATE),
    ),
    *NGINX,
    *APACHE,
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
            (Kind.AT_THE_END, Kind.FIRST_LATE),
            "Caddyfile, in the reverse_proxy block",
            "# without buffer_responses (since 2.7: response_buffers)\n"
            "flush_interval -1",
            "a whole response, or as much as max_buffer_size, is read before the first "
            "byte is sent",
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
            (Kind.AT_THE_END, Kind.BLOCKS),
            "Caddyfile",
            WITHOUT_EVENTS,
            "where the first piece has its `minimum_length`, 512 bytes by default, "
            "`encode` outputs nothing until its block is full",
            coded=True,
            event_stream=True,
            when=f"`encode` compresses it and {BY_ACCEPT}",
            freed="Caddy 2.6",
            on=TODAY,
        ),
        Cure(
            (Kind.AT_THE_END, Kind.BLOCKS),
            "Caddyfile",
            BY_TYPE,
            "with a list of the types that it may compress, a line each, it leaves all "
            "others as they are, whatever the page asks for",
            coded=True,
            when="`encode` compresses it",
            freed="Caddy 2.6",
            on=TODAY,
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
            WITHOUT_EVENTS,
            "`encode` holds the response head until the first body byte (fixed in "
            "later versions)",
            when=BY_ACCEPT,
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
