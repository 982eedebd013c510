"""What each fault makes of a response, however its body is cut into pieces."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.fault_options import MOST_HELD, Fault, check_faults
from proxy.http1.grammar import Fields
from proxy.policy.fault_engine import FaultEngine, FaultSource
from proxy.policy.fault_steps import (
    Complete,
    Fin,
    Reset,
    Send,
    Stall,
    Step,
    StepQueue,
    Wait,
)
from proxy.stream.event_stream import BOM
from tests.support.broken_steps import (
    CUTS,
    EVENTS,
    LINES,
    OTHER,
    SOME,
    STREAMS,
    cut,
    engine,
    fault,
    joined,
    sent,
    steps,
    taken,
)

THREE = [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
CHAT = b'{"object":"chat.completion.chunk","choices":[{"delta":{},"finish_reason":%b}]}'
CHAT_STREAM = [
    b"data: " + CHAT % b"null" + b"\n\n",
    b"data: " + CHAT % b'"stop"' + b"\n\n",
    b"data: [DONE]\n\n",
]


def parts(*data: bytes, end: Step | None = None) -> list[Step]:
    made: list[Step] = [Send(each) for each in data]
    return made if end is None else [*made, end]


CASES = [
    pytest.param(fault("fin"), [Fin()], id="fin before the first"),
    pytest.param(fault("fin", after=2), parts(*THREE[:2], end=Fin()), id="fin"),
    pytest.param(
        fault("fin", after=2, inside=True),
        parts(THREE[0], b"data", end=Fin()),
        id="fin inside",
    ),
    pytest.param(fault("reset", after=1), parts(THREE[0], end=Reset()), id="reset"),
    pytest.param(
        fault("clean_end", after=1), parts(THREE[0], end=Complete()), id="clean_end"
    ),
    pytest.param(
        fault("clean_end", after=1, inside=True),
        parts(b"data", end=Complete()),
        id="clean_end inside",
    ),
    pytest.param(fault("stall", after=1), parts(THREE[0], end=Stall()), id="stall"),
    pytest.param(
        fault("stall", after=1, seconds=2),
        [Send(THREE[0]), Wait(2), *parts(*THREE[1:], end=Complete())],
        id="stall for a time",
    ),
    pytest.param(
        fault("stall", after=2, seconds=2, inside=True),
        [
            *parts(THREE[0], b"data"),
            Wait(2),
            *parts(b": 2\n\n", THREE[2], end=Complete()),
        ],
        id="stall inside",
    ),
    pytest.param(
        fault("duplicate", after=2),
        parts(THREE[0], THREE[1], THREE[1], THREE[2], end=Complete()),
        id="duplicate",
    ),
    pytest.param(
        fault("coalesce"), parts(b"".join(THREE), end=Complete()), id="coalesce all"
    ),
    pytest.param(
        fault("coalesce", size=10, after=1),
        parts(THREE[0], b"data: 2\n\nd", b"ata: 3\n\n", end=Complete()),
        id="coalesce",
    ),
    pytest.param(
        fault("fin", after=9), parts(*THREE, end=Complete()), id="never reached"
    ),
    pytest.param(
        fault("late_head", seconds=3), parts(*THREE, end=Complete()), id="head"
    ),
    pytest.param(fault("no_terminal"), parts(*THREE, end=Complete()), id="no family"),
]


@pytest.mark.parametrize(("each", "expected"), CASES)
def test_a_fault_happens_at_its_event(each: Fault, expected: list[Step]) -> None:
    assert steps([each], THREE) == expected


def test_a_drip_gives_few_bytes_at_a_time() -> None:
    found = steps([fault("drip", size=4, seconds=0.5, after=2)], THREE)
    assert found == [
        *parts(*THREE[:2], b"data"),
        Wait(0.5),
        Send(b": 3\n"),
        Wait(0.5),
        *parts(b"\n", end=Complete()),
    ]


def test_a_drip_counts_on_from_piece_to_piece() -> None:
    found = steps([fault("drip", size=4)], [b"abcdef", b"g", b"hi"], OTHER)
    assert joined(found) == [
        Send(b"abcd"),
        Wait(0),
        Send(b"efgh"),
        Wait(0),
        *parts(b"i", end=Complete()),
    ]


def test_a_split_is_inside_a_character_and_between_cr_and_lf() -> None:
    found = steps([fault("split", after=1)], ["data: 你\r\n\r\n".encode()] * 2)
    first, second, third = (
        step.data for step in found[-6:-1:2] if isinstance(step, Send)
    )
    assert found[-5::2] == [Wait(0), Wait(0), Complete()]
    assert first + second + third == "data: 你\r\n\r\n".encode()
    with pytest.raises(UnicodeDecodeError):
        first.decode()
    assert second.endswith(b"\r")
    assert third.startswith(b"\n")


def test_a_split_goes_by_the_seed() -> None:
    body = ["data: 你好😀\n\n".encode()] * 20
    found = [steps([fault("split")], body, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_compressed_bytes_are_held() -> None:
    broken = engine(fault("compress"))
    head = broken.head(200, [*EVENTS, (b"Content-Length", b"27")])
    assert (b"Content-Encoding", b"gzip") in head.fields
    assert head.framing == "chunked"
    assert b"Content-Length" not in dict(head.fields)
    header = taken(broken.piece(piece) for piece in THREE)
    assert len(sent(header)) <= 10  # of gzip itself
    rest = taken([broken.end()])
    assert gzip.decompress(sent(header) + sent(rest)) == b"".join(THREE)
    assert rest[-1] == Complete()


def test_what_a_compressor_holds_is_lost_with_its_connection() -> None:
    found = steps([fault("compress"), fault("fin", after=3)], THREE)
    assert found[-1] == Fin()
    assert zlib.decompressobj(31).decompress(sent(found)) == b""


def test_what_is_compressed_already_stays_as_it_is() -> None:
    broken = engine(fault("compress"))
    fields = [*EVENTS, (b"Content-Encoding", b"br")]
    assert broken.head(200, fields).fields == fields
    assert broken.piece(b"data: 1\n\n") == [Send(b"data: 1\n\n")]


def test_the_terminal_event_is_missing() -> None:
    assert steps([fault("no_terminal")], CHAT_STREAM) == parts(
        CHAT_STREAM[0], end=Complete()
    )


def test_done_is_terminal_wherever_it_comes() -> None:
    found = steps([fault("no_terminal")], [THREE[0], CHAT_STREAM[2]])
    assert found == parts(THREE[0], end=Complete())


def test_the_last_line_need_not_end_to_be_terminal() -> None:
    line = b'{"model":"x","done":%b}'
    body = [line % b"false" + b"\n", line % b"true"]
    assert steps([fault("no_terminal")], body, LINES) == parts(body[0], end=Complete())


@pytest.mark.parametrize(
    ("fields", "body", "shown"),
    [
        pytest.param(EVENTS, CHAT_STREAM, b'data: {"error":{', id="chat"),
        pytest.param(EVENTS, THREE, b"event: error\ndata: ", id="events"),
        pytest.param(LINES, [b'{"a":1}\n'] * 3, b'{"error":', id="lines"),
    ],
)
def test_an_error_event_is_that_of_the_family(
    fields: Fields, body: list[bytes], shown: bytes
) -> None:
    found = steps([fault("error_event", after=1)], body, fields)
    assert found[0] == Send(body[0])
    assert isinstance(found[1], Send)
    assert found[1].data.startswith(shown)
    assert b"fault: error_event" in found[1].data
    assert found[2:] == [Complete()]


def test_a_family_shows_behind_its_pings() -> None:
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    start = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
    stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    found = steps([fault("no_terminal")], [ping, start, ping, stop, ping])
    assert found == parts(ping, start, ping, end=Complete())


def test_bytes_have_no_terminal_event() -> None:
    found = steps([fault("no_terminal")], [b"data: [DONE]\n\n"], OTHER)
    assert found == parts(b"data: [DONE]\n\n", end=Complete())


def test_where_no_error_can_be_told_the_connection_breaks() -> None:
    found = steps([fault("error_event", after=1)], [b"a", b"b"], OTHER)
    assert found == parts(b"a", end=Fin())


def test_an_error_of_json_rpc_answers_its_request() -> None:
    first = b'data: {"jsonrpc":"2.0","method":"x"}\n\n'
    broken = FaultEngine(
        [fault("error_event", after=1)], engine().random, "", {"id": 7}
    )
    broken.head(200, EVENTS)
    [_, told, end] = broken.piece(first)
    assert isinstance(told, Send)
    assert b'"id":7' in told.data
    assert end == Complete()


@pytest.mark.parametrize(
    ("size", "end"),
    [(26, Fin()), (27, Complete()), (28, Fin())],
    ids=["less", "as it is", "more"],
)
def test_a_wrong_length_cannot_end_well(size: int, end: Step) -> None:
    broken = engine(fault("wrong_length", size=size))
    head = broken.head(200, [*EVENTS, (b"Transfer-Encoding", b"chunked")])
    assert head.fields == [*EVENTS, (b"Content-Length", b"%d" % size)]
    assert head.framing == "length"
    made = [broken.piece(b"".join(THREE)), broken.end()]
    assert taken(made) == parts(b"".join(THREE), end=end)


@pytest.mark.parametrize("after", [0, 1])
def test_a_stall_at_the_same_place_as_an_end_comes_first(after: int) -> None:
    faults = [fault("fin", after=after), fault("stall", seconds=1, after=after)]
    assert steps(faults, THREE) == [*parts(*THREE[:after]), Wait(1), Fin()]


def test_any_status_has_a_reason() -> None:
    assert engine(fault("status", status=599)).head(200, EVENTS).reason == b"Fault"


def test_a_status_is_another_response() -> None:
    broken = engine(fault("status", status=503), fault("late_head", seconds=2))
    head = broken.head(200, EVENTS)
    assert (head.wait, head.status, head.reason) == (2, 503, b"Service Unavailable")
    assert head.replaces
    body = sent(taken([head.steps]))
    assert dict(head.fields)[b"Content-Length"] == b"%d" % len(body)
    assert json.loads(body)["error"]["message"] == "fault: status 503"
    assert broken.over
    assert taken([broken.piece(b"x"), broken.end()]) == []


@pytest.mark.parametrize(("status", "has_body"), [(204, True), (503, False)])
def test_another_status_may_have_no_body(status: int, has_body: bool) -> None:
    head = engine(fault("status", status=status)).head(200, EVENTS, has_body=has_body)
    assert taken([head.steps]) == [Complete()]


@pytest.mark.parametrize(
    ("status", "has_body"), [(200, False), (204, True), (304, True)]
)
def test_where_there_is_no_body_nothing_breaks_in_it(
    status: int, has_body: bool
) -> None:
    broken = engine(fault("fin"), fault("wrong_length", size=7), fault("compress"))
    head = broken.head(status, EVENTS, has_body=has_body)
    assert head.fields == EVENTS
    assert taken([head.steps, broken.end()]) == [Complete()]


def test_a_tunnel_has_no_framing() -> None:
    faults = [fault("fin", after=2), fault("compress"), fault("wrong_length", size=7)]
    broken = engine(*faults)
    head = broken.head(101, [(b"Upgrade", b"websocket")])
    assert head.fields == [(b"Upgrade", b"websocket")]
    made = [broken.piece(b"\x81\x01a"), broken.piece(b"\x81\x01b")]
    assert taken(made) == parts(b"\x81\x01a", b"\x81\x01b", end=Fin())


def test_a_websocket_is_broken_by_messages() -> None:
    ping, first, rest = b"\x89\x00", b"\x01\x01a", b"\x80\x01b"
    whole = ping + first + ping + rest + b"\x82\x01c"
    for faults, expected in (
        ([fault("fin", after=1)], ping + first + ping + rest),
        ([fault("fin", after=1, inside=True)], (ping + first + ping + rest)[:5]),
        ([fault("error_event", after=1)], ping + first + ping + rest),
    ):
        for pieces in ([whole], cut(whole, range(20))):
            broken = engine(*faults)
            broken.head(101, [(b"Upgrade", b"WebSocket")])
            found = taken(broken.piece(piece) for piece in pieces)
            assert joined(found) == parts(expected, end=Fin())


def test_other_bodies_are_broken_by_pieces() -> None:
    found = steps([fault("fin", after=2, inside=True)], [b"abcd", b"efgh", b"i"], OTHER)
    assert found == parts(b"abcd", b"ef", end=Fin())


def test_a_compressed_stream_is_broken_by_pieces() -> None:
    fields = [*EVENTS, (b"Content-Encoding", b"gzip")]
    found = steps([fault("fin", after=1)], [b"ab", b"cd"], fields)
    assert found == parts(b"ab", end=Fin())


@pytest.mark.parametrize(
    "kind", ["clean_end", "no_terminal", "duplicate", "error_event", "compress"]
)
def test_a_body_of_another_size_has_no_length(kind: str) -> None:
    broken = engine(Fault(kind=kind, after=1))  # type: ignore[arg-type]
    head = broken.head(200, [*EVENTS, (b"content-length", b"27")])
    assert head.framing == "chunked"
    assert (b"Transfer-Encoding", b"chunked") in head.fields


def test_a_body_that_breaks_keeps_its_length() -> None:
    fields = [*EVENTS, (b"Content-Length", b"27")]
    head = engine(fault("fin", after=1)).head(200, fields)
    assert (head.framing, head.fields) == ("", fields)


def test_a_piece_of_many_events_stays_one_write() -> None:
    body = b"".join(THREE) * 2
    assert steps([fault("fin", after=5)], [body]) == parts(body[:45], end=Fin())
    found = steps([fault("duplicate", after=2)], [body])
    assert found == parts(body[:18], THREE[1], body[18:], end=Complete())


@pytest.mark.parametrize(
    ("start", "fields", "copy"),
    [
        pytest.param(BOM, EVENTS, b"data: 1\n\n", id="a mark"),
        pytest.param(BOM + b"\n\n", EVENTS, b"data: 1\n\n", id="before blank lines"),
        pytest.param(
            b"\n" + BOM + b"x\n", EVENTS, BOM + b"x\ndata: 1\n\n", id="not at the start"
        ),
        pytest.param(BOM, OTHER, BOM + b"data: 1\n\n", id="of bytes"),
    ],
)
def test_a_copy_has_no_byte_order_mark(
    start: bytes, fields: Fields, copy: bytes
) -> None:
    """Within a stream it is no mark, but a part of the field's name (§9.2.6)."""
    event = b"data: 1\n\n"
    found = sent(
        steps([fault("duplicate", after=1)], [start + event, THREE[1]], fields)
    )
    assert found == start + event + copy + THREE[1]


