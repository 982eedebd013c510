"""A client whose test speaks HTTP/1.1, and whose connection speaks HTTP/2.

So tests that say what passes the proxy, and when, say it of HTTP/2 too. Frames are the
`h2` package's; a piece becomes a chunk, a reset the end of the connection without one.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import h2.config
import h2.events
import h2.exceptions

from tests.support.http2 import NO_ERROR, Patient, dial
from tests.support.raw import GUARD, Peer, became, chunk

CONNECTION_SPECIFIC = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "host",
}


SPELLED = {"etag": "ETag", "www-authenticate": "WWW-Authenticate"}


class Request:
    """Bytes of HTTP/1.1 that a test sends, taken apart."""

    def __init__(self) -> None:
        self.waiting = b""
        self.chunked = False
        self.left = 0  # of a body of known length
        self.in_body = False

    def head(self) -> tuple[list[tuple[str, str]], bool] | None:
        """The next request as fields; is it complete with them?"""
        raw, end, rest = self.waiting.partition(b"\r\n\r\n")
        if not end:
            return None
        self.waiting = rest
        line, *lines = raw.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        fields = [each.partition(":")[::2] for each in lines]
        named = [(name.lower(), value.strip(" \t")) for name, value in fields]
        found = dict(named)
        self.chunked = "transfer-encoding" in found
        self.left = int(found.get("content-length", "0"))
        self.in_body = self.chunked or self.left > 0
        head = [
            (":method", method),
            (":scheme", "http"),
            (":authority", found.get("host", "")),
            (":path", target),
            *(field for field in named if field[0] not in CONNECTION_SPECIFIC),
        ]
        return head, not self.in_body

    def content(self) -> tuple[bytes, bool]:
        """What has come of the body; is that its end?"""
        if not self.chunked:
            data, self.waiting = self.waiting[: self.left], self.waiting[self.left :]
            self.left -= len(data)
            self.in_body = self.left > 0
            return data, not self.in_body
        data = b""
        while True:
            line, end, rest = self.waiting.partition(b"\r\n")
            if not end:
                return data, False
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                if not rest.startswith(b"\r\n") and b"\r\n\r\n" not in rest:
                    return data, False
                self.in_body = False
                self.waiting = rest[2:] if rest.startswith(b"\r\n") else b""
                return data, True
            if len(rest) < size + 2:
                return data, False
            data += rest[:size]
            self.waiting = rest[size + 2 :]


class Translation:
    """The writer of a test's peer, and what feeds its reader."""

    def __init__(self, below: Peer) -> None:
        self.below = below
        self.reader = asyncio.StreamReader()
        self.h2 = Patient(
            h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
        )
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(2**24)
        self.flush()
        self.request = Request()
        self.number = 0
        self.head_request = False
        self.body: list[tuple[bytes, bool]] = []  # that waits for a window
        self.framed = False  # is the response's length known?
        self.responding = False
        self.task = asyncio.ensure_future(self.run())

    # -- what a test does with its writer

    @property
    def transport(self) -> Translation:
        return self

    def get_extra_info(self, name: str) -> Any:
        return self.below.writer.get_extra_info(name)

    def get_write_buffer_size(self) -> int:
        return sum(len(data) for data, _ in self.body)

    def pause_reading(self) -> None:
        self.below.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def resume_reading(self) -> None:
        self.below.writer.transport.resume_reading()  # type: ignore[attr-defined]

    def write(self, data: bytes) -> None:
        self.request.waiting += data
        self.send()

    async def drain(self) -> None:
        await self.below.writer.drain()
        await became(lambda: not self.body or self.task.done())

    def write_eof(self) -> None:
        self.below.writer.write_eof()

    def close(self) -> None:
        self.below.writer.close()
        self.stop()

    def abort(self) -> None:
        self.below.writer.transport.abort()
        self.stop()

    def stop(self) -> None:
        self.task.cancel()

    # -- out

    def send(self) -> None:
        """Send what can be sent of what the test has written."""
        request = self.request
        while True:
            if request.in_body:
                data, end = request.content()
                if data or end:
                    self.body.append((data, end))
                    continue
                break
            if self.responding:
                break  # one after the other, as on HTTP/1.1
            found = request.head()
            if found is None:
                break
            head, complete = found
            self.number = self.h2.get_next_available_stream_id()
            self.head_request = head[0][1] == "HEAD"
            self.responding = True
            self.h2.send_headers(self.number, head, end_stream=complete)
        self.send_body()
        self.flush()

    def send_body(self) -> None:
        while self.body:
            data, end = self.body[0]
            try:
                window = self.h2.local_flow_control_window(self.number)
            except h2.exceptions.ProtocolError:  # the stream is closed
                self.body.clear()
                return
            size = min(len(data), window, self.h2.max_outbound_frame_size)
            if data and not size:
                return
            last = size == len(data)
            self.h2.send_data(self.number, data[:size], end_stream=end and last)
            self.body[0] = data[size:], end
            if last:
                del self.body[0]

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.below.writer.is_closing():
            self.below.writer.write(data)

    # -- in

    async def run(self) -> None:
        """Read as long as there is anything."""
        try:
            while data := await self.below.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self.take(event)
                self.send()
        except (ConnectionError, h2.exceptions.ProtocolError) as error:
            self.reader.set_exception(ConnectionResetError(str(error)))
            return
        self.reader.feed_eof()

    def take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.InformationalResponseReceived):
            self.feed_head(event.headers, final=False)
        elif isinstance(event, h2.events.ResponseReceived):
            self.feed_head(event.headers, final=True)
        elif isinstance(event, h2.events.DataReceived):
            assert event.data is not None
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, self.number
                )
            if event.data:
                data = event.data if self.framed else chunk(event.data)
                self.reader.feed_data(data)
        elif isinstance(event, h2.events.TrailersReceived):
            if not self.framed:
                self.reader.feed_data(b"0\r\n" + lines(event.headers) + b"\r\n")
                self.framed = True
        elif isinstance(event, h2.events.StreamEnded):
            if not self.framed:
                self.reader.feed_data(b"0\r\n\r\n")
            self.responding = False
        elif isinstance(event, h2.events.StreamReset):
            if event.error_code != NO_ERROR:
                self.reader.feed_eof()
            self.body.clear()

    def feed_head(self, headers: Any, *, final: bool) -> None:
        """A response head as text."""
        found = [(str(name), str(value)) for name, value in headers]
        status = int(found[0][1])
        names = {name for name, _ in found}
        self.framed = (
            "content-length" in names or self.head_request or status in (204, 304)
        )
        text = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
        text += lines(found[1:])
        if final and not self.framed:
            text += b"Transfer-Encoding: chunked\r\n"
        self.reader.feed_data(text + b"\r\n")


def lines(headers: Any) -> bytes:
    """Fields as HTTP/1.1 has them, spelled as most servers do."""
    text = "".join(
        f"{SPELLED.get(name, name.title())}: {value}\r\n" for name, value in headers
    )
    return text.encode("latin-1")


async def translated(port: int, receive_bytes: int = 0) -> Peer:
    """A peer that speaks HTTP/2 without TLS, for a test that does not."""
    async with asyncio.timeout(GUARD):
        translation = Translation(await dial(port, receive_bytes=receive_bytes))
    writer = cast("asyncio.StreamWriter", translation)
    return Peer(translation.reader, writer)
