"""Calls the tool through Unbuffered; each step is printed when it is told."""

import sys

import anyio
from mcp import Client


async def told(step: float, total: float | None, message: str | None) -> None:
    print(f"{step:.0f} of {total:.0f}", flush=True)


async def main(address: str, to: int) -> None:
    async with Client(address) as client:
        result = await client.call_tool("count", {"to": to}, progress_callback=told)
        print(result.content[0].text)


if __name__ == "__main__":
    to = int(sys.argv[1]) if sys.argv[1:] else 5
    address = sys.argv[2] if sys.argv[2:] else "http://localhost:8080/tools/mcp"
    anyio.run(main, address, to)