def test_a_copy_of_a_line_has_no_byte_order_mark() -> None:
    lines = [BOM + b"{}\n", b"[]\n"]
    found = sent(steps([fault("duplicate", after=1)], lines, LINES))
    assert found == BOM + b"{}\n{}\n[]\n"


def test_faults_at_one_place_have_an_order() -> None:
    faults = [
        fault("reset", after=1),
        fault("stall", after=1, seconds=2),
        fault("duplicate", after=1),
    ]
    check_faults(faults)
    assert steps(faults, THREE) == [
        *parts(THREE[0], THREE[0]),
        Wait(2),
        Reset(),
    ]


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "behind"])
def test_of_two_ends_the_first_one_applies(inside: bool) -> None:
    faults = [fault(kind, after=1, inside=inside) for kind in ("reset", "fin")]
    sent = [b"data"] if inside else [THREE[0]]
    assert steps(faults, THREE) == parts(*sent, end=Reset())


def test_what_is_held_goes_out_before_a_wait_and_an_end() -> None:
    faults = [
        fault("coalesce"),
        fault("stall", after=2, seconds=2),
        fault("fin", after=3),
    ]
    assert steps(faults, THREE) == [
        Send(b"".join(THREE[:2])),
        Wait(2),
        *parts(THREE[2], end=Fin()),
    ]


