"""HPACK (RFC 7541): blocks are read as `hpack` reads them, under limits and in step."""

from __future__ import annotations

from collections import deque
from typing import SupportsIndex

import hpack
import pytest
from hpack.exceptions import HPACKError
from hypothesis import given
from hypothesis import strategies as st

from proxy.http2.faults import ConnectionFault
from proxy.http2.field_compression import (
    PATIENCE,
    BlockDecoder,
    Field,
    encoded_field,
    encoded_status,
)
from proxy.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM
from proxy.http2.session import SIZE_UPDATE

LIMIT = 1 << 20


def decoded(block: bytes, decoder: BlockDecoder | None = None) -> object:
    """The fields, or the code of the fault."""
    try:
        return (decoder or BlockDecoder(LIMIT)).decode(block)[0]
    except ConnectionFault as fault:
        return fault.code


def by_oracle(block: bytes, decoder: hpack.Decoder) -> object:
    """The same by `hpack`."""
    try:
        return [tuple(field) for field in decoder.decode(block, raw=True)]
    except HPACKError:
        return COMPRESSION_ERROR


# -- what RFC 7541 shows


def test_the_requests_of_appendix_c_4() -> None:
    decoder = BlockDecoder(LIMIT)
    blocks = (
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    )
    common = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]
    host = (b":authority", b"www.example.com")
    first, second, third = (decoded(bytes.fromhex(each), decoder) for each in blocks)
    assert first == [*common, host]
    assert second == [*common, host, (b"cache-control", b"no-cache")]
    assert third == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        host,
        (b"custom-key", b"custom-value"),
    ]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x80", id="index 0"),
        pytest.param(b"\xbe", id="an index of an empty table"),
        pytest.param(b"\x0f\x7f\x00", id="a name of no table"),
        pytest.param(b"\xff", id="an index cut off"),
        pytest.param(b"\x40", id="cut off before the name"),
        pytest.param(b"\x40\x01a", id="cut off before the value"),
        pytest.param(b"\x40\x01a\x05b", id="cut off in the value"),
        pytest.param(b"\xff" + b"\x80" * 5 + b"\x00", id="an integer of 7 bytes"),
        pytest.param(b"\x3f\xe2\x1f", id="a table of 4097 bytes"),
        pytest.param(b"\x82\x20", id="a table size behind a field"),
        pytest.param(b"\x00\x81\xff\x00", id="Huffman: 8 bits of padding"),
        pytest.param(b"\x00\x81\x00\x00", id="Huffman: padding of zeros"),
        pytest.param(b"\x00\x84\xff\xff\xff\xff\x00", id="Huffman: EOS"),
    ],
)
def test_a_malformed_block_ends_the_connection(block: bytes) -> None:
    assert decoded(block) == COMPRESSION_ERROR
    assert by_oracle(block, hpack.Decoder()) == COMPRESSION_ERROR


# -- as hpack does


NAMES = st.sampled_from([b":path", b"cookie", b"x-a", b"x-b", b"", b"a" * 90])
VALUES = st.binary(max_size=90) | st.sampled_from([b"", b"1", b"no-cache", b"v" * 3000])


@given(st.data())
def test_what_hpack_writes_is_read(data: st.DataObject) -> None:
    encoder, decoder = hpack.Encoder(), BlockDecoder(LIMIT)
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.booleans()):
            encoder.header_table_size = data.draw(st.sampled_from([0, 64, 500, 4096]))
        fields = data.draw(st.lists(st.tuples(NAMES, VALUES), max_size=8))
        huffman = data.draw(st.booleans())
        block = encoder.encode(fields, huffman=huffman)
        assert decoded(block, decoder) == fields


FRAGMENTS = st.sampled_from(
    [
        *(bytes([each]) for each in (0x82, 0xBE, 0xBF, 0xC0, 0x20, 0x40, 0x00, 0x10)),
        b"\x3f\xe1\x1f",  # a table of 4096 bytes
        b"\x3f\x45",  # one of 100
        b"\x40\x01a\x01b",
        b"\x00\x01a\x01b",
        b"\x40\x01b\x81\xff",
        b"\x7e\x01c",  # its name is in the dynamic table
        b"\x0f\x2f\x01c",
        b"\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
    ]
)
ANY_BLOCK = st.lists(FRAGMENTS | st.binary(max_size=4), max_size=8).map(b"".join)


@given(st.lists(ANY_BLOCK, max_size=5))
def test_any_bytes_mean_to_us_what_they_mean_to_hpack(blocks: list[bytes]) -> None:
    ours, theirs = BlockDecoder(LIMIT), hpack.Decoder(LIMIT)
    for block in blocks:
        found = decoded(block, ours)
        assert found == by_oracle(block, theirs)
        if found == COMPRESSION_ERROR:
            break


