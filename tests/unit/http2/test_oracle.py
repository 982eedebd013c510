"""`h2` as the client: what it says is understood, and it understands what we say.

It is an independent reading of RFC 9113: its state machine raises at a frame of ours
that is out of place, and keeps its own account of both windows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.http2.faults import StreamFault
from proxy.http2.field_compression import encoded_status
from proxy.http2.frames import CANCEL, INTERNAL_ERROR, data_header
from proxy.http2.limits import Http2Limits
from proxy.http2.priority import Priority
from proxy.http2.response_fields import fields_block
from proxy.http2.session import Session


@dataclass
class Said:
    """What one side said on one stream, and the other made of it."""

    head: tuple[bytes, bytes, bytes] = (b"", b"", b"")  # method, target, authority
    content: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    ended: bool = False
    reset: int = -1


class Served:
    """A stream of ours; the test decides what it answers."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.number = number
        self.send_window = server.session.peer_initial_window

    def data_received(self, data: bytes, size: int) -> None:
        self.server.heard[self.number].content += data
        self.server.session.consumed(self.number, size)

    def request_ended(self, trailers: Fields) -> None:
        said = self.server.heard[self.number]
        said.ended = True
        said.trailers = list(trailers)

    def reset_received(self, code: int) -> None:
        self.server.heard[self.number].reset = code

    def failed(self, fault: StreamFault) -> None:
        raise AssertionError(fault.reason)

    def window_opened(self) -> None:
        pass

    def reprioritised(self, priority: Priority) -> None:
        pass


class Server:
    """Our side of the connection, and the test's `h2` on the other."""

    def __init__(self) -> None:
        self.out = b""
        self.heard: defaultdict[int, Said] = defaultdict(Said)
        self.streams: dict[int, Served] = {}
        limits = Http2Limits(max_control_frames_per_second=0)
        self.session = Session(self, limits, lambda: 0.0)
        self.session.start()

    def write(self, data: bytes) -> None:
        self.out += data

    def request_received(
        self,
        number: int,
        head: RequestHead,
        protocol: bytes,
        priority: Priority,
        *,
        complete: bool,
    ) -> Served:
        said = self.heard[number]
        said.head = (head.method, head.target, head.index[b"host"])
        said.ended = complete
        self.streams[number] = Served(self, number)
        return self.streams[number]

    def request_refused(
        self, number: int, error: ProxyError, head: RequestHead | None
    ) -> Served | None:
        raise error

    def request_malformed(self, number: int, fault: StreamFault) -> None:
        raise AssertionError(fault.reason)

    def window_opened(self) -> None:
        pass

    def ping_acked(self, data: bytes) -> None:
        pass

    def going_away(self, code: int, debug: bytes) -> None:
        pass

    # -- answers

    def answer(self, number: int, content: bytes) -> bytes:
        """A head, and as much content as both windows have room for; what is sent."""
        session, stream = self.session, self.streams[number]
        block = encoded_status(200) + fields_block([(b"X-Number", b"%d" % number)])
        self.write(session.send_head(number, block, end=False))
        room = min(session.send_window, stream.send_window, session.max_frame)
        sent = content[: max(room, 0)]
        whole = sent == content
        self.write(data_header(number, len(sent), end=whole) + sent)
        session.send_window -= len(sent)
        stream.send_window -= len(sent)
        if whole:
            session.ended(number)
        else:
            session.reset(number, INTERNAL_ERROR)
        return sent


