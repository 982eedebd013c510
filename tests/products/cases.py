"""What each product does to a stream, and the printed cure that removes it.

One table for the live tests and for the recorded traces.
"""

from __future__ import annotations

from proxy.tools.doctor.verdict import Kind
from tests.products.case import (
    FAST,
    LATE,
    LATE_LINES,
    QUICK,
    SHORT,
    STEADY,
    TEXT,
    Case,
)
from tests.products.cut_cases import CUTS

GZIP = "gzip on; gzip_types text/event-stream; gzip_min_length 1; gzip_proxied any;"
SECURITY = """
SecRuleEngine On
SecResponseBodyAccess {access}
SecResponseBodyLimit {limit}
SecResponseBodyLimitAction ProcessPartial
"""
POOL = "\n".join(
    (
        "delay_pools 1",
        "delay_class 1 1",
        "delay_access 1 allow all",
        "delay_parameters 1 3000/3000",
    )
)
READ = "SecResponseBodyMimeType text/event-stream"
FIRST = SECURITY.format(access="On", limit=1000)
POSTED = SECURITY.format(access="Off", limit=1000) + (
    'SecRule REQUEST_METHOD "@streq POST" '
    '"id:1,phase:1,pass,nolog,ctl:responseBodyAccess=On"'
)
WHOLE = """
class Whole(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        answer = await call_next(request)
        body = b"".join([piece async for piece in answer.body_iterator])
        return Response(body, headers=dict(answer.headers))

app.add_middleware(Whole)
"""
BLOCKING = """
def events(request):
    return StreamingHttpResponse(blocking(), content_type="text/event-stream")
"""
ENVOY = "type.googleapis.com/envoy.extensions"
COMPRESSOR = f"""
- name: envoy.filters.http.compressor
  typed_config:
    "@type": {ENVOY}.filters.http.compressor.v3.Compressor
    response_direction_config:
      common_config: {{min_content_length: 10, content_type: [text/event-stream]}}
    compressor_library:
      name: gzip
      typed_config:
        "@type": {ENVOY}.compression.gzip.compressor.v3.Gzip
"""


FETCHED = "sub vcl_backend_response {\n  set beresp.do_stream = false;\n}"
GZIPPED = "sub vcl_backend_response {\n  set beresp.do_gzip = true;\n}"
VIEW = """
def events(request):
    return StreamingHttpResponse(generate(), content_type="text/event-stream")
"""
ESI = "sub vcl_backend_response {\n  set beresp.do_esi = true;\n}"
KEPT = "proxy_cache kept;"
PHP_KEPT = "fastcgi_cache php; fastcgi_cache_key $request_uri; fastcgi_cache_valid 1m;"
KEEP = ("Cache-Control: max-age=60",)
STREAMED = 'app.config["COMPRESS_STREAMS"] = False'
READS = """
@app.after_request
def after(response):
    response.headers["X-Length"] = str(len(response.get_data()))
    return response
"""
TEXT_OF_ALL = """
body = b"".join([piece async for piece in generate()])
return web.Response(body=body, content_type="text/event-stream")
"""
AWAITING = VIEW.replace("generate", "awaiting")
PHP_ZLIB = "---php_flag[zlib.output_compression] = on"
FLUSHED = 'ProxyPass "/api" "fcgi://127.0.0.1:9000" flushpackets=on'
PHP_OUTPUT = "---php_admin_value[output_buffering] = 4096"
UNFLUSHED = FLUSHED.removesuffix(" flushpackets=on")
ENCODED = "encode gzip {\n minimum_length 1\n}"
OB_GZIP = "ob_start('ob_gzhandler');\n"
UNSYNCED = "use Rack::Deflater, sync: false"

