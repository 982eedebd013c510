"""Frameworks of applications, and the middleware that comes with them."""

from __future__ import annotations

from proxy.products.hold_kind import ANY, HEAD, HELD
from proxy.products.product import BACK_END, FLUSH_HEAD, Cure, FieldSign, row

DAY = "2026-11-29"  # of the measurements

FRAMEWORKS = (
    row(
        "django",
        "Django",
        (FieldSign("server", "wsgiserver"),),
        Cure(
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
            freed="Django 5.2 under uvicorn",
            on=DAY,
        ),
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
            "compression() buffers a whole block; or call res.flush() after each event",
            freed="compression 1.8",
            on=DAY,
        ),
        Cure(
            HELD,
            BACK_END,
            "Cache-Control: no-cache, no-transform",
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
    ),
)
