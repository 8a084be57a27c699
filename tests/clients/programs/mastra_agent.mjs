import { Agent } from "@mastra/core/agent";

const options = { id: "sidecar/gpt-4o-mini", url: "http://127.0.0.1:12000/v1", apiKey: "unused" };
const agent = new Agent({ id: "helper", name: "helper", instructions: "Help.", model: options });
const headers = { "x-model-affinity": "conversation-1" };
const pinned = new Agent({ id: "h2", name: "h2", instructions: "Help.", model: { ...options, headers } });

// What is tried
import { createTool } from "@mastra/core/tools";
import { z } from "zod";
import { ASK, USE_TOOL, pieces, tried, weather } from "./tried.mjs";

const inputSchema = z.object({ city: z.string() });
const tool = createTool({ id: "weather", description: "Weather", inputSchema, execute: async (given) => weather(given.context ?? given) });
const able = new Agent({ id: "h3", name: "h3", instructions: "Help.", model: options, tools: { weather: tool } });

await tried("plain", async () => (await agent.generate(ASK)).text);
await tried("streamed", async () => pieces((await agent.stream(ASK)).textStream, (each) => each));
await tried("tools", async () => (await able.generate(USE_TOOL)).text);
await tried("told_its_session", async () => (await pinned.generate(ASK)).text);
process.exit(0);
