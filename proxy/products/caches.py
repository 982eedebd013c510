"""Caches that stand before an application."""

from __future__ import annotations

from proxy.products.hold_kind import CUT, HELD, STORED
from proxy.products.product import BACK_END, NO_STORE, Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones

CACHES = (
    row(
        "varnish",
        "Varnish",
        (FieldSign("via", "varnish"), FieldSign("x-varnish")),
        Cure(
            HELD,
            "the VCL, after the sub that sets do_stream, do_gzip or do_esi",
            "sub vcl_backend_response {\n"
            '  if (beresp.http.Content-Type ~ "event-stream|ndjson") {\n'
            "    set beresp.do_stream = true;\n"
            "    set beresp.do_gzip = false;\n"
            "    set beresp.do_esi = false;\n"
            "  }\n"
            "}",
            "as it comes it streams; `do_stream = false` fetches a whole response "
            "first, and `do_gzip` and `do_esi` output nothing until the end",
            freed="Varnish 7.1",
            on=DAY,
        ),
        Cure(
            CUT,
            "the VCL, where no other line sets it",
            "sub vcl_backend_fetch {\n  set bereq.between_bytes_timeout = 1h;\n}",
            "it times out after 60 s of silence by default",
            when="it is cut after a silence",
            freed="Varnish 7.1",
            on=DAY,
            idle=True,
        ),
        Cure(
            CUT,
            "the VCL",
            "sub vcl_deliver {\n  set sess.send_timeout = 1d;\n}",
            "send_timeout is for a whole response, 10 minutes by default",
            when="it is cut some time after the request",
            freed="Varnish 7.1",
            on=TODAY,
        ),
        Cure(
            STORED,
            "the VCL, before any other sub vcl_recv",
            'sub vcl_recv {\n  if (req.url ~ "^/api") {\n    return (pass);\n  }\n}',
            "it keeps what the back end does not forbid to keep, for 120 s by default",
            freed="Varnish 7.1",
            on=TODAY,
        ),
        Cure(
            STORED,
            BACK_END,
            NO_STORE,
            "it keeps no such response",
            when="no VCL sets beresp.ttl",
            freed="Varnish 7.1",
            on=TODAY,
        ),
        ignores_fields=True,
        passes_server=True,
    ),
    row(
        "squid",
        "Squid",
        (FieldSign("via", "squid"), FieldSign("server", "squid")),
        Cure(
            CUT,
            "squid.conf",
            "read_timeout 1 hour",
            "it times out after 15 minutes of silence by default",
            when="it is cut after a silence",
            freed="Squid 5.7",
            on=DAY,
            idle=True,
        ),
        Cure(
            CUT,
            "squid.conf",
            "client_lifetime 7 days",
            "it is a limit on the whole connection of a client, 1 day by default",
            when="it is cut some time after the request",
            freed="Squid 5.7",
            on=TODAY,
        ),
        passes="Squid 5.7",
        passes_server=True,
    ),
    row(
        "traffic-server",
        "Apache Traffic Server",
        (FieldSign("via", "apachetrafficserver"), FieldSign("server", "ats/")),
        passes_server=True,
    ),
)
