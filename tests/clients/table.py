"""What real clients make of streams: one row for each, for the tests and the docs.

The tests of this package try each row; docs/families.md prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.clients import answers
from tests.clients.answers import Answer

AS_COMPLETE = "a complete answer"  # what a clean end is to most of them


@dataclass(frozen=True)
class Client:
    """A library that reads the streams of one family.

    `calls`: the ways to ask that its driver knows. `on_event`: what it does at the
    failure event of the family; `on_abort`: at an end without the last chunk;
    `on_clean_end`: at a clean end that lacks the terminal event. `unaware`: the calls
    to which that clean end is a success. `drops`: when the connection breaks, it
    forgets what it has received and not yet read, the failure event among it.
    `rests`: seconds that it waits for the rest of an answer that was cut.
    """

    title: str
    package: str
    version: str  # as tested, or newer
    driver: str  # a file in drivers/
    calls: tuple[str, ...]
    family: str  # its name in proxy/stream/families.py
    answer: Callable[[], Answer]
    on_event: str
    on_abort: str
    on_clean_end: str = AS_COMPLETE
    drops: bool = False
    unaware: tuple[str, ...] = ()
    reconnects: bool = False  # of its own accord, whatever the end is
    reads: bool = False  # a GET without an end of its own: a clean end is no failure
    rests: float = 0
    old: bool = False  # a release that is not the newest, beside it

    @property
    def name(self) -> str:
        """For test ids."""
        name = self.driver.replace("_client", "").removesuffix(".py")
        return f"{name}-old" if self.old else name

    @property
    def language(self) -> str:
        """Where it runs."""
        if self.driver == BROWSER:
            return "Chromium"
        return "Node" if self.driver.endswith(".mjs") else "Python"


BROWSER = "browser.py"
TERMINATED = "`TypeError: terminated`"
CUT_IN_PYTHON = "`RemoteProtocolError`, `ReadError`"

CHAT = ("chat", "chat.async", "chat.helper")
RESPONSES = ("responses", "responses.async", "responses.helper")

CLIENTS: tuple[Client, ...] = (
    Client(
        title="openai",
        package="openai",
        version="3.57.0",
        driver="openai_client.py",
        calls=CHAT,
        family="openai-chat",
        answer=answers.openai_chat,
        on_event="`APIError` with the message",
        on_abort="`APIConnectionError`",
        unaware=CHAT,
    ),
    Client(
        title="openai",
        package="openai",
        version="3.57.0",
        driver="openai_client.py",
        calls=RESPONSES,
        family="openai-responses",
        answer=answers.openai_responses,
        on_event="`APIError` with the message",
        on_abort="`APIConnectionError`",
        on_clean_end=f"{AS_COMPLETE}; `responses.stream`: `RuntimeError`",
        unaware=RESPONSES[:2],
    ),
    Client(
        title="openai",
        package="openai",
        version="2.37.0",
        old=True,
        driver="openai_client.py",
        calls=("chat", "chat.async"),
        family="openai-chat",
        answer=answers.openai_chat,
        on_event="`APIError` with the message",
        on_abort=CUT_IN_PYTHON,
        unaware=("chat", "chat.async"),
    ),
    Client(
        title="openai",
        package="openai",
        version="2.37.0",
        old=True,
        driver="openai_client.py",
        calls=("responses", "responses.helper"),
        family="openai-responses",
        answer=answers.openai_responses,
        on_event="`APIError` with the message",
        on_abort=CUT_IN_PYTHON,
        on_clean_end=f"{AS_COMPLETE}; `responses.stream`: `RuntimeError`",
        unaware=("responses",),
    ),
    Client(
        title="openai",
        package="openai",
        version="7.59.0",
        driver="openai_client.mjs",
        calls=("chat", "chat.helper"),
        family="openai-chat",
        answer=answers.openai_chat,
        on_event="`APIError` with the message",
        on_abort=TERMINATED,
        on_clean_end=f"{AS_COMPLETE}; `chat.completions.stream`: `OpenAIError`",
        unaware=("chat",),
    ),
    Client(
        title="openai",
        package="openai",
        version="7.59.0",
        driver="openai_client.mjs",
        calls=("responses", "responses.helper"),
        family="openai-responses",
        answer=answers.openai_responses,
        on_event="`APIError` with the message",
        on_abort=TERMINATED,
        unaware=("responses", "responses.helper"),
    ),
    Client(
        title="AI SDK, `@ai-sdk/openai`",
        package="@ai-sdk/openai",
        version="4.0.118",
        driver="ai_client.mjs",
        calls=("chat.openai",),
        family="openai-chat",
        answer=answers.openai_chat,
        on_event="an `error` part: `StreamProviderError` with the message",
        on_abort="an `error` part: `AI_APICallError`",
        unaware=("chat.openai",),
        drops=True,
    ),
    Client(
        title="AI SDK, `@ai-sdk/openai-compatible`",
        package="@ai-sdk/openai-compatible",
        version="3.0.92",
        driver="ai_client.mjs",
        calls=("chat",),
        family="openai-chat",
        answer=answers.openai_chat,
        on_event="an `error` part: `StreamProviderError` with the message",
        on_abort="an `error` part: `AI_APICallError`",
        on_clean_end="an `error` part: `AI_InvalidResponseDataError`",
        drops=True,
    ),
    Client(
        title="AI SDK, `@ai-sdk/openai`",
        package="@ai-sdk/openai",
        version="4.0.118",
        driver="ai_client.mjs",
        calls=("responses",),
        family="openai-responses",
        answer=answers.openai_responses,
        on_event="an `error` part: `StreamProviderError` with the message",
        on_abort="an `error` part: `AI_APICallError`",
        unaware=("responses",),
        drops=True,
    ),
    Client(
        title="anthropic",
        package="anthropic",
        version="2.14.0",
        driver="anthropic_client.py",
        calls=("messages", "messages.async", "messages.helper"),
        family="anthropic",
        answer=answers.anthropic,
        on_event="`APIStatusError` with the message",
        on_abort=CUT_IN_PYTHON,
        unaware=("messages", "messages.async", "messages.helper"),
    ),
    Client(
        title="@anthropic-ai/sdk",
        package="@anthropic-ai/sdk",
        version="1.14.0",
        driver="anthropic_client.mjs",
        calls=("messages", "messages.helper"),
        family="anthropic",
        answer=answers.anthropic,
        on_event="`APIError` with the message",
        on_abort=TERMINATED,
        on_clean_end=f"{AS_COMPLETE}; `messages.stream`: `AnthropicError`",
        unaware=("messages",),
    ),
    Client(
        title="google-genai",
        package="google-genai",
        version="3.6.1",
        driver="genai_client.py",
        calls=("generate", "generate.async"),
        family="gemini",
        answer=answers.gemini,
        on_event="`ServerError` with the message",
        on_abort=CUT_IN_PYTHON,
        unaware=("generate", "generate.async"),
    ),
    Client(
        title="@google/genai",
        package="@google/genai",
        version="3.3.0",
        driver="genai_client.mjs",
        calls=("generate",),
        family="gemini",
        answer=answers.gemini,
        on_event="`ApiError` with the message",
        on_abort=TERMINATED,
        unaware=("generate",),
    ),
    Client(
        title="AI SDK, `readUIMessageStream`",
        package="ai",
        version="7.0.173",
        driver="ai_client.mjs",
        calls=("ui",),
        family="ai-sdk",
        answer=answers.ai_sdk,
        on_event="`Error` with the message",
        on_abort=TERMINATED,
        unaware=("ui",),
        drops=True,
    ),
    Client(
        title="AI SDK, `useChat`",
        package="@ai-sdk/react",
        version="4.0.177",
        driver=BROWSER,
        calls=("chat",),
        family="ai-sdk",
        answer=answers.ai_sdk,
        on_event="`onError` with the message",
        on_abort="`onError`: `TypeError: network error`",
        unaware=("chat",),
        drops=True,
    ),
    Client(
        title="@ag-ui/client",
        package="@ag-ui/client",
        version="1.0.0",
        driver="ag_ui_client.mjs",
        calls=("run",),
        family="ag-ui",
        answer=answers.ag_ui,
        on_event="`onRunErrorEvent` with the message",
        on_abort=f"{TERMINATED}, and an unhandled rejection that ends the process",
        unaware=("run",),
    ),
    Client(
        title="mcp",
        package="mcp",
        version="2.3.0",
        driver="mcp_client.py",
        calls=("2025", "2026"),
        family="json-rpc",
        answer=answers.mcp,
        on_event="`MCPError` with the message",
        on_abort="`MCPError`",
        on_clean_end="`MCPError`",
    ),
    Client(
        title="@modelcontextprotocol/client",
        package="@modelcontextprotocol/client",
        version="2.4.0",
        driver="mcp_client.mjs",
        calls=("2025", "2026"),
        family="json-rpc",
        answer=answers.mcp,
        on_event="`ProtocolError` with the message",
        on_abort="waits for its own timeout (60 s), then `SdkError`",
        on_clean_end="waits for its own timeout (60 s), then `SdkError`",
        rests=1,
    ),
    Client(
        title="ollama",
        package="ollama",
        version="0.6.3",
        driver="ollama_client.py",
        calls=("chat", "chat.async"),
        family="ollama",
        answer=answers.ollama,
        on_event="`ResponseError` with the message",
        on_abort=CUT_IN_PYTHON,
        unaware=("chat", "chat.async"),
    ),
    Client(
        title="ollama",
        package="ollama",
        version="0.6.4",
        driver="ollama_client.mjs",
        calls=("chat",),
        family="ollama",
        answer=answers.ollama,
        on_event="`Error` with the message",
        on_abort=TERMINATED,
        on_clean_end="`Error`",
    ),
    Client(
        title="httpx-sse",
        package="httpx-sse",
        version="0.4.3",
        driver="httpx_client.py",
        calls=("events",),
        family="event-stream",
        answer=answers.plain,
        on_event="a `ServerSentEvent` of type `error`",
        on_abort=CUT_IN_PYTHON,
        unaware=("events",),
        reads=True,
    ),
    Client(
        title="@microsoft/fetch-event-source",
        package="@microsoft/fetch-event-source",
        version="2.0.1",
        driver=BROWSER,
        calls=("fetchEventSource",),
        family="event-stream",
        answer=answers.plain,
        on_event="`onmessage` with an event of type `error`",
        on_abort="`onerror`: `TypeError: network error`",
        unaware=("fetchEventSource",),
        reads=True,
    ),
    Client(
        title="EventSource",
        package="",
        version="",
        driver=BROWSER,
        calls=("eventSource",),
        family="event-stream",
        answer=answers.plain,
        on_event="an `error` event with the data; then it reconnects",
        on_abort="an `error` event; then it reconnects",
        on_clean_end="an `error` event; then it reconnects",
        reconnects=True,
        reads=True,
    ),
)
