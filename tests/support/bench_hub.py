"""A hub for the load program: `bench_hub.py PORT ORIGIN CONTROL FAULT`.

One upstream stream for all clients of a path, kept when they leave and given again
at /_unbuffered/streams/ID, and to all of them what is published at CONTROL. FAULT
is what it does wrong, to see whether the load program notices.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio import StreamReader, StreamWriter

NO_FAULT = "none"
FAULTS = ("twice", "skips", "unshared", "forgets", "nameless")
KEPT = "/_unbuffered/streams/"


class Log:
    """The body of one stream as it came, and who gets it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.head = asyncio.get_running_loop().create_future()
        self.pieces: list[bytes] = []
        self.clients: list[StreamWriter] = []

    def add(self, piece: bytes, fault: str) -> None:
        self.pieces.append(piece)
        third = len(self.pieces) == 3
        times = 2 if third and fault == "twice" else 1
        if third and fault == "skips":
            times = 0
        for client in self.clients:
            client.write(piece * times)


class Hub:
    def __init__(self, origin: int, fault: str, tasks: asyncio.TaskGroup) -> None:
        self.origin = origin
        self.fault = fault
        self.tasks = tasks
        self.logs: dict[str, Log] = {}

    async def read_upstream(self, log: Log) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.origin)
        writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % log.path.encode())
        log.head.set_result(await reader.readuntil(b"\r\n\r\n"))
        while piece := await reader.read(65536):
            log.add(piece, self.fault)
        writer.close()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One client; it gets what comes from here on, or all from the beginning."""
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        name = path.rpartition("/")[2]
        new = name not in self.logs or self.fault == "unshared"
        if new:
            self.logs[name] = Log(path)
            self.tasks.create_task(self.read_upstream(self.logs[name]))
        log = self.logs[name]
        head = await log.head
        if self.fault != "nameless":
            field = b"\r\nStream-Id: %b\r\n" % name.encode()
            head = head.replace(b"\r\n", field, 1)
        writer.write(head)
        if path.startswith(KEPT):
            writer.write(b"".join(log.pieces[self.fault == "forgets" :]))
        elif new:  # what came with the head
            writer.write(b"".join(log.pieces))
        log.clients.append(writer)

    async def take_message(self, reader: StreamReader, writer: StreamWriter) -> None:
        """As nchan's publisher does, or Pushpin's if it is JSON."""
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
            message = (await reader.readexactly(int(size))).decode()
            event, close = f"id: 1:0\ndata: {message}\n\n", ""
            if message.startswith("{"):
                [item] = json.loads(message)["items"]
                event = item["formats"]["http-stream"]["content"]
                close = "Connection: close\r\n"
            for log in self.logs.values():
                log.add(event.encode(), self.fault)
            answer = f"HTTP/1.1 200 OK\r\n{close}Content-Length: 2\r\n\r\nok"
            writer.write(answer.encode())
            if close:
                writer.close()
                return


async def main(words: list[str]) -> None:
    port, origin, control = map(int, words[:3])
    async with asyncio.TaskGroup() as tasks:
        hub = Hub(origin, words[3], tasks)
        await asyncio.start_server(hub.take_message, "127.0.0.1", control)
        server = await asyncio.start_server(hub.serve, "127.0.0.1", port, backlog=1000)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
