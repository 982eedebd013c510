"""Application servers: what runs an application."""

from __future__ import annotations

from dataclasses import replace

from proxy.products.frameworks import (
    DJANGO_ASGI,
    DJANGO_GZIP,
    DJANGO_WSGI,
    FLASK_COMPRESS,
    FLASK_READ,
)
from proxy.products.hold_kind import CUT, HELD, WHOLE, Kind
from proxy.products.product import (
    Cure,
    FieldSign,
    row,
)

DAY = "2026-11-29"  # of the measurements

OLD_STARLETTE = Cure(
    HELD,
    "requirements.txt or pyproject.toml",
    "starlette>=1.5",
    "since 1.5 GZipMiddleware flushes after each piece; versions before 0.46 also "
    "compress event streams",
    coded=True,
    when="it is Starlette or FastAPI with GZipMiddleware",
    source="a measurement under uvicorn",
)
HTTPX = Cure(
    CUT,
    "the program that relays",
    "httpx.AsyncClient(timeout=httpx.Timeout(5.0, read=None))",
    "httpx gives up after 5 s without a byte by default",
    when="it fetches by httpx",
    source="its documentation, timeouts",
    idle=True,
)
MIDDLEWARE = Cure(
    WHOLE,
    "the application",
    "app.user_middleware = [\n"
    "    each for each in app.user_middleware\n"
    "    if not issubclass(each.cls, BaseHTTPMiddleware)\n"
    "]",
    "the server and StreamingResponse stream; a middleware that joins "
    "`body_iterator` buffers the whole body. A blocking call in an async generator "
    "blocks everything",
    coded=False,
    when="it is Starlette or FastAPI with a middleware that reads the body",
)
UNDER_ASGI = replace(
    DJANGO_ASGI, coded=False, when="it is Django with a generator that is not async"
)

APPLICATION_SERVERS = (
    row(
        "uvicorn",
        "uvicorn",
        (FieldSign("server", "uvicorn"),),
        replace(
            OLD_STARLETTE, freed="Starlette 1.10 in place of 0.45", on=DAY, source=""
        ),
        HTTPX,
        replace(MIDDLEWARE, freed="uvicorn 0.54 with Starlette 1.10", on=DAY),
        replace(UNDER_ASGI, freed="uvicorn 0.54 with Django 5.2", on=DAY),
    ),
    row(
        "hypercorn",
        "Hypercorn",
        (FieldSign("server", "hypercorn"),),
        MIDDLEWARE,
        UNDER_ASGI,
        OLD_STARLETTE,
        HTTPX,
    ),
    row(
        "daphne",
        "Daphne",
        (FieldSign("server", "daphne"),),
        UNDER_ASGI,
        MIDDLEWARE,
        OLD_STARLETTE,
        HTTPX,
    ),
    row(
        "gunicorn",
        "gunicorn",
        (FieldSign("server", "gunicorn"),),
        replace(FLASK_COMPRESS, freed="gunicorn 27 with Flask-Compress 1.25", on=DAY),
        replace(DJANGO_GZIP, freed="gunicorn 27 with Django 5.2", on=DAY),
        replace(DJANGO_WSGI, freed="gunicorn 27 with Django 5.2", on=DAY),
        replace(FLASK_READ, freed="gunicorn 27 with Flask 3.1", on=DAY),
        Cure(
            HELD,
            "the command",
            "gunicorn app:app --worker-class gthread --threads 64",
            "a sync worker serves one stream at a time: other requests wait until "
            "it ends",
            source="its documentation, design",
        ),
        Cure(
            CUT,
            "the command",
            "gunicorn app:app --worker-class gthread --threads 64",
            "gunicorn kills a sync worker that spends longer than --timeout (30 s by "
            "default) on one request, even while it sends; threads may take longer",
            freed="gunicorn 27.0",
            on=DAY,
        ),
    ),
    row(
        "granian",
        "Granian",
        (FieldSign("server", "granian"),),
        replace(MIDDLEWARE, freed="Granian 2.8 with Starlette 1.10", on=DAY),
        OLD_STARLETTE,
        HTTPX,
        passes="Granian 2.8",
    ),
    row(
        "waitress",
        "waitress",
        (FieldSign("server", "waitress"),),
        Cure(
            HELD,
            "the command",
            "waitress-serve --send-bytes=1 app:app",
            "before version 1.3 it collects 18,000 bytes; since then 1 is the default",
            coded=False,
            when="it is older than 1.3, or send_bytes is set",
            freed="waitress 3.0 with the older default",
            on=DAY,
        ),
        replace(FLASK_COMPRESS, source="a measurement under gunicorn"),
        replace(FLASK_READ, source="a measurement under gunicorn"),
        replace(DJANGO_WSGI, source="a measurement under gunicorn"),
        ignores_fields=True,
    ),
    row(
        "tornado",
        "Tornado",
        (FieldSign("server", "tornadoserver"),),
        Cure(
            HELD,
            "the handler, after each write",
            "await self.flush()",
            "write() collects until the handler returns; a flush sends, also through "
            "`compress_response`",
            freed="Tornado 6.6",
            on=DAY,
        ),
        ignores_fields=True,
    ),
    row(
        "aiohttp",
        "aiohttp",
        (FieldSign("server", "aiohttp"),),
        Cure(
            HELD,
            "the handler, before prepare()",
            'if response.content_type != "text/event-stream":\n'
            "    response.enable_compression()",
            "enable_compression() outputs nothing until its block is full or the body "
            "ends",
            coded=True,
            freed="aiohttp 3.14",
            on=DAY,
        ),
        Cure(
            (Kind.AT_THE_END,),
            "the handler",
            "response = web.StreamResponse(\n"
            '    headers={"Content-Type": "text/event-stream"}\n'
            ")\n"
            "await response.prepare(request)\n"
            "async for piece in generate():\n"
            "    await response.write(piece)\n"
            "return response",
            "a web.Response is sent as a whole, once all of its text is there",
            coded=False,
            freed="aiohttp 3.14",
            on=DAY,
        ),
        Cure(
            CUT,
            "the handler, if it passes on what it fetches",
            "ClientSession(timeout=ClientTimeout(total=None))",
            "a ClientSession gives up 5 minutes after its request, even while it reads",
            source="its documentation, ClientTimeout",
        ),
        ignores_fields=True,
    ),
    row("sanic", "Sanic", (FieldSign("server", "sanic"),), passes="Sanic 25.12"),
)
