"""Drives one MCP connection of the Python SDK from the tests.

Arguments: MODE (legacy = revision 2025-11-25 with its handshake, or a revision such as 2026-07-28), then either
`http URL` with one `Authorization` header per server in the environment variable CURTAIN_E2E_TOKEN, or
`stdio COMMAND ARG…`. The first line printed is what the server is; then each line read, `{"tool", "arguments"}`,
is answered by one line: `{"ok": structured}` or `{"error": text}`.
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


def connection(kind, rest):
    if kind == "stdio":
        env = {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"]}
        return StdioServerParameters(command=rest[0], args=rest[1:], env=env)
    headers = {"Authorization": "Bearer " + os.environ["CURTAIN_E2E_TOKEN"]}
    # The name of the instance's origin, resolved here to the address it listens on.
    return streamable_http_client(rest[0], http_client=httpx2.AsyncClient(headers=headers, timeout=30))


def say(value):
    print(json.dumps(value), flush=True)


async def answer(client, request):
    try:
        result = await client.call_tool(request["tool"], request["arguments"])
    except MCPError as error:
        return {"error": str(error)}
    text = result.content[0].text if result.content else ""
    if result.is_error:
        return {"error": text}
    return {"ok": result.structured_content or json.loads(text)}


async def main():
    mode, kind, *rest = sys.argv[1:]
    async with Client(connection(kind, rest), mode=mode, read_timeout_seconds=30) as client:
        tools, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        size = sum(len(tool.model_dump_json(exclude_none=True)) for tool in tools)
        say({"protocol": client.protocol_version, "tools": [tool.name for tool in tools], "bytes": size})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            say(await answer(client, json.loads(line)))


asyncio.run(main())
