"""What can be read in the server: nothing of what clients and upstreams have sent."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from proxy.kept.redis.records import (
    Malformed,
    decode_end,
    decode_meta,
    encode_end,
    encode_meta,
)
from proxy.kept.redis.sealing import SealBroken, Sealing
from proxy.kept.shared_store import StreamEnd
from tests.redis.conftest import StartNode
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.store_nodes import NotedOwner, eventually, meta_of

ID = b"0-0123456789abcdef0123456789abcdef"
OTHER_ID = b"1-0123456789abcdef0123456789abcdef"
KEY = "a-secret-of-the-operator"
# What stands in the streams of this test: contents, fields, IDs, keys, fingerprints.
SECRETS = [
    b"content-1",
    b"last-words-1",
    b"field-value-1",
    b"target-value-1",
    b"chat 7",
    b"session-1",
    b"note-1",
    ID,
    OTHER_ID,
    b"\x01" * 32,
    b"\x02" * 32,
    KEY.encode(),
    b"text/event-stream",
    b"/sse",
]


@pytest.mark.parametrize("key", ["", KEY], ids=["without a key", "with a key"])
@pytest.mark.redis
@needs_redis[1]
async def test_nothing_is_stored_in_clear(
    server: RedisServer, start_node: StartNode, key: str
) -> None:
    one = await start_node(server.url, key=key)
    two = await start_node(server.url, key=key)
    written = one.own(ID)
    one.store.name(ID, "key", "/sse", b"chat 7", b"\x02" * 32, 60)
    one.store.announce(OTHER_ID, NotedOwner())
    await one.store.elect("group", "/sse", b"chat 7", b"\x02" * 32, ID)
    one.store.remember("session", b"session-1", b"note-1", 60)
    written.event(b"content-1")
    await eventually(lambda: one.store.state().written)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == written.content)
    assert_nothing_in_clear(server.everything())
    written.stream.end(
        StreamEnd("error", "UpstreamTruncated", "field-value-1", (), b"last-words-1"),
        60,
    )
    await eventually(lambda: feed.told)
    assert_nothing_in_clear(server.everything())


@pytest.mark.redis
@needs_redis[1]
async def test_nothing_is_said_in_clear(
    server: RedisServer, start_node: StartNode
) -> None:
    """By messages, and in the arguments of commands, which a slow log shows."""
    server.do("CONFIG", "SET", "slowlog-log-slower-than", "0")
    server.do("SLOWLOG", "RESET")
    try:
        await test_nothing_is_stored_in_clear(server, start_node, KEY)
        entries = server.do("SLOWLOG", "GET", "1000")
        shown = [b" ".join(entry[3]) for entry in entries]
    finally:
        server.do("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert any(command.startswith(b"PUBLISH") for command in shown)
    assert_nothing_in_clear(b"\n".join(shown))


def assert_nothing_in_clear(text: bytes) -> None:
    assert len(text) > 500
    for secret in SECRETS:
        assert secret not in text
        assert secret.hex().encode() not in text


@pytest.mark.redis
@needs_redis[1]
async def test_another_key_finds_nothing_and_spoils_nothing(
    server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node(server.url, key=KEY)
    other = await start_node(server.url, key=KEY + "2")
    assert one.store.secret != other.store.secret
    one.own(ID).event(b"x")
    await eventually(lambda: one.store.state().written)
    assert await other.store.find(ID) is None


@pytest.mark.redis
@needs_redis[1]
async def test_all_nodes_have_one_secret(
    server: RedisServer, start_node: StartNode
) -> None:
    nodes = [await start_node(server.url) for _ in range(3)]
    assert len({node.store.secret for node in nodes}) == 1
    assert len(nodes[0].store.secret) == 32
    keyed = [await start_node(server.url, key=KEY) for _ in range(2)]
    assert keyed[0].store.secret == keyed[1].store.secret != nodes[0].store.secret


@pytest.mark.parametrize("part", ["changed", "moved"])
@pytest.mark.redis
@needs_redis[1]
async def test_what_somebody_has_changed_is_refused(
    server: RedisServer, start_node: StartNode, part: str
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"first")
    await eventually(lambda: one.store.state().written)
    [key] = server.do("KEYS", "*:log:*")
    [_, (_, fields)] = server.do("XRANGE", key, "-", "+")
    data = fields[b"d"]
    if part == "changed":
        data = data[:-1] + bytes([data[-1] ^ 1])
    server.do("XADD", key, "1000-0", "d", data, "n", "0", "c", "1")
    feed, _ = two.follow(ID, len(written.content))
    await eventually(lambda: feed.told)
    assert feed.told == [("damaged", "it was sealed by another key")]


# -- without a server


def test_parts_of_streams_are_not_taken_for_others() -> None:
    sealing, other = Sealing(b"1" * 32), Sealing(b"2" * 32)
    seals = [sealing.of_stream(ID), sealing.of_stream(OTHER_ID), other.of_stream(ID)]
    sealed = seals[0].seal(b"x", b"meta")
    assert seals[0].open(sealed, b"meta") == b"x"
    assert sealed != seals[0].seal(b"x", b"meta")
    for seal, what in itertools.product(seals, (b"meta", b"end")):
        if (seal, what) != (seals[0], b"meta"):
            with pytest.raises(SealBroken):
                seal.open(sealed, what)
    for broken in (b"", b"x", sealed[:-1], sealed + b"x"):
        with pytest.raises(SealBroken):
            seals[0].open(broken, b"meta")


def test_an_id_is_sealed_alike_each_time() -> None:
    sealing = Sealing(b"1" * 32)
    assert sealing.seal_id(ID) == sealing.seal_id(ID) != sealing.seal_id(OTHER_ID)
    assert sealing.open_id(sealing.seal_id(ID)) == ID
    with pytest.raises(SealBroken):
        Sealing(b"2" * 32).open_id(sealing.seal_id(ID))


def test_names_are_kept_apart() -> None:
    """Whatever their parts are: no two of them are one when put together."""
    sealing = Sealing(b"1" * 32)
    texts = ["a", "ab", "b", "", "1:a"]
    names = [
        sealing.name_of(kind, route, value.encode(), who.encode())
        for kind, route, value, who in itertools.product(texts, repeat=4)
    ]
    assert len(set(names)) == len(texts) ** 4


def test_records_are_read_as_they_were_written() -> None:
    meta = meta_of(ID)
    assert decode_meta(encode_meta(meta)) == meta
    end = StreamEnd("error", "UpstreamTruncated", "text", ((b"A", b"b"),), b"x", False)
    assert decode_end(encode_end(end)) == end


def test_records_of_a_later_version_are_read() -> None:
    """While a deploy goes on, both versions are there."""
    fields: dict[str, Any] = msgspec.msgpack.decode(encode_meta(meta_of(ID)))
    later = msgspec.msgpack.encode({**fields, "new": [1, 2]})
    assert decode_meta(later) == meta_of(ID)
    del fields["length"]
    assert decode_meta(msgspec.msgpack.encode(fields)) == meta_of(ID)
    del fields["id"]
    for broken in (msgspec.msgpack.encode(fields), b"", b"x", b"\x80"):
        with pytest.raises(Malformed):
            decode_meta(broken)
    with pytest.raises(Malformed):
        decode_end(b"\x80")
