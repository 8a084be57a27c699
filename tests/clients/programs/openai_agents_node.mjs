import { setDefaultOpenAIClient, setTracingDisabled } from "@openai/agents";
import OpenAI from "openai";

setTracingDisabled(true); // or its spans go to api.openai.com
setDefaultOpenAIClient(new OpenAI({ baseURL: "http://127.0.0.1:12000/v1", apiKey: "unused" }));
const headers = { "x-model-affinity": "conversation-1" };
const pinned = { providerData: { extra_headers: headers } }; // modelSettings of an Agent

// What is tried
import { Agent, run, tool } from "@openai/agents";
import { z } from "zod";
import { ASK, USE_TOOL, pieces, tried, weather } from "./tried.mjs";

const parameters = z.object({ city: z.string() });
const tools = [tool({ name: "weather", description: "Weather", parameters, execute: async (given) => weather(given) })];
const agent = new Agent({ name: "helper", model: "gpt-4o-mini", tools });

await tried("plain", async () => (await run(agent, ASK)).finalOutput);
await tried("streamed", async () => pieces((await run(agent, ASK, { stream: true })).toTextStream(), (each) => each));
await tried("tools", async () => {
  const result = await run(agent, USE_TOOL);
  return [result.finalOutput, result.history.length];
});
await tried("told_its_session", async () => (await run(agent.clone({ modelSettings: pinned }), ASK)).finalOutput);
