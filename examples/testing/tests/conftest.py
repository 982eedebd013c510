"""The application on a real port, since a stream needs one."""

import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from main import app


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def serve_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Start the application with a feed: `url = serve_app(feed_url)`."""
    started: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(feed: str) -> str:
        monkeypatch.setenv("FEED", feed)
        config = uvicorn.Config(app, port=0, log_level="warning")
        listening = config.bind_socket()
        listening.listen()  # so that whoever connects waits until it serves
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        started.append((server, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, thread in started:
        server.should_exit = server.force_exit = True
        thread.join()
