"""Frameworks of applications, and the middleware that comes with them."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.fastcgi import PHP_BUFFERS, PHP_COMPRESSES
from proxy.products.hold_kind import CUT, HEAD, HELD, WHOLE, Kind
from proxy.products.product import (
    BACK_END,
    FLUSH_HEAD,
    NO_TRANSFORM,
    Cure,
    FieldSign,
    row,
)

DAY = "2026-11-29"  # of the measurements

# Under WSGI only the server shows, so its rows have them as well.
FLASK_COMPRESS = Cure(
    HELD,
    "the application",
    'app.config["COMPRESS_STREAMS"] = False',
    "Flask-Compress compresses streams without flushing",
    coded=True,
    when="it is Flask with Flask-Compress",
)
DJANGO_GZIP = Cure(
    HELD,
    "the view",
    "def events(request):\n"
    "    response = StreamingHttpResponse(\n"
    '        generate(), content_type="text/event-stream"\n'
    "    )\n"
    '    response["Content-Encoding"] = "identity"\n'
    "    return response",
    "GZipMiddleware outputs nothing until the end of a stream, and leaves a response "
    "that has a Content-Encoding as it is",
    coded=True,
    when="it is Django with GZipMiddleware",
)
DJANGO_WSGI = Cure(
    WHOLE,
    "the view",
    "def events(request):\n"
    "    return StreamingHttpResponse(\n"
    "        generate(),  # a generator, not an async one\n"
    '        content_type="text/event-stream",\n'
    "    )",
    "under WSGI an async generator is read to its end first; or run the application "
    "under ASGI",
    coded=False,
    when="it is Django with an async generator",
)
DJANGO_ASGI = Cure(
    WHOLE,
    "the view",
    "async def events(request):\n"
    "    return StreamingHttpResponse(\n"
    "        generate(),  # an async generator\n"
    '        content_type="text/event-stream",\n'
    '        headers={"Cache-Control": "no-cache, no-transform",\n'
    '                 "X-Accel-Buffering": "no"},\n'
    "    )",
    "under ASGI Django reads a synchronous generator to its end first; under "
    "WSGI an async one",
)
FLASK_READ = Cure(
    WHOLE,
    "the application",
    "@app.after_request\n"
    "def after(response):\n"
    "    if not response.is_streamed:\n"
    '        app.logger.info("%d bytes", len(response.get_data()))\n'
    "    return response",
    "get_data() reads a stream to its end",
    coded=False,
    when="it is Flask with an after_request that reads the body",
)

CORKED = "Directly before Puma pairs of events remain: it also corks its socket"

FRAMEWORKS = (
    row(
        "django",
        "Django",
        (FieldSign("server", "wsgiserver"),),
        replace(DJANGO_GZIP, freed="Django 5.2 under gunicorn 27", on=DAY),
        replace(DJANGO_ASGI, freed="Django 5.2 under uvicorn", on=DAY),
    ),
    row(
        "express",
        "Express with compression",
        (FieldSign("x-powered-by", "express", coded=True),),
        Cure(
            HELD,
            "the file that adds the middleware",
            "app.use(compression({\n"
            "  filter: (req, res) =>\n"
            "    !/event-stream|ndjson/.test(String(res.getHeader('Content-Type')))"
            " &&\n"
            "    compression.filter(req, res),\n"
            "}));",
            "compression(), of Express and for connect and Fastify, buffers a whole "
            "block; or call res.flush() after each event",
            coded=True,
            freed="compression 1.8",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            NO_TRANSFORM,
            "compression() leaves a response with `no-transform` as it is",
            coded=True,
            freed="compression 1.8",
            on=DAY,
        ),
        Cure(
            HEAD,
            "the handler, after setting its headers",
            "res.flushHeaders();",
            FLUSH_HEAD,
        ),
        nameless=(Kind.AT_THE_END,),  # helmet takes X-Powered-By away
    ),
    row(
        "http-proxy-middleware",
        "Express",
        (FieldSign("x-powered-by", "express", coded=False),),
        Cure(
            (Kind.AT_THE_END,),
            "the file that creates the proxy",
            "createProxyMiddleware({\n"
            "  target: 'http://localhost:8000',\n"
            "  selfHandleResponse: false,  // and without responseInterceptor()\n"
            "})",
            "responseInterceptor() reads a whole response",
            when="it has a responseInterceptor",
            source="its documentation, response-interceptor",
        ),
        Cure(
            HEAD,
            "the file that creates the proxy",
            "createProxyMiddleware({\n"
            "  target: 'http://localhost:8000',\n"
            "  on: {\n"
            "    proxyRes: (answer, request, response) => {\n"
            "      setImmediate(() => response.flushHeaders());\n"
            "    },\n"
            "  },\n"
            "})",
            FLUSH_HEAD,
            when="it passes the stream on",
        ),
        Cure(
            HEAD,
            "the handler, after setting its headers",
            "res.flushHeaders();",
            FLUSH_HEAD,
            when="it is the back end itself",
        ),
        Cure(
            CUT,
            "the file that creates the proxy",
            "createProxyMiddleware({\n"
            "  target: 'http://localhost:8000',\n"
            "  proxyTimeout: 0,\n"
            "})",
            "a limit on the silence of the back end has been set; after it the "
            "client waits for ever",
            source="the documentation of http-proxy, proxyTimeout",
            idle=True,
        ),
    ),
    row(
        "flask",
        "Flask",
        (FieldSign("server", "werkzeug"),),
        replace(FLASK_COMPRESS, freed="Flask-Compress 1.25 under gunicorn 27", on=DAY),
        replace(FLASK_READ, freed="Flask 3.1 under gunicorn 27", on=DAY),
        ignores_fields=True,
    ),
    row(
        "cherrypy",
        "CherryPy",
        (FieldSign("server", "cherrypy"),),
        Cure(
            HELD,
            "the handler",
            "events._cp_config = {'response.stream': True}",
            "it collects what a generator yields unless it is told to stream",
            source="its documentation, streaming",
        ),
    ),
    row(
        "koa-compress",
        "koa-compress",
        (),
        Cure(
            HELD,
            "the file that adds the middleware",
            "app.use(compress({\n"
            "  filter: (type) => !/event-stream|ndjson/.test(type),\n"
            "}));",
            "its compressor outputs nothing until the end",
            coded=True,
            freed="koa-compress 5.2",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            NO_TRANSFORM,
            "compress() leaves a response with `no-transform` as it is",
            coded=True,
            freed="koa-compress 5.2",
            on=DAY,
        ),
        nameless=(Kind.AT_THE_END,),
    ),
    row(
        "hono",
        "Hono with compress",
        (),
        Cure(
            HELD,
            "the file that adds the middleware",
            "app.use(compress({\n"
            "  contentTypeFilter: /^(text\\/(html|css)|application\\/javascript)/,\n"
            "}));",
            "its compressor outputs nothing until the end; it leaves text/event-stream "
            "alone, but no other text and no JSON",
            coded=True,
            event_stream=False,
            freed="Hono 4.13",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            NO_TRANSFORM,
            "compress() leaves a response with `no-transform` as it is",
            coded=True,
            event_stream=False,
            freed="Hono 4.13",
            on=DAY,
        ),
        nameless=(Kind.AT_THE_END,),
    ),
    row(
        "fastify-compress",
        "Fastify with @fastify/compress",
        (),
        Cure(
            HELD,
            "the file that registers it",
            "await app.register(compress, { global: false });",
            "its compressor outputs nothing until the end; it leaves text/event-stream "
            "alone, but no other text and no JSON. Routes that are to be compressed "
            "then say so: `{ compress: {} }`",
            coded=True,
            event_stream=False,
            freed="@fastify/compress 9.2",
            on=DAY,
        ),
        ignores_fields=True,
        nameless=(Kind.AT_THE_END,),
    ),
    row(
        "rack",
        "Rack (Puma, Rails)",
        (FieldSign("x-runtime"), FieldSign("server", "puma")),
        Cure(
            (Kind.DELAYED, Kind.RHYTHM, Kind.BURSTS),
            "the application, in place of a body",
            '  fields["Transfer-Encoding"] = "chunked"\n'
            '  fields["rack.hijack"] = lambda { |io|\n'
            "    io.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_CORK, 0)\n"
            "    stream.each { |event|\n"
            '      io.write("#{event.bytesize.to_s(16)}\\r\\n#{event}\\r\\n")\n'
            "    }\n"
            '    io.write("0\\r\\n\\r\\n")\n'
            "    io.close\n"
            "  }\n"
            "  [200, fields, []]",
            "Puma corks its TCP socket while it writes a body: the kernel keeps what "
            "is smaller than a packet for 200 ms. A socket of the file system behind a "
            "proxy is not corked",
            freed="Puma 5.6",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END, Kind.BLOCKS),
            "config.ru, or config.middleware of Rails",
            "use Rack::Deflater",
            f"with `sync: false` it outputs nothing until its block is full. {CORKED}",
            coded=True,
            when="Rack::Deflater compresses it",
            freed="Rack 2.2",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END, Kind.BLOCKS),
            BACK_END,
            NO_TRANSFORM,
            f"Rack::Deflater leaves a response with `no-transform` as it is. {CORKED}",
            coded=True,
            when="Rack::Deflater compresses it",
            freed="Rack 2.2",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END,),
            "the response of the application",
            "Last-Modified: Sun, 29 Nov 2026 00:00:00 GMT",
            "Rack::ETag joins a whole body to hash it, unless the response has an ETag "
            f"or a Last-Modified. {CORKED}",
            coded=False,
            when="Rack::ETag is in use",
            freed="Rack 2.2",
            on=DAY,
        ),
        # Puma says its name only if it is told to.
        nameless=(Kind.AT_THE_END, Kind.DELAYED, Kind.RHYTHM, Kind.BURSTS),
    ),
    row(
        "php",
        "PHP",
        (FieldSign("x-powered-by", "php"),),
        PHP_BUFFERS,
        PHP_COMPRESSES,
        ignores_fields=True,
        nameless=(Kind.AT_THE_END,),  # where expose_php is off, as in Debian's packages
    ),
)
