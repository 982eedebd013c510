"""nginx, and the Ingress that is made of it."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.fastcgi import BOTH, PHP_BUFFERS, PHP_COMPRESSES
from proxy.products.hold_kind import CUT, HEAD, HELD, OLD, STORED
from proxy.products.product import BACK_END, NO_STORE, Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones

NGINX = (
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
            when="it has no proxy_ignore_headers for it",
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
            when="nginx compresses or buffers it, and it has no proxy_ignore_headers "
            "for it",
            freed="nginx 1.22",
            on=DAY,
        ),
        Cure(
            HELD,
            "nginx.conf, in the location of the stream",
            "fastcgi_buffering off;\nuwsgi_buffering off;\nscgi_buffering off;",
            f"what comes by FastCGI, uwsgi or SCGI has a buffering of its own; {BOTH}",
            when="it has fastcgi_pass, uwsgi_pass or scgi_pass",
            freed="nginx 1.22 with PHP 8.2 and uWSGI 2.0",
            on=TODAY,
        ),
        Cure(
            HELD,
            "nginx.conf, in the location of the stream",
            'proxy_set_header Accept-Encoding "";',
            "an application that is asked for no compression does not compress",
            coded=True,
            when="it has proxy_pass, and it is compressed behind nginx",
            freed="nginx 1.22 before Rack::Deflater",
            on=DAY,
        ),
        Cure(
            HELD,
            "nginx.conf, in the location of PHP",
            'fastcgi_buffering off;\nfastcgi_param HTTP_ACCEPT_ENCODING "";',
            "what is asked for no compression does not compress",
            coded=True,
            when="PHP compresses by zlib.output_compression, not by ob_gzhandler, and "
            "its output_buffering is off",
            freed="nginx 1.22 with PHP 8.2",
            on=TODAY,
        ),
        *(
            replace(
                cure,
                reason=f"{cure.reason}; `fastcgi_buffering off` is needed too",
                when="it has fastcgi_pass to PHP",
                freed="PHP 8.2 behind nginx 1.22 with fastcgi_buffering off",
            )
            for cure in (PHP_BUFFERS, PHP_COMPRESSES)
        ),
        Cure(
            HEAD,
            "nginx.conf, beside proxy_pass in the location of the stream",
            "proxy_buffering off;",
            "where it buffers, the head waits for the first bytes of the body",
            when="it has proxy_pass",
            freed="nginx 1.22",
            on=TODAY,
            http1=True,
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
            "fastcgi_read_timeout 1h;\nuwsgi_read_timeout 1h;\nscgi_read_timeout 1h;",
            "what comes by FastCGI, uwsgi or SCGI has a timeout of its own, of 60 s",
            when="it has fastcgi_pass, uwsgi_pass or scgi_pass",
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
            when="it has proxy_cache",
            freed="nginx 1.22",
            on=TODAY,
        ),
        Cure(
            STORED,
            "nginx.conf, in the location of PHP",
            "fastcgi_cache off;\nfastcgi_buffering off;",
            "with fastcgi_cache it keeps what comes by FastCGI",
            when="it has fastcgi_cache",
            freed="nginx 1.22 with PHP 8.2",
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
)
