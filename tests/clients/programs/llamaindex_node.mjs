import { openai } from "@llamaindex/openai";

const options = { model: "gpt-4o-mini", apiKey: "unused", baseURL: "http://127.0.0.1:12000/v1" };
const llm = openai(options);
const additionalSessionOptions = { defaultHeaders: { "x-model-affinity": "conversation-1" } };
const pinned = openai({ ...options, additionalSessionOptions });

// What is tried
import { agent } from "@llamaindex/workflow";
import { tool } from "llamaindex";
import { z } from "zod";
import { ASK, USE_TOOL, pieces, tried, weather } from "./tried.mjs";

const messages = [{ role: "user", content: ASK }];
const parameters = z.object({ city: z.string() });
const tools = [tool({ name: "weather", description: "Weather", parameters, execute: weather })];

await tried("plain", async () => (await llm.chat({ messages })).message.content);
await tried("streamed", async () => pieces(await llm.chat({ messages, stream: true }), (each) => each.delta));
await tried("tools", async () => (await agent({ tools, llm }).run(USE_TOOL)).data.result);
await tried("told_its_session", async () => (await pinned.chat({ messages })).message.content);
