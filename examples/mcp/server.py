"""An MCP server (streamable HTTP) whose tool tells how far it is."""

import os

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("counting")


@server.tool()
async def count(to: int, context: Context) -> str:
    """Count aloud."""
    for number in range(1, to + 1):
        await context.report_progress(number, to)
        await anyio.sleep(0.1)
    return f"counted to {to}"


if __name__ == "__main__":
    server.run("streamable-http", port=int(os.environ.get("PORT", "8000")))