class Pair:
    """A client, a server, and what either said. `sizes`: how the bytes are cut."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.turn = 0
        self.client = H2Connection(H2Configuration(header_encoding=None))
        self.server = Server()
        self.said: defaultdict[int, Said] = defaultdict(Said)
        self.got: defaultdict[int, Said] = defaultdict(Said)
        self.answers: dict[int, bytes] = {}
        self.client.initiate_connection()

    def exchange(self) -> None:
        """Carry bytes, until neither has anything to say."""
        while (data := self.client.data_to_send()) or self.server.out:
            while data:
                size = self.sizes[self.turn % len(self.sizes)]
                self.turn += 1
                self.server.session.receive(data[:size])
                data = data[size:]
            out, self.server.out = self.server.out, b""
            for event in self.client.receive_data(out):
                self.note(event)

    def note(self, event: Event) -> None:
        """What the client has understood."""
        if isinstance(event, ResponseReceived):
            head = dict(event.headers)
            assert head[b":status"] == b"200"
            self.got[event.stream_id].head = (b"", head[b"x-number"], b"")
        elif isinstance(event, DataReceived):
            self.got[event.stream_id].content += event.data
            self.client.acknowledge_received_data(
                event.flow_controlled_length or 0, event.stream_id
            )
        elif isinstance(event, StreamEnded):
            self.got[event.stream_id].ended = True
        elif isinstance(event, StreamReset):
            self.got[event.stream_id].reset = int(event.error_code)
        assert not isinstance(event, RequestReceived | TrailersReceived)


PATHS = st.sampled_from([b"/", b"/a", b"/a/b?c=d", b"/" + b"long" * 200])
CONTENT = st.binary(max_size=300)
STEP = st.one_of(
    st.tuples(st.just("request"), PATHS, st.booleans()),
    st.tuples(st.just("content"), CONTENT, st.integers(0, 20) | st.none()),
    st.tuples(st.just("end"), st.booleans(), st.booleans()),
    st.tuples(st.just("cancel"), st.just(b""), st.none()),
    st.tuples(st.just("ping"), st.binary(min_size=8, max_size=8), st.none()),
    st.tuples(st.just("window"), st.sampled_from([0, 1, 100, 70_000]), st.none()),
    st.tuples(st.just("table"), st.sampled_from([0, 100, 4096, 8192]), st.none()),
    st.tuples(st.just("answer"), CONTENT, st.none()),
    st.tuples(st.just("carry"), st.none(), st.none()),
)
Step = tuple[str, object, object]


class Script:
    """Steps of a client and its server, as far as they are allowed where they come."""

    def __init__(self, sizes: list[int]) -> None:
        self.pair = Pair(sizes)
        self.open: list[int] = []  # whose request has not ended

    def take(self, step: Step) -> None:
        """Do one step."""
        kind, one, two = step
        client, said = self.pair.client, self.pair.said
        if kind == "request":
            assert isinstance(one, bytes)
            number = client.get_next_available_stream_id()
            method = b"GET" if two else b"POST"
            client.send_headers(
                number,
                [
                    (b":method", method),
                    (b":scheme", b"https"),
                    (b":authority", b"a.example"),
                    (b":path", one),
                    (b"x-kept", b"in the table %d" % (number % 3)),
                ],
                end_stream=bool(two),
            )
            said[number].head = (method, one, b"a.example")
            said[number].ended = bool(two)
            self.open += [] if two else [number]
        elif kind == "ping":
            assert isinstance(one, bytes)
            client.ping(one)
        elif kind == "window":
            assert isinstance(one, int)
            client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: one})
        elif kind == "table":
            assert isinstance(one, int)
            client.update_settings({SettingCodes.HEADER_TABLE_SIZE: one})
        elif kind == "answer":
            assert isinstance(one, bytes)
            self.answer(one)
        elif kind == "carry":
            self.pair.exchange()
        elif self.open:
            self.go_on(kind, one, two)

    def go_on(self, kind: str, one: object, two: object) -> None:
        """A step in the request that is open for the longest."""
        client, number = self.pair.client, self.open[0]
        said = self.pair.said[number]
        if kind == "content":
            assert isinstance(one, bytes)
            assert two is None or isinstance(two, int)
            if client.local_flow_control_window(number) > 2 * len(one) + 300:
                client.send_data(number, one, pad_length=two)
                client.send_data(number, one)
                said.content += one + one
        elif kind == "end":
            self.open.pop(0)
            said.ended = True
            if one:
                said.trailers = [(b"x-sum", b"%d" % len(said.content))]
                client.send_headers(number, said.trailers, end_stream=True)
            else:
                client.end_stream(number)
        else:
            self.open.pop(0)
            said.reset = CANCEL
            client.reset_stream(number, CANCEL)

    def answer(self, content: bytes) -> None:
        """Answer a request that is complete."""
        self.pair.exchange()
        server = self.pair.server
        for number, said in server.heard.items():
            if said.ended and number not in self.pair.answers:
                self.pair.answers[number] = server.answer(number, content)
                break
        self.pair.exchange()


@given(
    st.lists(STEP, max_size=30),
    st.lists(st.integers(1, 40) | st.just(100_000), min_size=1, max_size=5),
)
def test_a_client_of_h2_and_we_understand_each_other(
    steps: list[Step], sizes: list[int]
) -> None:
    script = Script(sizes)
    for step in steps:
        script.take(step)
    pair = script.pair
    pair.exchange()
    assert dict(pair.server.heard) == dict(pair.said)
    for number, content in pair.answers.items():
        got = pair.got[number]
        assert got.head[1] == b"%d" % number
        assert got.content == content
        assert got.ended or got.reset == INTERNAL_ERROR
    session = pair.server.session
    assert pair.client.outbound_flow_control_window == session.window
    for number, stream in session.streams.items():
        assert pair.client.remote_flow_control_window(number) == min(
            stream.send_window, session.send_window
        )
        state = session.states[number]
        if state.remote_open:
            assert pair.client.local_flow_control_window(number) == min(
                state.window, session.window
            )
