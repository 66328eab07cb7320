"""Two tools, served by the official library for Python in the newest version of MCP.

Usage: server.py PORT json|events
"""

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("orders")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def find_order(number: int) -> str:
    """Finds an order by its number."""
    return f"Order {number} is on its way."


@server.tool()
def cancel_order(number: int) -> str:
    """Cancels an order."""
    raise ValueError(f"order {number} is on its way")


port, replies = sys.argv[1:]
app = server.streamable_http_app(json_response=replies == "json")
uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
