"""What a server asks by FastCGI or uwsgi; each has settings of its own."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.hold_kind import HELD
from proxy.products.product import Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements

PHP_BUFFERS = Cure(
    HELD,
    "the PHP program, before its first output",
    "ini_set('zlib.output_compression', '0');\n"
    "while (ob_get_level()) ob_end_clean();\n"
    "ob_implicit_flush(true);",
    "`output_buffering`, `ob_start()` and `zlib.output_compression` keep what flush() "
    "is to send, and without flush() PHP keeps it itself",
    coded=False,
    freed="PHP 8.2",
    on=DAY,
)
PHP_COMPRESSES = replace(PHP_BUFFERS, coded=True)
BOTH = "where PHP buffers as well, its lines are needed too"
FLUSHED = 'ProxyPass "/api" "fcgi://127.0.0.1:9000" flushpackets=on'

FASTCGI = (
    row(
        "nginx-php",
        "PHP behind nginx",
        (FieldSign("x-powered-by", "php", beside=("server", "nginx")),),
        Cure(
            HELD,
            "nginx.conf, in the location of PHP",
            "fastcgi_buffering off;",
            "it buffers what comes by FastCGI as it does what it proxies, and PHP's "
            f"flush() does not reach through; {BOTH}",
            when="it has fastcgi_pass",
            freed="nginx 1.22 with PHP 8.2",
            on=DAY,
        ),
        Cure(
            HELD,
            "the PHP program, before its first output",
            "header('X-Accel-Buffering: no');",
            f"it switches the buffering of nginx off, FastCGI included; {BOTH}",
            coded=False,
            when="it has no fastcgi_ignore_headers for it",
            freed="nginx 1.22 with PHP 8.2",
            on=DAY,
        ),
    ),
    row(
        "nginx-uwsgi",
        "uWSGI behind nginx",
        (),
        Cure(
            HELD,
            "nginx.conf, in the location of the application",
            "uwsgi_buffering off;",
            "it buffers what comes by uwsgi_pass as it does what it proxies",
            freed="nginx 1.22 with uWSGI 2.0",
            on=DAY,
        ),
    ),
    row(
        "apache-php",
        "PHP behind Apache httpd",
        (FieldSign("x-powered-by", "php", beside=("server", "apache")),),
        Cure(
            HELD,
            "httpd.conf",
            FLUSHED,
            "mod_proxy_fcgi collects what PHP flushes, unless it is told to pass every "
            f"packet on; {BOTH}",
            when="it asks by FastCGI",
            freed="Apache 2.4 with PHP 8.2",
            on=DAY,
        ),
        ignores_fields=True,
    ),
)
