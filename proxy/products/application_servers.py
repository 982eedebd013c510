"""Application servers: what runs an application."""

from __future__ import annotations

from proxy.products.hold_kind import ANY, CUT, HELD
from proxy.products.product import Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements

APPLICATION_SERVERS = (
    row(
        "uvicorn",
        "uvicorn",
        (FieldSign("server", "uvicorn"),),
        Cure(
            ANY,
            "the shell",
            'pip install --upgrade "starlette>=1.5"',
            "since 1.5 GZipMiddleware flushes after each piece; versions before 0.46 "
            "also compress event streams",
            coded=True,
            source="the free state of Starlette 1.10; an older one was not tried",
        ),
        Cure(
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
            freed="uvicorn 0.54, Starlette 1.10",
            on=DAY,
        ),
    ),
    row(
        "gunicorn",
        "gunicorn",
        (FieldSign("server", "gunicorn"),),
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
)
