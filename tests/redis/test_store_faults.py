"""A server that is gone, empty, slow, full, wrong or not one at all."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as NoConnection

from proxy.kept.redis.outages import QUIET_SECONDS
from proxy.kept.redis.store_connection import (
    CLOSED,
    NEEDS_PASSWORD,
    StoreFault,
    check_version,
    in_plain_words,
)
from proxy.kept.shared_store import StoreUnavailable, StreamEnd
from proxy.policy.stream_identity import new_id
from tests.conftest import ManualClock
from tests.redis.conftest import StartNode
from tests.support.certificates import Authority
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.slow_network import SlowNetwork
from tests.support.store_nodes import GUARD, StoreNode, eventually, store_node

pytestmark = needs_redis

ID = b"0-0123456789abcdef0123456789abcdef"
PASSWORD = "pa55word"
GOES_ON = "; streams go on, but new ones cannot be resumed"


@pytest.fixture(autouse=True)
def noted(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="unbuffered")
    return caplog


def warnings(noted: pytest.LogCaptureFixture) -> list[str]:
    """What was said of a store that is down, after its address."""
    return [
        record.getMessage().partition(": ")[2]
        for record in noted.records
        if record.levelno == logging.WARNING
    ]


async def refused(url: str) -> str:
    """Why a server is not used."""
    node = StoreNode(url)
    try:
        await node.store.open()
        assert not node.store.up
        assert not node.store.secret
        with pytest.raises(StoreUnavailable):
            await node.store.find(ID)
        return node.store.state().reason
    finally:
        await node.store.close()


# -- it goes and comes back


@pytest.mark.parametrize("keeps", [True, False], ids=["with its data", "empty"])
async def test_a_server_is_killed_and_started_again(
    program: str, start_node: StartNode, noted: pytest.LogCaptureFixture, keeps: bool
) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always") if keeps else ()
    with RedisServer(*options, program=program) as server:
        one, two = await start_node(server.url), await start_node(server.url)
        written = one.own(ID)
        one.store.name(ID, "key", "/sse", b"chat", b"who", 60)
        for number in range(50):
            written.event(b"before %d" % number)
        await eventually(lambda: not one.store.state().unwritten)
        feed, _ = two.follow(ID)
        await eventually(lambda: feed.content == written.content)
        server.kill()
        for number in range(50):
            written.event(b"meanwhile %d" % number)
        await eventually(lambda: not one.store.up and not two.store.up)
        assert one.store.state().unwritten > 0
        with pytest.raises(StoreUnavailable):
            await two.store.find(ID)
        server.start()
        await eventually(lambda: one.store.up and two.store.up)
        for number in range(50):
            written.event(b"afterwards %d" % number)
        await eventually(lambda: feed.content == written.content)
        assert feed.told == []  # nobody was taken for dead
        late, _ = two.follow(ID)
        await eventually(lambda: late.content == written.content)
        await eventually(lambda: not one.store.names.changes)
        assert await two.store.find_name("key", "/sse", b"chat", b"who") == [ID]
        written.end()
        await eventually(lambda: feed.told == late.told == [StreamEnd("complete")])
        assert one.store.state().outages == 1
        assert one.store.state().rewritten == (0 if keeps else 1)
    assert len(warnings(noted)) == 2  # of each node one
    for said in warnings(noted):
        assert said.endswith("; streams go on, but new ones cannot be resumed")


async def test_right_behind_an_outage_nothing_is_said_not_to_be_there(
    server: RedisServer, start_node: StartNode
) -> None:
    """Others may have yet to write their streams again."""
    node = await start_node(server.url)
    name = ("key", "/sse", b"chat", b"who")
    assert await node.store.find(ID) is None
    assert await node.store.find_name(*name) == []
    server.kill()
    await eventually(lambda: not node.store.up)
    server.start()
    await eventually(lambda: node.store.up)
    with pytest.raises(StoreUnavailable):
        await node.store.find(ID)
    with pytest.raises(StoreUnavailable):
        await node.store.find_name(*name)
    node.store.life.trusted_at = 0.0  # as it is 5 s later
    assert await node.store.find(ID) is None
    assert await node.store.find_name(*name) == []


async def test_of_a_stream_that_is_gone_it_is_known_which_of_the_two_died(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    made_by_one = new_id(0, one.store.node)
    missing = await two.store.why_missing(made_by_one)
    assert missing.maker_alive
    assert missing.store_seconds is not None
    assert missing.store_seconds < GUARD * 60
    one.kill()
    await eventually(lambda: not server.do("KEYS", f"*:node:{one.store.node}"))
    assert not (await two.store.why_missing(made_by_one)).maker_alive
    assert not (await two.store.why_missing(new_id(0))).maker_alive


async def test_a_server_that_is_paused_is_down_until_it_answers(
    server: RedisServer, start_node: StartNode, noted: pytest.LogCaptureFixture
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"before")
    await eventually(lambda: not one.store.state().unwritten)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == written.content)
    server.do("CLIENT", "PAUSE", "3500", "ALL")
    written.event(b"meanwhile")
    await eventually(lambda: not one.store.up)
    assert one.store.state().reason == "no answer within 2 s"
    await eventually(lambda: one.store.up and two.store.up)
    written.event(b"afterwards")
    await eventually(lambda: feed.content == written.content)
    written.end()
    await eventually(lambda: feed.told)
    assert feed.told == [StreamEnd("complete")]
    assert warnings(noted)[0].startswith("no answer within 2 s; ")


async def test_a_full_server_is_down_until_there_is_room(
    program: str, start_node: StartNode
) -> None:
    with RedisServer(
        "--maxmemory", "8mb", "--maxmemory-policy", "noeviction", program=program
    ) as server:
        one, two = await start_node(server.url), await start_node(server.url)
        written = one.own(ID)
        for number in range(20):
            written.event(b"%d %b" % (number, bytes(range(48, 58)) * 100_000))
        await eventually(lambda: not one.store.up)
        assert one.store.state().reason == "the server is full (maxmemory)"
        written.event(b"goes on")
        server.do("CONFIG", "SET", "maxmemory", "100mb")
        await eventually(lambda: not one.store.state().unwritten and one.store.up)
        await eventually(lambda: two.store.up)
        feed, _ = two.follow(ID)
        await eventually(lambda: feed.end == len(written.content))
        assert feed.content == written.content[feed.begin :]


async def test_a_server_that_is_not_there_at_the_start_is_used_later(
    program: str, noted: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(program=program)
    async with store_node(server.url) as node:
        assert not node.store.up
        assert node.store.state().reason == "cannot connect: connection refused"
        with server:
            await eventually(lambda: node.store.up)
            node.own(ID).event(b"x")
            await eventually(lambda: node.store.state().written)
    assert warnings(noted) == [
        "cannot connect: connection refused; streams go on, but new ones cannot be "
        "resumed"
    ]


async def test_a_reason_that_lasts_is_told(
    program: str, noted: pytest.LogCaptureFixture
) -> None:
    """Not only the first one, which says no more than that the connection broke."""
    clock = ManualClock()
    with RedisServer(program=program) as server:
        node = StoreNode(server.url)
        node.store.outages.clock = clock
        try:
            await node.store.open()
            assert node.store.up
            server.kill()
            refused = "cannot connect: connection refused"
            await eventually(lambda: node.store.outages.reason == refused)
            server.password, server.options = PASSWORD, ("--requirepass", PASSWORD)
            server.start()
            await eventually(lambda: node.store.outages.reason == NEEDS_PASSWORD)
            assert len(warnings(noted)) == 1
            clock.advance(QUIET_SECONDS)
            await eventually(lambda: len(warnings(noted)) == 2)
            assert warnings(noted)[1] == NEEDS_PASSWORD + GOES_ON
        finally:
            await node.store.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            NoConnection("Error 111 connecting to 127.0.0.1:6379. Connection refused."),
            "cannot connect: connection refused",
        ),
        (
            NoConnection(
                "Error Multiple exceptions: [Errno 111] Connect call failed ('::1', 1),"
                " [Errno 111] Connect call failed ('127.0.0.1', 1) connecting to "
                "localhost:1."
            ),
            "cannot connect: connection refused",
        ),
        (NoConnection("Connection closed by server."), CLOSED),
        (
            NoConnection("Error while reading from a:1 : (104, 'Connection reset')"),
            CLOSED,
        ),
        (NoConnection("Error UNKNOWN while writing to socket. x."), CLOSED),
        (NoConnection("Connection has data"), "Connection has data"),
        (AuthenticationError("Authentication required."), NEEDS_PASSWORD),
        (
            AuthenticationError("invalid username-password pair or user is disabled."),
            "the server refused the user or the password (invalid username-password "
            "pair or user is disabled)",
        ),
    ],
)
def test_what_the_library_says_is_said_in_our_words(
    error: Exception, words: str
) -> None:
    assert in_plain_words(error) == words


async def test_what_had_left_the_log_unwritten_is_a_gap_for_those_who_miss_it(
    server: RedisServer, start_node: StartNode
) -> None:
    async with SlowNetwork(server.port, piece=65536, pause=0.0) as network:
        one = await start_node(network.url)
        two = await start_node(server.url)
        written = one.own(ID, most=32 * 1024)
        written.event(b"before")
        await eventually(lambda: not one.store.state().unwritten)
        feed, _ = two.follow(ID)
        await eventually(lambda: feed.content == written.content)
        network.open.clear()
        for number in range(100):
            written.event(b"%d %b" % (number, b"x" * 1000))
        assert written.log.first > feed.end
        await eventually(lambda: not one.store.up)
        network.open.set()
        seen = [("died", 1), ("back", 1)]
        await eventually(lambda: feed.told and feed.told[-1] not in seen)
        assert feed.told[-1] == ("damaged", "a part of it is no longer kept")
        late, _ = two.follow(ID)
        await eventually(lambda: late.end == len(written.content))
        assert late.content == written.content[late.begin :]
        assert late.first is not None
        assert late.first[1]  # at a cut


@pytest.mark.parametrize("part", [":meta", ":log:1"])
async def test_what_the_server_has_dropped_is_written_again(
    server: RedisServer, start_node: StartNode, part: str
) -> None:
    """As by another `maxmemory-policy` than noeviction."""
    one, two = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"before")
    await eventually(lambda: not one.store.state().unwritten)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == written.content)
    server.do("DEL", *server.do("KEYS", f"*{part}"))
    await one.store.writer.refresh(0.0)
    written.event(b"afterwards")
    await eventually(lambda: feed.content == written.content)
    assert one.store.state().rewritten == 1
    late, _ = two.follow(ID)
    await eventually(lambda: late.content == written.content)
    assert feed.told == []


async def test_a_call_that_was_given_up_and_runs_late_spoils_nothing(
    server: RedisServer, start_node: StartNode
) -> None:
    """A paused server runs what it got before, behind what it gets now."""
    one, two = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    sealing = one.store.sealing
    assert sealing is not None
    written.event(b"first")
    stream = one.store.writer.streams[ID]
    late_step = stream.next_step(one.store.keys, sealing, 1 << 20)
    assert late_step is not None
    stream.log.clean = False
    for number in range(3):
        written.event(b"more %d" % number)
    one.store.writer.mark(stream)
    await eventually(lambda: not one.store.state().unwritten)
    await one.store.writer.send([(stream, late_step)], [])
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == written.content)


# -- it is slow


async def test_a_slow_network_delays_no_stream_and_loses_nothing(
    server: RedisServer, start_node: StartNode
) -> None:
    async with SlowNetwork(server.port, piece=512, pause=0.0) as network:
        one = await start_node(network.url)
        two = await start_node(network.url)
        written = one.own(ID)
        for number in range(300):
            written.event(b"%d %b" % (number, b"x" * 300))
        assert network.passed < 100_000  # no piece has waited for it
        await eventually(lambda: one.store.state().written)
        feed, _ = two.follow(ID)
        await eventually(lambda: feed.content == written.content)
        written.end()
        await eventually(lambda: feed.told == [StreamEnd("complete")])


async def test_a_request_is_answered_before_the_server_is(
    server: RedisServer, start_node: StartNode
) -> None:
    async with SlowNetwork(server.port, piece=65536, pause=0.0) as network:
        node = await start_node(network.url)
        network.open.clear()
        with pytest.raises(StoreUnavailable, match="no answer within 2 s"):
            await node.store.find(ID)
        with pytest.raises(StoreUnavailable):
            await node.store.recall("session", b"1")


# -- it is the wrong one


async def test_a_wrong_password_is_told_without_it(
    program: str, noted: pytest.LogCaptureFixture
) -> None:
    with RedisServer("--requirepass", PASSWORD, program=program) as server:
        url = server.url.replace("//", "//:not-the-pa55word@")
        reason = await refused(url)
        assert reason.startswith("the server refused the user or the password (")
        none = await refused(server.url)
        assert none == NEEDS_PASSWORD
        async with store_node(server.url.replace("//", f"//:{PASSWORD}@")) as node:
            assert node.store.up
            node.own(ID).event(b"x")
            await eventually(lambda: node.store.state().written)
    assert "pa55word" not in noted.text
    assert "pa55word" not in repr(node.store.state())


async def test_a_user_with_the_rights_that_are_documented_is_enough(
    server: RedisServer, start_node: StartNode
) -> None:
    server.do("ACL", "SETUSER", "small", "reset", "on", f">{PASSWORD}", "~chat:*",
              "&chat:*", "+eval", "+publish", "+subscribe", "+ping", "+info",
              "+time", "+@read", "+@write", "+@stream")  # fmt: skip
    url = server.url.replace("//", f"//small:{PASSWORD}@")
    one = await start_node(url, prefix="chat")
    two = await start_node(url, prefix="chat")
    assert one.store.up
    written = one.own(ID)
    one.store.name(ID, "key", "/sse", b"chat", b"who", 60)
    written.event(b"x")
    await eventually(lambda: one.store.state().written)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == written.content)
    await eventually(lambda: written.stream.readers == 1)
    written.end()
    await eventually(lambda: feed.told)
    elsewhere = await refused(url)
    assert "NOPERM" in elsewhere or "permission" in elsewhere.lower()


@pytest.mark.parametrize(
    ("scheme", "answer", "reason"),
    [
        pytest.param("redis", b"HTTP/1.1 400 Bad Request\r\n\r\n",
                     "the server does not speak the Redis protocol", id="HTTP"),
        pytest.param("redis", b"220 mail.example ESMTP\r\n",
                     "the server does not speak the Redis protocol", id="SMTP"),
        pytest.param("redis", b"", "the server closed the connection", id="it closes"),
        pytest.param("redis", None, "no answer within 2 s", id="silence"),
        pytest.param("rediss", b"220 mail.example ESMTP\r\n", "TLS failed (wrong "
                     "version number): does the server expect redis:// instead?",
                     id="no TLS"),
        pytest.param("rediss", None, "no answer within 2 s", id="silence by TLS"),
    ],
)  # fmt: skip
async def test_what_is_not_a_redis_server_is_told(
    scheme: str, answer: bytes | None, reason: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    other = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    node = StoreNode(f"{scheme}://127.0.0.1:{port}")
    await node.store.open()
    await eventually(lambda: node.store.outages.reason != "not connected yet")
    assert node.store.state().reason == reason
    await node.store.close()
    other.close()


async def test_another_secret_of_another_program_is_not_overwritten(
    server: RedisServer,
) -> None:
    server.do("SET", "unbuffered:secret", "of somebody else")
    assert await refused(server.url) == (
        "unbuffered:secret does not hold a secret of this program"
    )


def test_a_server_that_is_too_old_is_told() -> None:
    check_version({"redis_version": "6.2.0"})
    check_version({"redis_version": "10.0.1"})
    check_version({})
    with pytest.raises(StoreFault, match=r"Redis 6\.0\.16: 6\.2 or later is required"):
        check_version({"redis_version": "6.0.16"})


# -- how it is reached


async def test_a_server_is_reached_by_tls(
    program: str, tmp_path: Path, start_node: StartNode
) -> None:
    authority = Authority(tmp_path)
    with RedisServer(program=program) as plain:
        options = (
            "--tls-port", str(plain.port + 1), "--tls-auth-clients", "no",
            "--tls-cert-file", str(tmp_path / "cert.pem"),
            "--tls-key-file", str(tmp_path / "key.pem"),
            "--tls-ca-cert-file", str(authority.root),
        )  # fmt: skip
        with RedisServer(*options, program=program):
            url = f"rediss://127.0.0.1:{plain.port + 1}"
            trusted = f"{url}?ssl_ca_certs={authority.root}"
            one, two = await start_node(trusted), await start_node(trusted)
            assert one.store.up
            written = one.own(ID)
            written.event(b"x")
            await eventually(lambda: one.store.state().written)
            feed, _ = two.follow(ID)
            await eventually(lambda: feed.content == written.content)
            untrusted = await refused(url)
            assert untrusted.startswith("the server's certificate is not valid: ")
            plain_text = await refused(f"redis://127.0.0.1:{plain.port + 1}")
            assert plain_text == "the server closed the connection"


async def test_a_server_is_reached_by_a_unix_socket(
    program: str, tmp_path: Path, start_node: StartNode
) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer("--unixsocket", str(path), program=program) as server:
        node = await start_node(f"unix://{path}?db=3")
        node.own(ID).event(b"x")
        await eventually(lambda: node.store.state().written)
        assert server.do("INFO", "keyspace").keys() == {"db3"}
    missing = await refused(f"unix://{tmp_path}/nothing.sock")
    assert missing == "cannot connect: no such file or directory"
