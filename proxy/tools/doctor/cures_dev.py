"""Cures in what a developer runs: dev servers, frameworks, application servers."""

from __future__ import annotations

from proxy.tools.doctor.cure import ANY, CUT, FLUSH_HEAD, HEAD, HELD, Cure

DEV = (
    Cure(
        "webpack-dev-server",
        HELD,
        "webpack.config.js (vue.config.js)",
        "devServer: {\n  compress: false,\n},",
        "it compresses proxied responses by default, and its compressor outputs "
        "nothing until the end",
        tested="webpack-dev-server 6.1",
    ),
    Cure(
        "webpack-dev-server",
        HEAD,
        "webpack.config.js",
        "devServer: {\n"
        "  compress: false,\n"
        "  proxy: [{\n"
        "    context: ['/api'],\n"
        "    target: 'http://localhost:8000',\n"
        "    on: {\n"
        "      proxyRes: (answer, request, response) => {\n"
        "        setImmediate(() => response.flushHeaders());\n"
        "      },\n"
        "    },\n"
        "  }],\n"
        "},",
        FLUSH_HEAD,
        tested="webpack-dev-server 6.1",
    ),
    Cure(
        "vite",
        HEAD,
        "vite.config.js",
        "server: {\n"
        "  proxy: {\n"
        "    '/api': {\n"
        "      target: 'http://localhost:8000',\n"
        "      configure: (proxy) => {\n"
        "        proxy.on('proxyRes', (answer, request, response) => {\n"
        "          setImmediate(() => response.flushHeaders());\n"
        "        });\n"
        "      },\n"
        "    },\n"
        "  },\n"
        "},",
        FLUSH_HEAD,
        tested="Vite 8.3",
    ),
    Cure(
        "vite",
        HELD,
        "vite.config.js",
        "plugins: [\n  // without the one that adds compression() to the server\n],",
        "Vite itself streams; a plugin with a compression middleware does not, or "
        "the buffering happens behind Vite (--via shows where)",
    ),
    Cure(
        "angular",
        HELD,
        "angular.json, in the build options of development",
        '"optimization": false',
        "the older server, based on webpack-dev-server, compresses when this is on "
        "(angular-cli #21720); the newer one is based on Vite, which streams",
        source="angular-cli #21720",
    ),
    Cure(
        "angular",
        HEAD,
        "proxy.conf.js",
        "module.exports = {\n"
        "  '/api': {\n"
        "    target: 'http://localhost:8000',\n"
        "    configure: (proxy) => {\n"
        "      proxy.on('proxyRes', (answer, request, response) => {\n"
        "        setImmediate(() => response.flushHeaders());\n"
        "      });\n"
        "    },\n"
        "  },\n"
        "};",
        FLUSH_HEAD,
    ),
    Cure(
        "next",
        HELD,
        "next.config.js",
        "module.exports = { compress: false };",
        "Next.js compresses responses that go through its rewrites; or send "
        "`Cache-Control: no-transform` from the route",
        source="its documentation, compress",
    ),
    Cure(
        "next",
        CUT,
        "next.config.js",
        "module.exports = { experimental: { proxyTimeout: 3_600_000 } };",
        "rewrites give up after 30 s by default; the value is in milliseconds",
        source="next.js #36586 and #40289",
    ),
    Cure(
        "express",
        HELD,
        "the file that adds the middleware",
        "app.use(compression({\n"
        "  filter: (req, res) =>\n"
        "    !/event-stream|ndjson/.test(String(res.getHeader('Content-Type'))) &&\n"
        "    compression.filter(req, res),\n"
        "}));",
        "compression() buffers a whole block; or call res.flush() after each event",
        tested="compression 1.8",
    ),
    Cure(
        "express",
        HEAD,
        "the handler, after setting its headers",
        "res.flushHeaders();",
        FLUSH_HEAD,
    ),
    Cure(
        "http-proxy-3",
        HEAD,
        "the file that creates the proxy",
        "proxy.on('proxyRes', (answer, request, response) => {\n"
        "  setImmediate(() => response.flushHeaders());\n"
        "});",
        FLUSH_HEAD,
        tested="http-proxy-3 2.0",
    ),
    Cure(
        "django",
        ANY,
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
        tested="Django 5.2 under uvicorn",
    ),
    Cure(
        "uvicorn",
        ANY,
        "the shell",
        'pip install --upgrade "starlette>=1.5"',
        "since 1.5 GZipMiddleware flushes after each piece; versions before 0.46 "
        "also compress event streams",
        coded=True,
        tested="Starlette 1.10",
    ),
    Cure(
        "uvicorn",
        ANY,
        "the application, to find out whether a middleware buffers",
        "app.user_middleware = [\n"
        "    each for each in app.user_middleware\n"
        "    if not issubclass(each.cls, BaseHTTPMiddleware)\n"
        "]",
        "uvicorn and StreamingResponse stream; a middleware that joins "
        "`body_iterator` buffers the whole body. A blocking call in an async "
        "generator blocks everything",
        coded=False,
        tested="uvicorn 0.54, Starlette 1.10",
    ),
    Cure(
        "gunicorn",
        HELD,
        "the command",
        "gunicorn app:app --worker-class gthread --threads 64",
        "a sync worker serves one stream at a time: other requests wait until it ends",
        source="its documentation, design",
    ),
    Cure(
        "gunicorn",
        CUT,
        "the command",
        "gunicorn app:app --worker-class gthread --threads 64",
        "gunicorn kills a sync worker that spends longer than --timeout (30 s by "
        "default) on one request, even while it sends; threads may take longer",
        tested="gunicorn 27.0",
    ),
)
