"""Load balancers on a machine of their owner, and their timeouts."""

from __future__ import annotations

from proxy.products.hold_kind import ANY, CUT, HELD, PACED, Kind
from proxy.products.product import BACK_END, NO_TRANSFORM, Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones

LOAD_BALANCERS = (
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
            "haproxy.cfg, in place of each http-response wait-for-body",
            "option http-no-delay\n"
            "http-response wait-for-body time 30s "
            "unless { res.hdr(content-type) -m beg text/event-stream }",
            "`http-response wait-for-body` holds a response until it is whole, or has "
            "`at-least` so many bytes; without the first line events remain up to "
            "200 ms late",
            coded=False,
            freed="HAProxy 2.6",
            on=DAY,
        ),
        Cure(
            (Kind.DELAYED, Kind.RHYTHM, Kind.BURSTS),
            "haproxy.cfg, in each section that has a compression",
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
            (Kind.DELAYED, Kind.RHYTHM, Kind.BURSTS),
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
            "haproxy.cfg, in defaults, and wherever else one of the two is set",
            "timeout server 1h\ntimeout client 1h\n"
            "# and no http-request set-timeout, which wins",
            "`timeout server` is an idle timeout that also applies in the middle of a "
            "response",
            freed="HAProxy 2.6",
            on=DAY,
            idle=True,
        ),
        ignores_fields=True,
        nameless=(
            *(Kind.AT_THE_END, Kind.FIRST_LATE, Kind.CUT),
            *PACED,
        ),
    ),
    row(
        "nghttpx",
        "nghttpx",
        (FieldSign("server", "nghttpx"), FieldSign("via", "nghttpx")),
        Cure(
            CUT,
            "nghttpx.conf, and no read-timeout in its `backend` lines, which wins",
            "backend-read-timeout=1h",
            "it times out after 1 minute of silence by default",
            freed="nghttpx 1.52",
            on=TODAY,
            idle=True,
        ),
        passes="nghttpx 1.52",
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
            "timeout: 0s\nidle_timeout: 3600s\n"
            "max_stream_duration: {max_stream_duration: 0s}\n"
            "# and no per_try_timeout, no per_try_idle_timeout in its retry_policy\n"
            "# nor max_stream_duration in common_http_protocol_options of its cluster",
            "a route cuts every response 15 s after the request, and a silent stream "
            "after 5 minutes; a limit on each stream may have been set",
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
)
