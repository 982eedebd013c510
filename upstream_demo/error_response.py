"""Every answer that is not what was asked for, as JSON of one shape.

The shape is the error object of the OpenAI API, so that one reader in the
page understands all services: {"error": {"message", "type", "param", "code"}}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from upstream_demo.streams import has_left

ErrorObject: TypeAlias = dict[str, dict[str, str | None]]

# Chinese stays readable in curl.
json_text = partial(json.dumps, ensure_ascii=False)


class Refusal(Exception):
    """Ends a handler with `status`; `param` names what the client must change."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def error_object(self) -> ErrorObject:
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


@web.middleware
async def answer_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a `Refusal`, and what aiohttp itself refuses, into the JSON shape."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return to_response(refusal)
    except web.HTTPError as error:
        return to_response(from_http_error(request, error))
    except ConnectionError:
        if not has_left(request):
            raise
        # Nobody reads it; without it aiohttp would log a failure of ours.
        return web.Response()


def to_response(refusal: Refusal) -> web.Response:
    return web.json_response(
        refusal.error_object(),
        status=refusal.status,
        headers=refusal.headers,
        dumps=json_text,
    )


def from_http_error(request: web.Request, error: web.HTTPError) -> Refusal:
    message = error.text or error.reason
    headers: dict[str, str] = {}
    if isinstance(error, web.HTTPNotFound):
        paths = sorted({each.canonical for each in request.app.router.resources()})
        message = f"not found: {request.path}; this service has {', '.join(paths)}"
    elif isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        headers["Allow"] = allowed
        message = f"{request.method} is not allowed for {request.path}; use {allowed}"
    return Refusal(error.status, message, headers=headers)
