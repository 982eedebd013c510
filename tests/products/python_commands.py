"""How applications of Python frameworks are started."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import indent

from tests.products.product_command import HERE, Product

# Where .ci/run puts an older Starlette.
OLD = HERE.parents[1] / "build" / "products"
STARLETTE = """
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from tests.products.applications import ask, generate, media_type

async def events(request):
    ask(request.url.query)
    return StreamingResponse(generate(), media_type=media_type())

app = Starlette(routes=[Route("/api/events", events)])
"""
DJANGO = """
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
from django.core.asgi import get_asgi_application
from django.http import StreamingHttpResponse
from django.urls import path
from tests.products.applications import ask, blocking, generate
"""
DJANGO_URLS = """
import inspect

async def asked(request):
    ask(request.META["QUERY_STRING"])
    answer = events(request)
    return await answer if inspect.isawaitable(answer) else answer

urlpatterns = [path("api/events", asked)]
app = get_asgi_application()
"""
WSGI = """
from tests.products.applications import ask, blocking, media_type, more_fields

def app(environ, start_response):
    ask(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", media_type()), *more_fields()])
    return blocking()
"""


def uvicorn(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    return asgi(port, f"{STARLETTE}\n{lines}\n", folder)


def starlette_old(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: empty, or the requirement that is newer."""
    old = "" if lines else f"import sys; sys.path.insert(0, {str(OLD)!r})\n"
    gzip = "app.add_middleware(GZipMiddleware)"
    return asgi(port, f"{old}{STARLETTE}\n{gzip}\n", folder)


def django(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    return asgi(port, f"{DJANGO}\n{lines}\n{DJANGO_URLS}", folder)


def asgi(port: int, text: str, folder: Path) -> list[str]:
    (folder / "app.py").write_text(text)
    return [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port),
            "--app-dir", str(folder), "--log-level", "warning"]  # fmt: skip


def gunicorn(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: the command, from which its options are taken."""
    (folder / "app.py").write_text(WSGI)
    return [sys.executable, "-m", *lines.split(), "--bind", f"127.0.0.1:{port}",
            "--chdir", str(folder), "--log-level", "error"]  # fmt: skip


FLASK = """
from flask import Flask, Response, request
from flask_compress import Compress
from tests.products.applications import ask, blocking, media_type

app = Flask(__name__)
app.config["COMPRESS_MIMETYPES"] = ["text/event-stream"]

@app.route("/api/events")
def events():
    ask(request.query_string.decode())
    fields = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
    return Response(blocking(), content_type=media_type(), headers=fields)
"""
DJANGO_WSGI = """
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x",
                   MIDDLEWARE={middleware})
from django.core.wsgi import get_wsgi_application
from django.http import StreamingHttpResponse
from django.urls import path
from tests.products.applications import ask, blocking as generate
from tests.products.applications import generate as awaiting
"""
DJANGO_WSGI_URLS = """
def asked(request):
    ask(request.META["QUERY_STRING"])
    response = events(request)
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response

urlpatterns = [path("api/events", asked)]
app = get_wsgi_application()
"""
AIOHTTP = """
import sys
from aiohttp import web
from tests.products.applications import ask, generate, media_type

async def events(request):
    ask(request.query_string)
    response = web.StreamResponse(headers={
        "Content-Type": media_type(), "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no"})
{lines}
    await response.prepare(request)
    async for piece in generate():
        await response.write(piece)
    return response

app = web.Application()
app.router.add_get("/api/events", events)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
TORNADO = """
import asyncio
import sys
from tornado.web import Application, RequestHandler
from tests.products.applications import ask, generate, media_type

class Events(RequestHandler):
    async def get(self):
        ask(self.request.query)
        self.set_header("Content-Type", media_type())
        self.set_header("Cache-Control", "no-cache, no-transform")
        self.set_header("X-Accel-Buffering", "no")
        async for piece in generate():
            self.write(piece)
{lines}

async def main():
    app = Application([("/api/events", Events)], compress_response={gzip})
    app.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
"""
SANIC = """
from sanic import Sanic
from tests.products.applications import ask, generate, media_type

app = Sanic("events")

@app.get("/api/events")
async def events(request):
    ask(request.query_string)
    response = await request.respond(content_type=media_type())
    async for piece in generate():
        await response.send(piece)

if __name__ == "__main__":
    import sys
    app.run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False)
"""


def waitress(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: the command, from which its options are taken."""
    (folder / "app.py").write_text(WSGI)
    _, *given = lines.split()
    return [sys.executable, "-m", "waitress",
            f"--listen=127.0.0.1:{port}", *given]  # fmt: skip


def flask(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "app.py").write_text(f"{FLASK}\n{lines}\nCompress(app)\n")
    return on_gunicorn(port, folder)


def django_wsgi(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: the view, and after `---` the middleware, if there is any."""
    view, _, gzip = lines.partition("---")
    names = ["django.middleware.gzip.GZipMiddleware"] if gzip else []
    top = DJANGO_WSGI.replace("{middleware}", str(names))
    (folder / "app.py").write_text(f"{top}\n{view}\n{DJANGO_WSGI_URLS}")
    return on_gunicorn(port, folder)


def on_gunicorn(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "app:app", "--threads", "4",
            "--bind", f"127.0.0.1:{port}", "--chdir", str(folder),
            "--log-level", "error"]  # fmt: skip


def aiohttp(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    return script(AIOHTTP.replace("{lines}", indent(lines, "    ")), port, folder)


def tornado(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: what follows each write; `---` switches compression on."""
    after, _, gzip = lines.partition("---")
    text = TORNADO.replace("{lines}", indent(after, " " * 12))
    return script(text.replace("{gzip}", str(bool(gzip))), port, folder)


def sanic(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    return script(SANIC, port, folder)


def script(text: str, port: int, folder: Path) -> list[str]:
    (folder / "app.py").write_text(text)
    return [sys.executable, str(folder / "app.py"), str(port)]


def granian(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "app.py").write_text(f"{STARLETTE}\n{lines}\n")
    return [sys.executable, "-m", "granian", "app:app", "--interface", "asgi",
            "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(folder),
            "--no-log"]  # fmt: skip


PYTHON = (
    Product("starlette-old", f"{OLD}/starlette", starlette_old),
    Product("waitress", "python:waitress", waitress),
    Product("gunicorn-flask", "python:gunicorn+flask_compress", flask),
    Product("gunicorn-django", "python:gunicorn+django", django_wsgi),
    Product("aiohttp", "python:aiohttp", aiohttp),
    Product("tornado", "python:tornado", tornado),
    Product("sanic", "python:sanic", sanic),
    Product("granian", "python:granian+starlette", granian),
    Product("uvicorn", "python:uvicorn+starlette", uvicorn),
    Product("django", "python:uvicorn+django", django),
    Product("gunicorn", "python:gunicorn", gunicorn),
)
