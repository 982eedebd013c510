"""A whole Django project in one file, under ASGI."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"])


async def messages() -> AsyncIterator[str]:
    for number in count(1):
        yield f"data: message {number}\n\n"
        await asyncio.sleep(1)


async def events(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(messages(), content_type="text/event-stream")


urlpatterns = [path("events", events)]
application = get_asgi_application()