def test_an_upstream_that_breaks_itself_loses_nothing() -> None:
    faults = [fault("coalesce"), fault("fin", after=3, inside=True)]
    assert steps(faults, [*THREE[:2], b"da"], whole=False) == parts(
        b"".join(THREE[:2]) + b"d", end=Fin()
    )
    held = [fault("duplicate", after=3)]
    assert steps(held, [*THREE[:2], b"da"], whole=False) == parts(*THREE[:2], b"da")


# -- bounds


@pytest.mark.parametrize("piece", [MOST_HELD // 4, 3 * MOST_HELD])
def test_an_event_that_is_too_long_is_cut_all_the_same(piece: int) -> None:
    body = b"data: " + b"x" * (2 * MOST_HELD) + b"\n\n"
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    found = steps([fault("fin", after=1, inside=True)], pieces)
    assert joined(found) == parts(body[: MOST_HELD // 2], end=Fin())


def test_an_event_that_is_too_long_is_not_held() -> None:
    broken = engine(fault("duplicate", after=1))
    broken.head(200, EVENTS)
    piece = b"data: " + b"x" * (MOST_HELD // 2)
    assert broken.piece(piece) == []
    assert sent(taken([broken.piece(piece)])) == piece * 2
    assert broken.piece(piece)
    assert not broken.held


def test_a_drip_takes_no_room_for_each_byte() -> None:
    broken = engine(fault("drip"))
    broken.head(200, OTHER)
    queue = StepQueue()
    queue.add(broken.piece(bytes(256 * 1024)))
    assert [queue.take(), queue.take(), queue.take()] == [
        Send(b"\0"),
        Wait(0),
        Send(b"\0"),
    ]
    assert len(queue) == 1
    queue.clear()
    assert queue.take() is None


# -- whatever the pieces are


@given(
    STREAMS,
    st.sampled_from([EVENTS, LINES]),
    st.lists(SOME, min_size=1, max_size=3),
    CUTS,
    st.booleans(),
)
def test_the_pieces_do_not_matter(
    stream: bytes, fields: Fields, faults: list[Fault], places: list[int], whole: bool
) -> None:
    one = joined(steps(faults, [stream] if stream else [], fields, whole=whole))
    some = joined(steps(faults, cut(stream, places), fields, whole=whole))
    each = joined(steps(faults, cut(stream, range(300)), fields, whole=whole))
    assert one == some == each


@given(STREAMS, CUTS, st.integers(1, 3))
def test_only_the_form_of_a_body_changes(
    stream: bytes, places: list[int], size: int
) -> None:
    for faults in (
        [fault("drip", size=size)],
        [fault("coalesce", size=size), fault("split")],
        [fault("stall", after=1, seconds=1)],
    ):
        found = steps(faults, cut(stream, places))
        assert sent(found) == stream
        assert found[-1] == Complete()
    found = steps([fault("compress")], cut(stream, places))
    assert gzip.decompress(sent(found)) == stream


@given(STREAMS, st.integers(1, 4))
def test_an_event_that_was_cut_is_not_complete(stream: bytes, number: int) -> None:
    found = steps([fault("fin", after=number, inside=True)], [stream])
    before = sent(steps([fault("fin", after=number - 1)], [stream]))
    assert sent(found).startswith(before)
    counted = engine(fault("late_head", seconds=1))
    counted.head(200, EVENTS)
    counted.piece(sent(found))
    assert counted.form.count <= number - 1


# -- from request to request


def test_requests_have_faults_by_the_seed() -> None:
    half = fault("fin", probability=0.5)

    def chosen(seed: int, route: str = "/x") -> list[bool]:
        source = FaultSource([half], seed, route)
        return [source.next() is not None for _ in range(64)]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)
    assert chosen(1) != chosen(1, "/y")
    assert 16 < sum(chosen(1)) < 48


def test_a_fault_may_apply_a_few_times() -> None:
    source = FaultSource([fault("status", times=2), fault("fin", after=1)])
    statuses = []
    for _ in range(3):
        broken = source.next()
        assert broken is not None
        statuses.append(broken.head(200, EVENTS).status)
    assert statuses == [500, 500, 200]


def test_a_request_without_a_fault_has_no_engine() -> None:
    source = FaultSource([fault("fin", times=1)])
    assert source.next() is not None
    assert source.next() is None
