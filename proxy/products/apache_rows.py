"""Apache httpd: what it asks by HTTP, by FastCGI, or runs as a CGI program."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.fastcgi import BOTH, FLUSHED, PHP_BUFFERS, PHP_COMPRESSES
from proxy.products.hold_kind import CUT, HELD, Kind
from proxy.products.product import Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements
TODAY = "2026-11-30"  # of later ones

APACHE = (
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
            FLUSHED,
            "mod_proxy_fcgi collects what an application flushes, unless it is told to "
            f"pass every packet on; {BOTH}",
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
            when="it is compressed behind Apache httpd, of PHP not by ob_gzhandler and "
            "with output_buffering off",
            freed="Apache 2.4 with PHP 8.2 and flushpackets",
            on=TODAY,
        ),
        *(
            replace(
                cure,
                reason=f"{cure.reason}; `flushpackets=on` is needed too",
                when="it asks PHP by FastCGI",
                freed="PHP 8.2 behind Apache 2.4 with flushpackets",
                on=TODAY,
            )
            for cure in (PHP_BUFFERS, PHP_COMPRESSES)
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
            "httpd.conf, in the VirtualHost of the stream",
            "ProxyTimeout 3600\n# and no timeout= in ProxyPass or <Proxy>, which wins",
            "it times out after Timeout, 60 s by default",
            when="it has ProxyPass",
            freed="Apache 2.4",
            on=DAY,
            idle=True,
        ),
        Cure(
            CUT,
            "httpd.conf, in the VirtualHost of the stream",
            "CGIDScriptTimeout 3600s",
            "it gives up after Timeout, 60 s by default, on a program that is silent",
            when="it runs a CGI program by mod_cgid",
            freed="Apache 2.4",
            on=TODAY,
            idle=True,
        ),
    ),
)