CASES = (
    Case("nginx-blocks", "nginx", FAST, Kind.BLOCKS),
    Case("nginx-post", "nginx", FAST, Kind.BLOCKS, method="POST"),
    Case("nginx-at-the-end", "nginx", STEADY, Kind.AT_THE_END),
    Case("nginx-field", "nginx", FAST, Kind.BLOCKS, cure=1),
    Case("nginx-gzip", "nginx", FAST, Kind.AT_THE_END, base=GZIP, coded=True),
    Case("nginx-gzip-field", "nginx", FAST, Kind.AT_THE_END, base=GZIP, coded=True,
         cure=1),
    Case("nginx-rate", "nginx", FAST, Kind.RHYTHM, base="limit_rate 3k;"),
    Case("nginx-upgrade", "nginx", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("nginx-head", "nginx", LATE, Kind.HEAD_LATE, base="proxy_http_version 1.1;"),
    Case("nginx-http2-hello", "nginx-http2", LATE, Kind.HEAD_LATE, scheme="https",
         base="proxy_buffering off;", recognised="nginx", cure=1),
    Case("nginx-http2-empty-line", "nginx-http2", LATE_LINES, Kind.HEAD_LATE, cure=2,
         base="proxy_buffering off;", recognised="nginx", scheme="https"),
    Case("caddy-length", "caddy", "length&size=3000&count=10", Kind.BLOCKS,
         place="---{}"),
    Case("caddy-short", "caddy", "length&size=300&count=10", Kind.AT_THE_END,
         place="---{}", cure=1),
    Case("caddy-encode", "caddy", LATE, Kind.HEAD_LATE, fault="encode gzip",
         place="{}---"),
    Case("caddy-hello", "caddy", LATE, Kind.HEAD_LATE, base="encode gzip",
         place="{}---", cure=1),
    Case("caddy-empty-line", "caddy", LATE_LINES, Kind.HEAD_LATE, base="encode gzip",
         place="{}---", cure=2),
    Case("haproxy-late", "haproxy", STEADY, Kind.DELAYED),
    Case("haproxy-rhythm", "haproxy", FAST, Kind.RHYTHM),
    Case("haproxy-gzip", "haproxy", STEADY, Kind.DELAYED, coded=True,
         fault="option http-no-delay\ncompression algo gzip\n"
         "compression type text/event-stream"),
    Case("haproxy-gzip-field", "haproxy", STEADY, Kind.DELAYED, coded=True, cure=1,
         base="option http-no-delay",
         fault="compression algo gzip\ncompression type text/event-stream"),
    Case("varnish-upgrade", "varnish", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("lighttpd-upgrade", "lighttpd", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("squid-upgrade", "squid", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("h2o-upgrade", "h2o", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("apache-upgrade", "apache", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("apache-rate", "apache", FAST, Kind.RHYTHM, cure=2,
         base="SetOutputFilter RATE_LIMIT\nSetEnv rate-limit 4"),
    Case("squid-rate", "squid", FAST, Kind.RHYTHM, base=POOL),
    Case("apache-first-bytes", "apache-security", QUICK, Kind.FIRST_LATE,
         base=FIRST, fault=READ, recognised="apache"),
    Case("apache-post", "apache-security", QUICK, Kind.FIRST_LATE,
         base=POSTED, fault=READ, method="POST", recognised="apache"),
    Case("apache-at-the-end", "apache-security", QUICK, Kind.AT_THE_END,
         base=SECURITY.format(access="On", limit=100_000), fault=READ,
         recognised="apache"),
    Case("uvicorn-middleware", "uvicorn", QUICK, Kind.AT_THE_END, base=WHOLE),
    Case("django-blocking", "django", QUICK, Kind.AT_THE_END, fault=BLOCKING),
    Case("envoy-upgrade", "envoy", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("express-compression", "express", STEADY, Kind.AT_THE_END, coded=True,
         fault="app.use(compression());", place="{}---"),
    Case("express-field", "express", STEADY, Kind.AT_THE_END, coded=True,
         fault="app.use(compression());", place="{}---", cure=1),
    Case("http-proxy-3-head", "http-proxy-3", LATE, Kind.HEAD_LATE, place="---{}"),
    Case("next", "next", SHORT, Kind.AT_THE_END, coded=True),
    Case("next-field", "next", SHORT, Kind.AT_THE_END, coded=True, cure=1),
    Case("vite-head", "vite", LATE, Kind.HEAD_LATE),
    Case("next-hello", "next", LATE, Kind.HEAD_LATE,
         base="module.exports = { compress: false };"),
    Case("vite-hello", "vite", LATE, Kind.HEAD_LATE, cure=1),
    Case("webpack-dev-server-hello", "webpack-dev-server", LATE, Kind.HEAD_LATE,
         base="devServer: { compress: false }", cure=1),
    Case("vite-upgrade", "vite", SHORT, Kind.NO_UPGRADE, scheme="ws"),
    Case("webpack-dev-server-upgrade", "webpack-dev-server", SHORT, Kind.NO_UPGRADE,
         scheme="ws"),
    Case("webpack-dev-server", "webpack-dev-server", STEADY, Kind.AT_THE_END,
         coded=True),
    Case("webpack-dev-server-field", "webpack-dev-server", STEADY, Kind.AT_THE_END,
         coded=True, cure=1),
    Case("webpack-dev-server-head", "webpack-dev-server", LATE, Kind.HEAD_LATE,
         fault="devServer: { compress: false }"),
    Case("http-proxy-head", "http-proxy", LATE, Kind.HEAD_LATE,
         recognised="http-proxy-3"),
    Case("http-proxy-hello", "http-proxy", LATE, Kind.HEAD_LATE,
         recognised="http-proxy-3", cure=1),
    Case("nginx-cache", "nginx", SHORT, Kind.STORED,
         fault=KEPT, again=True, fields=KEEP),
    Case("nginx-cache-field", "nginx", SHORT, Kind.STORED, again=True,
         base=KEPT, fields=KEEP, cure=2),
    Case("nginx-fastcgi-cache", "nginx-php", SHORT, Kind.STORED, again=True, cure=1,
         fault=PHP_KEPT, recognised="nginx"),
    Case("varnish-cache", "varnish", SHORT, Kind.STORED, again=True, fields=KEEP),
    Case("varnish-cache-field", "varnish", SHORT, Kind.STORED, again=True, cure=1,
         fields=KEEP),
    Case("lighttpd", "lighttpd", SHORT, Kind.AT_THE_END),
    Case("lighttpd-condition", "lighttpd", SHORT, Kind.AT_THE_END,
         fault="server.stream-response-body = 0",
         place='server.stream-response-body = 1\n$HTTP["url"] =~ "^/api" {{\n{}\n}}'),
    Case("varnish-fetched", "varnish", SHORT, Kind.AT_THE_END, base=FETCHED),
    Case("varnish-gzip", "varnish", SHORT, Kind.AT_THE_END, base=GZIPPED, coded=True),
    Case("h2o-brotli", "h2o", "steady&count=8&every=0.2&type=text", Kind.DELAYED,
         place="compress: ON---{}", coded=True),
    Case("h2o-hello", "h2o", LATE, Kind.HEAD_LATE),
    Case("h2o-empty-line", "h2o", LATE_LINES, Kind.HEAD_LATE, cure=1),
    Case("mitmproxy-hello", "mitmproxy", LATE, Kind.HEAD_LATE,
         base="mitmdump --set stream_large_bodies=1"),
    Case("mitmproxy", "mitmproxy", SHORT, Kind.AT_THE_END, fault="mitmdump"),
    Case("mitmproxy-first", "mitmproxy", FAST, Kind.FIRST_LATE,
         fault="mitmdump --set stream_large_bodies=6k"),
    Case("haproxy-first", "haproxy", FAST, Kind.FIRST_LATE,
         fault="http-response wait-for-body time 10s at-least 6k",
         place="option http-no-delay---{}"),
    Case("haproxy-body", "haproxy", SHORT, Kind.AT_THE_END,
         fault="http-response wait-for-body time 30s",
         place="---{}"),
    Case("nginx-php", "nginx-php", SHORT, Kind.AT_THE_END),
    Case("nginx-php-gzip", "nginx-php", SHORT, Kind.AT_THE_END, base=GZIP, coded=True),
    Case("nginx-php-field", "nginx-php", SHORT, Kind.AT_THE_END, place="---{}",
         cure=1),
    Case("nginx-fastcgi", "nginx-php", SHORT, Kind.AT_THE_END, recognised="nginx",
         cure=2),
    Case("nginx-behind", "nginx-deflater", SHORT, Kind.AT_THE_END, coded=True,
         base="proxy_buffering off;", recognised="nginx", cure=3),
    Case("caddy-whole", "caddy", SHORT, Kind.AT_THE_END, place="---{}",
         fault="buffer_responses\nmax_buffer_size 1MB"),
    Case("caddy-first", "caddy", FAST, Kind.FIRST_LATE, place="---{}",
         fault="buffer_responses\nmax_buffer_size 8KB"),
    Case("varnish-esi", "varnish", SHORT, Kind.AT_THE_END, base=ESI),
    Case("uvicorn-django", "django", QUICK, Kind.AT_THE_END, fault=BLOCKING,
         recognised="uvicorn", cure=1),
    Case("gunicorn-flask-read", "gunicorn-flask", SHORT, Kind.AT_THE_END,
         base=STREAMED, fault=READS, recognised="gunicorn", cure=1),
    Case("flask-read", "gunicorn-flask", SHORT, Kind.AT_THE_END,
         base=STREAMED, fault=READS, recognised="flask"),
    Case("aiohttp-whole", "aiohttp", SHORT, Kind.AT_THE_END, fault=TEXT_OF_ALL),
    Case("nginx-uwsgi", "nginx-uwsgi", SHORT, Kind.AT_THE_END),
    Case("php-zlib", "nginx-php", SHORT, Kind.AT_THE_END, coded=True,
         place=f"fastcgi_buffering off;---{{}}{PHP_ZLIB}", recognised="php"),
    Case("php-output", "nginx-php", SHORT, Kind.AT_THE_END,
         place=f"fastcgi_buffering off;---{{}}{PHP_OUTPUT}", recognised="php"),
    Case("apache-php", "apache-php", SHORT, Kind.AT_THE_END,
         fault=UNFLUSHED),
    Case("apache-fastcgi", "apache-php", SHORT, Kind.AT_THE_END, recognised="apache",
         fault=UNFLUSHED, cure=1),
    Case("nginx-php-zlib", "nginx-php", SHORT, Kind.AT_THE_END, coded=True,
         place=f"fastcgi_buffering off;---{{}}{PHP_ZLIB}", recognised="nginx", cure=5),
    Case("nginx-php-output", "nginx-php", SHORT, Kind.AT_THE_END, cure=3,
         place=f"fastcgi_buffering off;---{{}}{PHP_OUTPUT}", recognised="nginx"),
    Case("nginx-php-asked", "nginx-php", SHORT, Kind.AT_THE_END, coded=True, cure=4,
         place=f"{{}}------{PHP_ZLIB[3:]}", recognised="nginx"),
    Case("nginx-scgi", "nginx-scgi", SHORT, Kind.AT_THE_END, recognised="nginx",
         cure=2),
    Case("caddy-php", "caddy-php", SHORT, Kind.AT_THE_END, recognised="php",
         place=f"---{{}}{PHP_OUTPUT}"),
    Case("caddy-php-gzip", "caddy-php", QUICK, Kind.AT_THE_END, recognised="php",
         place=f"encode gzip---{{}}{PHP_OUTPUT}", coded=True),
    Case("caddy-gzip-held", "caddy", QUICK, Kind.AT_THE_END, coded=True, cure=2,
         fault=ENCODED, place="{}---"),
    Case("caddy-gzip-post", "caddy", QUICK, Kind.AT_THE_END, coded=True, cure=3,
         fault=ENCODED, place="{}---", method="POST"),
    Case("h2o-php", "h2o-php", SHORT, Kind.AT_THE_END, recognised="php",
         place=f"---{{}}{PHP_OUTPUT}"),
    Case("lighttpd-php", "lighttpd-php", SHORT, Kind.AT_THE_END, recognised="lighttpd",
         place=f"server.stream-response-body = 1---{{}}{PHP_OUTPUT}", cure=1),
    Case("php-unflushed", "nginx-php", SHORT, Kind.AT_THE_END, recognised="php",
         place="fastcgi_buffering off;---{}---env[UNFLUSHED] = 1"),
    Case("php-handler", "nginx-php", SHORT, Kind.AT_THE_END, recognised="php",
         place=f"fastcgi_buffering off;---{OB_GZIP}{{}}", coded=True),
    Case("apache-php-asked", "apache-php", SHORT, Kind.AT_THE_END, coded=True,
         place=f"{FLUSHED}\n{{}}---{PHP_ZLIB[3:]}", recognised="apache", cure=2),
    Case("apache-php-deflate", "apache-php", SHORT, Kind.AT_THE_END, coded=True,
         base="SetOutputFilter DEFLATE", fault=UNFLUSHED, recognised="apache", cure=1),
    Case("apache-php-output", "apache-php", SHORT, Kind.AT_THE_END, cure=2,
         place=f"{FLUSHED}---{PHP_OUTPUT[3:]}---{{}}", recognised="apache"),
    Case("apache-php-zlib", "apache-php", SHORT, Kind.AT_THE_END, cure=3, coded=True,
         place=f"{FLUSHED}---{PHP_ZLIB[3:]}---{{}}", recognised="apache"),
    Case("waitress", "waitress", SHORT, Kind.AT_THE_END,
         fault="waitress-serve --send-bytes=18000 app:app"),
    Case("gunicorn-flask-compress", "gunicorn-flask", SHORT, Kind.AT_THE_END,
         coded=True, recognised="gunicorn"),
    Case("flask-compress", "gunicorn-flask", SHORT, Kind.AT_THE_END, coded=True,
         recognised="flask"),
    Case("gunicorn-django-gzip", "gunicorn-django", SHORT, Kind.AT_THE_END,
         fault=VIEW, place="{}---gzip", coded=True, recognised="gunicorn", cure=1),
    Case("django-gzip", "gunicorn-django", SHORT, Kind.AT_THE_END,
         fault=VIEW, place="{}---gzip", coded=True, recognised="django"),
    Case("gunicorn-django-async", "gunicorn-django", SHORT, Kind.AT_THE_END,
         fault=AWAITING, recognised="gunicorn"),
    Case("starlette-old-gzip", "starlette-old", SHORT, Kind.AT_THE_END, coded=True,
         recognised="uvicorn"),
    Case("granian-middleware", "granian", SHORT, Kind.AT_THE_END, base=WHOLE),
    Case("aiohttp-compression", "aiohttp", SHORT, Kind.AT_THE_END, coded=True,
         fault="response.enable_compression()"),
    Case("tornado", "tornado", SHORT, Kind.AT_THE_END),
    Case("tornado-gzip", "tornado", QUICK, Kind.AT_THE_END, place="{}---gzip",
         coded=True),
    Case("koa-compress", "koa-compress", SHORT, Kind.AT_THE_END, coded=True,
         fault="app.use(compress());"),
    Case("koa-compress-field", "koa-compress", SHORT, Kind.AT_THE_END, coded=True,
         fault="app.use(compress());", cure=1),
    Case("hono-compress", "hono", TEXT, Kind.AT_THE_END, coded=True,
         fault="app.use(compress());"),
    Case("hono-compress-field", "hono", TEXT, Kind.AT_THE_END, coded=True,
         fault="app.use(compress());", cure=1),
    Case("fastify-compress", "fastify-compress", TEXT, Kind.AT_THE_END, coded=True,
         fault="await app.register(compress);"),
    Case("puma-cork", "puma", "steady&count=6", Kind.DELAYED, place="---{}",
         recognised="rack"),
    Case("rack-deflater", "nginx-puma", SHORT, Kind.AT_THE_END, coded=True,
         fault=UNSYNCED, recognised="rack"),
    Case("rack-deflater-field", "nginx-puma", SHORT, Kind.AT_THE_END, coded=True,
         fault=UNSYNCED, recognised="rack", cure=1),
    Case("rack-etag", "nginx-puma", SHORT, Kind.AT_THE_END, base="use Rack::ETag",
         recognised="rack"),
    *CUTS,
)  # fmt: skip

# What people suspect, and what passes every event on when it was sent.
FREE = (
    Case("nginx-unbuffered-gzip", "nginx", QUICK, Kind.STREAMS,
         base=f"proxy_buffering off; {GZIP}", coded=True),
    Case("apache-get", "apache-security", QUICK, Kind.STREAMS,
         base=f"{POSTED}\n{READ}"),
    Case("apache-deflate", "apache", QUICK, Kind.STREAMS,
         base="SetOutputFilter DEFLATE", coded=True),
    Case("caddy-gzip", "caddy", QUICK, Kind.STREAMS, base="encode gzip",
         place="{}---"),
    Case("uvicorn-gzip", "uvicorn", "ndjson&count=10&every=0.1", Kind.STREAMS,
         base="app.add_middleware(GZipMiddleware)", coded=True),
    Case("envoy-compressor", "envoy", QUICK, Kind.STREAMS, base=COMPRESSOR,
         place="---{}", coded=True),
    Case("vite-steady", "vite", QUICK, Kind.STREAMS),
    Case("h2o-gzip", "h2o", TEXT, Kind.STREAMS, base="compress: [gzip]", coded=True),
    Case("h2o", "h2o", SHORT, Kind.STREAMS),
    Case("squid", "squid", SHORT, Kind.STREAMS),
    Case("nghttpx", "nghttpx", SHORT, Kind.STREAMS),
    Case("varnish-steady", "varnish", SHORT, Kind.STREAMS),
    Case("caddy-websocket", "caddy", SHORT, Kind.STREAMS, scheme="ws"),
    Case("sanic", "sanic", SHORT, Kind.STREAMS),
    Case("granian", "granian", SHORT, Kind.STREAMS),
)  # fmt: skip
