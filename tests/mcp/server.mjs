// A tool, served by the official library for Node in an older version of MCP.
// Usage: server.mjs PORT sessions|stateless

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

const [port, kind] = process.argv.slice(2);
const keepsSessions = kind === "sessions";
const sessions = new Map();

function tools() {
  const server = new McpServer({ name: "echo", version: "1" });
  const annotations = { readOnlyHint: true };
  server.registerTool("headers", { description: "Says what headers came.", annotations }, ({ requestInfo }) => ({
    content: [{ type: "text", text: JSON.stringify(requestInfo.headers) }],
  }));
  server.registerTool("sessions", { description: "Says how many sessions there are.", annotations }, () => ({
    content: [],
    structuredContent: { sessions: sessions.size },
  }));
  return server;
}

async function transport(request) {
  const known = sessions.get(request.headers["mcp-session-id"]);
  if (known) return known;
  const opened = new StreamableHTTPServerTransport({
    sessionIdGenerator: keepsSessions ? randomUUID : undefined,
    enableJsonResponse: !keepsSessions,
    onsessioninitialized: (id) => sessions.set(id, opened),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await tools().connect(opened);
  return opened;
}

createServer(async (request, response) => {
  await (await transport(request)).handleRequest(request, response);
}).listen(Number(port), "127.0.0.1");
