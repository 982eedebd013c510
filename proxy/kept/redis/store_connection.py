"""The way to the server, or to the cluster that it belongs to.

All calls are given up after SECONDS, and their connection with them. What goes wrong is
told in words that show no secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import hiredis
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from proxy.config.store_url import StoreUrl
from proxy.errors import in_words
from proxy.kept.redis.scripts import ERROR, Script

SECONDS: Final = 2.0  # without an answer: the server is down, or too slow to be of use
OLDEST: Final = (6, 2)  # the first with XADD NOMKSTREAM and MINID
CANCEL_SECONDS: Final = 0.05  # after which a task is cancelled again
CONNECTIONS: Final = 16  # to one server, at most
CLOSED: Final = "the server closed the connection"
NEEDS_PASSWORD: Final = "the server requires a user and a password in url"
ERROR_NUMBER: Final = re.compile(r"\b(?:Error|Errno) (\d+)\b")
MOST_TEXT: Final = 200  # characters of what a server says

PACK: Final[Any] = hiredis.pack_command  # whose types know one argument only

Argument = bytes | str | int | float
Message = tuple[bytes, bytes]  # a channel and a text


class StoreFault(Exception):
    """The server cannot be used now; the text says why."""


class Call(NamedTuple):
    """A script for some streams: of each, its keys and its arguments."""

    script: Script
    items: Sequence[tuple[Sequence[bytes], Sequence[Argument]]]


class StoreConnection:
    """Opened again after each failure."""

    def __init__(self, url: StoreUrl) -> None:
        self.url = url
        self.client: Any = None
        self.cluster: Any = None
        # When the server was started, on the loop's clock, if it is one and says so.
        self.started: float | None = None

    async def open(self) -> None:
        """Connect, and find out what is there.

        Raises:
            StoreFault: it cannot be used.
        """
        self.client = Redis(**self.arguments())
        with faults():
            async with asyncio.timeout(SECONDS):
                await self.client.ping()
                server = await self.info("server")
                cluster = await self.info("cluster")
                check_version(server)
                self.started = None
                if cluster.get("cluster_enabled"):
                    await self.open_cluster()
                elif isinstance(seconds := server.get("uptime_in_seconds"), int):
                    self.started = asyncio.get_running_loop().time() - seconds

    async def info(self, section: str) -> dict[str, Any]:
        """What a server says of itself; nothing if the user may not ask."""
        try:
            found = await self.client.info(section)
        except NoPermissionError:
            return {}
        return dict(found) if isinstance(found, dict) else {}

    async def open_cluster(self) -> None:
        """Have the nodes of the cluster in place of the one server."""
        arguments = self.arguments()
        del arguments["db"]
        if self.url.path:
            raise StoreFault("a cluster cannot be reached by a Unix socket")
        self.cluster = RedisCluster(require_full_coverage=False, **arguments)
        await self.cluster.initialize()

    def arguments(self, timeout: float | None = SECONDS) -> dict[str, Any]:
        """What redis-py is told."""
        url = self.url
        found: dict[str, Any] = {
            "db": url.db,
            "username": url.username or None,
            "password": url.password or None,
            "socket_timeout": timeout,
            "socket_connect_timeout": SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "max_connections": CONNECTIONS,
        }
        if url.path:
            return {**found, "unix_socket_path": url.path}
        found |= {"host": url.host, "port": url.port}
        if url.tls:
            options = dict(url.options)
            check = options.pop("ssl_check_hostname", "true") == "true"
            found |= {"ssl": True, "ssl_check_hostname": check, **options}
        return found

    async def close(self) -> None:
        """Be open no longer. Never raises."""
        cluster, self.cluster = self.cluster, None
        client, self.client = self.client, None
        for each in (cluster, client):
            if each is not None:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(SECONDS):
                        await each.aclose()

    # -- calls

    async def call(
        self, calls: Sequence[Call], messages: Sequence[Message] = ()
    ) -> list[list[Any]]:
        """Run scripts one after the other; for each the results of its streams.

        `messages` are sent when all of them have been run.

        Raises:
            StoreFault: they were not run, or not all of them.
        """
        if self.cluster is None:
            commands = [command_of(each.script, each.items) for each in calls]
            sent = [("PUBLISH", channel, text) for channel, text in messages]
            results: list[list[Any]] = await self.run([*commands, *sent])
            results = results[: len(calls)]
        else:
            commands = [
                command_of(each.script, [item]) for each in calls for item in each.items
            ]
            single = iter(await self.run(commands))
            results = [[next(single)[0] for _ in each.items] for each in calls]
            if messages:
                await self.publish(messages)
        for result in results:
            for each in result:
                if each[0] == ERROR:
                    raise StoreFault(server_fault(each[1].decode("utf-8", "replace")))
        return results

    async def run(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run commands in one turn, each of one key; their raw results.

        Raises:
            StoreFault: one of them at least was not run.
        """
        client = self.client if self.cluster is None else self.cluster
        if client is None:
            raise StoreFault("not connected")
        with faults():
            async with asyncio.timeout(SECONDS):
                if self.cluster is None:
                    return await self.run_packed(commands)
                pipeline = client.pipeline()
                for command in commands:
                    pipeline.execute_command(*command)
                results = await pipeline.execute(raise_on_error=False)
            for each in results:
                if isinstance(each, Exception):
                    raise each
        return list(results)

    async def run_packed(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """The same, by one server.

        Not by redis-py's pipeline: it packs each argument by itself, in Python, which
        took half of the time of a flush.
        """
        packed = [PACK(tuple(command)) for command in commands]
        pool = self.client.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command(packed)
            results, failed = [], None
            for _ in commands:
                try:
                    results.append(await connection.read_response())
                except ResponseError as error:  # the next one is still to be read
                    failed = failed or error
            if failed is not None:
                raise failed
            return results
        except BaseException as error:
            if not isinstance(error, ResponseError):
                await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Send messages to channels.

        Raises:
            StoreFault: they were not sent.
        """
        commands = [("PUBLISH", channel, text) for channel, text in messages]
        if self.cluster is None:
            await self.run(commands)
            return
        with faults():
            async with asyncio.timeout(SECONDS):
                for command in commands:
                    await self.cluster.execute_command(*command)

    def listener(self) -> Any:
        """A connection for messages: of its own, since it waits for them."""
        arguments = self.arguments(timeout=None)
        if self.cluster is not None:
            node = self.cluster.get_random_node()
            arguments |= {"host": node.host, "port": node.port}
        return Redis(**arguments)


def command_of(
    script: Script, items: Sequence[tuple[Sequence[bytes], Sequence[Argument]]]
) -> list[Argument]:
    """A script as one command."""
    command: list[Argument] = ["EVAL", script.text, len(items) * script.keys]
    for keys, _ in items:
        command += keys
    for _, arguments in items:
        command += arguments
    return command


def check_version(server: dict[str, Any]) -> None:
    """Is it one that knows all commands?

    Raises:
        StoreFault: it is too old.
    """
    version = str(server.get("redis_version", ""))
    numbers = version.split(".")[:2]
    known = len(numbers) == 2 and all(each.isdigit() for each in numbers)
    if known and tuple(map(int, numbers)) < OLDEST:
        raise StoreFault(f"the server is Redis {version}: 6.2 or later is required")


async def end_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: `wait_for` of Python 3.11, by which redis-py writes, takes no
    notice of it if what it waits for is done at that moment.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)


# -- what goes wrong


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """Have whatever the server or the network does be a StoreFault."""
    try:
        yield
    except StoreFault:
        raise
    except (TimeoutError, NoAnswer):
        raise StoreFault(f"no answer within {SECONDS:g} s") from None
    except (RedisError, RedisClusterException, OSError, ValueError) as error:
        raise StoreFault(in_plain_words(error)) from error


def in_plain_words(error: BaseException) -> str:
    """Why a call has failed."""
    cause = cause_of(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not valid: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or "").lower().replace("_", " ")
        return f"TLS failed ({reason}): does the server expect redis:// instead?"
    if isinstance(error, InvalidResponse):
        return "the server does not speak the Redis protocol"
    if isinstance(error, AuthenticationError):
        if "required" in said(error):
            return NEEDS_PASSWORD
        return f"the server refused the user or the password ({said(error)})"
    if isinstance(error, BusyLoadingError):
        return "the server is still loading its data"
    if isinstance(error, ResponseError):
        return server_fault(str(error), error)
    if isinstance(cause, ConnectionResetError | BrokenPipeError):
        return CLOSED
    if isinstance(cause, OSError):
        return f"cannot connect: {system_text(cause)}"
    if isinstance(error, NoConnection):
        return network_fault(said(error))
    return said(error)


def network_fault(text: str) -> str:
    """What redis-py says of the network, where it does not say what was raised."""
    number = ERROR_NUMBER.search(text)
    if number is not None and "connecting" in text:
        return f"cannot connect: {os.strerror(int(number[1])).lower()}"
    if "closed" in text or "while reading" in text or "while writing" in text:
        return CLOSED
    return text


def server_fault(text: str, error: BaseException | None = None) -> str:
    """What a server answers in place of a result."""
    if isinstance(error, OutOfMemoryError) or "OOM" in text or "maxmemory" in text:
        return "the server is full (maxmemory)"
    if isinstance(error, ReadOnlyError) or "READONLY" in text:
        return "the server is a replica, which cannot be written to"
    if "NOAUTH" in text or "WRONGPASS" in text:
        return NEEDS_PASSWORD
    return f"the server answered: {' '.join(text.split())[:MOST_TEXT]}"


def system_text(error: OSError) -> str:
    """What the system says, which asyncio words in its own way."""
    if error.errno is None or error.errno < 0:  # of a name that has no address
        return in_words(error)
    return os.strerror(error.errno).lower()


def said(error: BaseException) -> str:
    """The text of an error, on one line."""
    text = " ".join(str(error).split())[:MOST_TEXT].rstrip(".")
    return text or type(error).__name__


def cause_of(error: BaseException) -> BaseException | None:
    """What was raised first: redis-py wraps what the system says."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError):
            return found
        found = found.__cause__ or found.__context__
    return None
