import { ChatAnthropic } from "@langchain/anthropic";

const options = { model: "claude-sonnet-5", apiKey: "unused", anthropicApiUrl: "http://127.0.0.1:12000" };
const model = new ChatAnthropic(options);
const defaultHeaders = { "x-model-affinity": "conversation-1" };
const pinned = new ChatAnthropic({ ...options, clientOptions: { defaultHeaders } });

// What is tried
import { createAgent, tool } from "langchain";
import { z } from "zod";
import { ASK, USE_TOOL, pieces, tried, weather } from "./tried.mjs";

const tools = [tool(weather, { name: "weather", description: "Weather", schema: z.object({ city: z.string() }) })];

await tried("plain", async () => (await model.invoke(ASK)).text);
await tried("streamed", async () => pieces(await model.stream(ASK), (each) => each.text));
await tried("tools", async () => {
  const run = await createAgent({ model, tools }).invoke({ messages: [{ role: "user", content: USE_TOOL }] });
  return [run.messages.at(-1).text, run.messages.length];
});
await tried("told_its_session", async () => (await pinned.invoke(ASK)).text);
