"""The OpenAI-compatible provider behind the AI service, and its failures.

The only module that imports `openai`, which is an optional dependency. The
key stays in here: it is in no text that leaves this module.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from proxy.system.install_command import install_command
from upstream_demo.chat_completion import MODEL
from upstream_demo.error_response import Refusal
from upstream_demo.streams import logger

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionMessageParam

Message: TypeAlias = dict[str, Any]

SHORTEST_KEY = 8  # characters; real ones have far more


@dataclass(frozen=True)
class Provider:
    """Whom to ask; `base_url` None means the embedded endpoint."""

    name: str
    model: str
    base_url: str | None
    api_key: str = field(repr=False)

    def masked(self, text: str) -> str:
        """`text` without the key: some providers repeat it in their errors."""
        # Servers that want no key are given a word, and a word is in any text.
        if len(self.api_key) < SHORTEST_KEY:
            return text
        return text.replace(self.api_key, "***")


def choose_provider(environ: Mapping[str, str]) -> Provider:
    """The provider whose key is set: OpenAI's, then DashScope's, then our own."""
    if key := environ.get("OPENAI_API_KEY"):
        return Provider(
            name="openai",
            model=environ.get("OPENAI_MODEL") or "gpt-4o-mini",
            base_url=environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1",
            api_key=key,
        )
    if key := environ.get("DASHSCOPE_API_KEY"):
        return Provider(
            name="dashscope",
            model=environ.get("DASHSCOPE_MODEL") or "qwen-plus",
            base_url=environ.get("DASHSCOPE_BASE_URL")
            or "https://dashscope.aliyuncs.com/compatible-mode/v1",
            api_key=key,
        )
    return Provider(name="embedded", model=MODEL, base_url=None, api_key="none")


class ProviderClient:
    """Asks one provider; holds its connections until `close`."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._client = create_client(provider)

    async def ask(
        self, messages: list[Message], embedded_url: str
    ) -> AsyncGenerator[str]:
        """Yield each chunk of the answer as JSON text, the moment it comes.

        Closing the iterator closes the connection to the provider.

        Raises:
            Refusal: the provider refused, broke, or ended without a finish.
        """
        if self._client is None:
            raise Refusal(
                501,
                f"the AI service needs the package openai: {install_command('demo')}",
                type="not_installed",
                code="openai_not_installed",
            )
        client = self._client
        if self.provider.base_url is None:
            client = client.with_options(base_url=embedded_url)
        finished = False
        try:
            stream = await client.chat.completions.create(
                model=self.provider.model,
                messages=cast("list[ChatCompletionMessageParam]", messages),
                stream=True,
            )
            async with stream:
                async for chunk in stream:
                    if any(choice.finish_reason for choice in chunk.choices):
                        finished = True
                    yield chunk.to_json(indent=None)
        except Exception as error:
            # Whatever breaks in the provider's answer is told to the caller:
            # the client raises its own errors, its HTTP library's and json's.
            raise explain(self.provider, error) from error
        if not finished:
            raise refusal(
                self.provider, 502, "ended its answer without a finish_reason"
            )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def explain(provider: Provider, error: Exception) -> Refusal:
    """What to tell the caller of an answer that `error` ended."""
    import openai

    if isinstance(error, openai.APIStatusError):
        status = error.status_code if error.status_code >= 400 else 502
        retry_after = error.response.headers.get("retry-after")
        headers = {"Retry-After": retry_after} if retry_after else {}
        return refusal(provider, status, reported(error), error, headers)
    if isinstance(error, openai.APITimeoutError):
        return refusal(provider, 504, "did not answer in time")
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        return refusal(
            provider, 502, f"cannot be reached or closed the connection: {cause}"
        )
    if isinstance(error, openai.APIError):
        return refusal(provider, 502, reported(error), error)
    return refusal(
        provider, 502, f"closed the connection or sent an unreadable response: {error}"
    )


def refusal(
    provider: Provider,
    status: int,
    what: str,
    error: openai.APIError | None = None,
    headers: Mapping[str, str] | None = None,
) -> Refusal:
    message = f"provider {provider.name!r} {provider.masked(what)}"
    logger.warning(message)
    return Refusal(
        status,
        message,
        type=(error.type if error else None) or "provider_error",
        param=error.param if error else None,
        code=error.code if error else None,
        headers=headers,
    )


def reported(error: openai.APIError) -> str:
    """The provider's own message, which the client wraps in its words."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return f"reported: {body['message']}"
    if isinstance(body, str) and body:
        return f"reported: {error.message}, with the text {body[:200]!r}"
    return f"reported: {error.message}"


def create_client(provider: Provider) -> openai.AsyncOpenAI | None:
    """The `openai` client, ready for its first call; None: not installed."""
    try:
        import openai
    except ImportError:
        return None
    client = openai.AsyncOpenAI(
        api_key=provider.api_key,
        base_url=provider.base_url or "http://127.0.0.1/v1",
        # A demo shows an error when it happens, not after silent attempts.
        max_retries=0,
        # HTTP_PROXY in the environment must not catch the call to ourselves.
        http_client=openai.DefaultAsyncHttpxClient(
            trust_env=provider.base_url is not None
        ),
    )
    # The client imports its parts on first use. Here, at the start, that
    # stops no stream of the services on the same event loop.
    _ = client.chat.completions
    return client
