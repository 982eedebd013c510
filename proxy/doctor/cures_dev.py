"""Cures in what a developer runs: dev servers, frameworks, application servers."""

from __future__ import annotations

from proxy.doctor.cure import ANY, CUT, FLUSH_HEAD, HEAD, HELD, Cure

DEV = (
    Cure(
        "webpack-dev-server",
        HELD,
        "webpack.config.js (vue.config.js)",
        "devServer: {\n  compress: false,\n},",
        "it compresses proxied responses by default, and its compressor gives nothing "
        "before the end",
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
        "Vite itself passes events on as they come; a plugin with a compressing "
        "middleware does not, or the hold begins behind it (--via tells)",
    ),
    Cure(
        "angular",
        HELD,
        "proxy.conf.js",
        "module.exports = {\n"
        "  '/api': {\n"
        "    target: 'http://localhost:8000',\n"
        "    configure: (proxy) => {\n"
        "      proxy.on('proxyRes', (answer) => {\n"
        "        answer.headers['cache-control'] = 'no-cache, no-transform';\n"
        "      });\n"
        "    },\n"
        "  },\n"
        "};",
        "`no-transform` forbids every compressor on the way to touch the response",
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
        "Next.js compresses what goes through its rewrites; or send "
        "`Cache-Control: no-transform` from the route",
    ),
    Cure(
        "next",
        CUT,
        "next.config.js",
        "module.exports = { experimental: { proxyTimeout: 3_600_000 } };",
        "rewrites give up after 30 s by default; the value is in milliseconds",
    ),
    Cure(
        "express",
        HELD,
        "the file that uses the middleware",
        "app.use(compression({\n"
        "  filter: (req, res) =>\n"
        "    !/event-stream|ndjson/.test(String(res.getHeader('Content-Type'))) &&\n"
        "    compression.filter(req, res),\n"
        "}));",
        "compression() collects a whole block; or call res.flush() after each event",
        tested="compression 1.8",
    ),
    Cure(
        "express",
        HEAD,
        "the handler, after its head is set",
        "res.flushHeaders();",
        FLUSH_HEAD,
    ),
    Cure(
        "http-proxy-3",
        HEAD,
        "the file that makes the proxy",
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
        "under ASGI a generator that is not async is read to its end first; under WSGI "
        "an async one is",
    ),
    Cure(
        "uvicorn",
        ANY,
        "the application",
        "app.user_middleware = [\n"
        "    each for each in app.user_middleware\n"
        "    if each.cls not in (GZipMiddleware, BaseHTTPMiddleware)\n"
        "]",
        "uvicorn streams; the middleware of the application does not: GZipMiddleware "
        "of Starlette before 0.46 compresses event streams, and whoever reads the body "
        "in a middleware holds it. A blocking call in an async generator stops all",
    ),
    Cure(
        "gunicorn",
        HELD,
        "the command",
        "gunicorn app:app --worker-class gthread --threads 64",
        "a sync worker serves one stream at a time: others wait for its end",
    ),
    Cure(
        "gunicorn",
        CUT,
        "the command",
        "gunicorn app:app --worker-class gthread --threads 64 --timeout 0",
        "the arbiter kills a sync worker that is busy for 30 s",
    ),
)