def test_the_same_bytes_mean_what_the_table_says_now() -> None:
    encoder, decoder = hpack.Encoder(), BlockDecoder(LIMIT)
    decoder.decode(encoder.encode([(b"a", b"1")]))
    newest = b"\xbe"
    for _ in range(2):
        decoder.decode(newest)[0].clear()  # what is handed out is the caller's
        assert decoder.decode(newest)[0] == [(b"a", b"1")]
    decoder.decode(encoder.encode([(b"b", b"2")]))
    assert decoder.decode(newest)[0] == [(b"b", b"2")]
    adding = b"\x40\x01c\x013"
    for _ in range(2):
        assert decoder.decode(adding)[0] == [(b"c", b"3")]
    assert decoder.decode(b"\xbe\xbf\xc0")[0][1:] == [(b"c", b"3"), (b"b", b"2")]
    decoder.decode(b"\x20")  # a table of 0 bytes
    assert decoded(newest, decoder) == COMPRESSION_ERROR


# -- limits


def test_a_block_beyond_the_limit_keeps_the_next_one_readable() -> None:
    encoder, decoder = hpack.Encoder(), BlockDecoder(1000)
    fields = [(b"x-%d" % number, b"v" * 100) for number in range(10)]
    kept, size = decoder.decode(encoder.encode(fields))
    assert size == sum(len(name) + len(value) + 32 for name, value in fields)
    assert kept == fields[:7]
    assert decoder.decode(encoder.encode(fields[-3:]))[0] == fields[-3:]


def bomb() -> tuple[BlockDecoder, bytes]:
    """A block of 4 KiB that stands for 16 MiB."""
    decoder = BlockDecoder(64 * 1024)
    decoder.decode(hpack.Encoder().encode([(b"a", b"v" * 4000)]))
    return decoder, b"\xbe" * 4096


def test_a_bomb_ends_the_connection_before_it_is_unpacked() -> None:
    decoder, block = bomb()
    assert decoded(block, decoder) == ENHANCE_YOUR_CALM


def test_a_bomb_costs_no_more_fields_than_its_limit_has_room_for() -> None:
    class Counting(deque[Field]):
        looked_up = 0

        # Slices are not asked for.
        def __getitem__(self, index: SupportsIndex) -> Field:  # type: ignore[override]
            self.looked_up += 1
            return super().__getitem__(index)

    decoder, block = bomb()
    entries = Counting(decoder.table.dynamic_entries)
    decoder.table.dynamic_entries = entries
    assert decoded(block, decoder) == ENHANCE_YOUR_CALM
    assert entries.looked_up == decoder.max_bytes * PATIENCE // (4000 + 1 + 32) + 1


@pytest.mark.parametrize(
    "field",
    [b"\x00\x01a\x00", b"\x00\x00\x00", b"\x82", b"\x40\x01a\x00"],
    ids=["literals", "empty names", "indices", "indexed literals"],
)
def test_the_smallest_fields_count_by_their_cost(field: bytes) -> None:
    block = field * (64 * 1024 // len(field))
    assert decoded(block, BlockDecoder(16 * 1024)) == ENHANCE_YOUR_CALM


def test_a_table_holds_no_more_than_4096_bytes() -> None:
    encoder, decoder = hpack.Encoder(), BlockDecoder(LIMIT)
    for number in range(100):
        decoder.decode(encoder.encode([(b"x-%d" % number, b"v" * 200)]))
    kept = decoder.table.dynamic_entries
    assert sum(len(name) + len(value) + 32 for name, value in kept) <= 4096


# -- out


@given(
    st.binary(min_size=1, max_size=200),
    st.binary(max_size=300) | st.sampled_from([b"v" * 20_000, b"v" * 127, b"v" * 128]),
)
def test_a_field_is_read_by_hpack_and_put_into_no_table(
    name: bytes, value: bytes
) -> None:
    decoder = hpack.Decoder()
    assert by_oracle(encoded_field(name, value), decoder) == [(name, value)]
    assert not decoder.header_table.dynamic_entries


@pytest.mark.parametrize("status", [100, 103, 200, 204, 304, 404, 418, 500, 599])
def test_a_status_is_read_by_hpack(status: int) -> None:
    block = SIZE_UPDATE + encoded_status(status)
    assert by_oracle(block, hpack.Decoder()) == [(b":status", b"%d" % status)]


def test_the_table_is_given_up_before_the_first_field() -> None:
    decoder = hpack.Decoder()
    decoder.max_allowed_table_size = 0  # as the peer's SETTINGS may say
    assert by_oracle(SIZE_UPDATE + encoded_status(200), decoder) == [
        (b":status", b"200")
    ]
    assert by_oracle(encoded_status(404), decoder) == [(b":status", b"404")]
