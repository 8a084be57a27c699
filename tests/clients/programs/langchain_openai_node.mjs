import { ChatOpenAI } from "@langchain/openai";

const configuration = { baseURL: "http://127.0.0.1:12000/v1" };
const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "unused", configuration });
const pinned = { options: { headers: { "x-model-affinity": "conversation-1" } } }; // model.invoke(..., pinned)

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
await tried("told_its_session", async () => (await model.invoke(ASK, pinned)).text);
