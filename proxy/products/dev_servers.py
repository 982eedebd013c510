"""Dev servers, and the proxies that they are made of."""

from __future__ import annotations

from proxy.products.hold_kind import CUT, HEAD, HELD, Kind
from proxy.products.product import (
    BACK_END,
    FLUSH_HEAD,
    NO_TRANSFORM,
    Cure,
    FieldSign,
    row,
)

DAY = "2026-11-29"  # of the measurements

DEV_SERVERS = (
    row(
        "webpack-dev-server",
        "webpack-dev-server",
        (),
        Cure(
            HELD,
            "webpack.config.js (vue.config.js)",
            "devServer: {\n  compress: false,\n},",
            "it compresses proxied responses by default, and its compressor outputs "
            "nothing until the end",
            coded=True,
            freed="webpack-dev-server 6.1",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            NO_TRANSFORM,
            "its compressor leaves a response with `no-transform` as it is",
            coded=True,
            freed="webpack-dev-server 6.1",
            on=DAY,
        ),
        Cure(
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
            freed="webpack-dev-server 6.1",
            on=DAY,
        ),
    ),
    row(
        "vite",
        "Vite",
        (),
        Cure(
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
            freed="Vite 8.3",
            on=DAY,
        ),
        Cure(
            CUT,
            "vite.config.js, in the rule of server.proxy",
            "proxyTimeout: 0,\ntimeout: 0,",
            "a limit on the silence of the back end has been set; after it the client "
            "waits for ever",
            source="a measurement of http-proxy",
            idle=True,
        ),
        Cure(
            HELD,
            "vite.config.js",
            "plugins: [\n  // without the one that adds compression() to the server\n"
            "],",
            "Vite itself streams; a plugin with a compression middleware does not, or "
            "the buffering happens behind Vite (--via shows where)",
        ),
    ),
    row(
        "angular",
        "Angular's dev server",
        (),
        Cure(
            HELD,
            "angular.json, in the build options of development",
            '"optimization": false',
            "the older server, based on webpack-dev-server, compresses when this is on "
            "(angular-cli #21720); the newer one is based on Vite, which streams",
            source="angular-cli #21720",
        ),
        Cure(
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
    ),
    row(
        "next",
        "Next.js",
        (
            FieldSign("x-powered-by", "next.js"),
            FieldSign("x-nextjs-cache"),
        ),
        Cure(
            HELD,
            "next.config.js",
            "module.exports = { compress: false };",
            "it compresses what its rewrites pass on, and its compressor outputs "
            "nothing until the end",
            coded=True,
            freed="Next.js 16.4",
            on="2026-11-30",
        ),
        Cure(
            HELD,
            BACK_END,
            NO_TRANSFORM,
            "its compressor leaves a response with `no-transform` as it is",
            coded=True,
            freed="Next.js 16.4",
            on="2026-11-30",
        ),
        Cure(
            CUT,
            "next.config.js",
            "module.exports = { experimental: { proxyTimeout: 3_600_000 } };",
            "rewrites give up after 30 s of silence by default; the value is in "
            "milliseconds",
            freed="Next.js 16.4",
            on="2026-11-30",
            idle=True,
        ),
        nameless=(Kind.AT_THE_END, *CUT),
    ),
    row(
        "http-proxy-3",
        "http-proxy-3 (http-proxy, http-proxy-middleware)",
        (),
        Cure(
            HEAD,
            "the file that creates the proxy",
            "proxy.on('proxyRes', (answer, request, response) => {\n"
            "  setImmediate(() => response.flushHeaders());\n"
            "});",
            FLUSH_HEAD,
            freed="http-proxy-3 2.0, http-proxy 1.18",
            on=DAY,
        ),
        Cure(
            CUT,
            "the file that creates the proxy",
            "createProxyServer({\n"
            "  target: 'http://localhost:8000',\n"
            "  proxyTimeout: 0,\n"
            "  timeout: 0,\n"
            "});",
            "a limit on the silence of the back end has been set; after it the "
            "client waits for ever",
            freed="http-proxy 1.18",
            on="2026-11-30",
            idle=True,
        ),
        nameless=(*HEAD, *CUT),
    ),
)
