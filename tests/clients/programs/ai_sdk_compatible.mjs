import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

const sidecar = createOpenAICompatible({ name: "sidecar", baseURL: "http://127.0.0.1:12000/v1", apiKey: "unused" });
const pinned = { headers: { "x-model-affinity": "conversation-1" } }; // of generateText and streamText

// What is tried
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ASK, USE_TOOL, pieces, tried, weather } from "./tried.mjs";

const model = sidecar("gpt-4o-mini");
const tools = { weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async (given) => weather(given) }) };

await tried("plain", async () => (await generateText({ model, prompt: ASK })).text);
await tried("streamed", async () => pieces(streamText({ model, prompt: ASK }).textStream, (each) => each));
await tried("tools", async () => {
  const run = await generateText({ model, prompt: USE_TOOL, tools, stopWhen: stepCountIs(5) });
  return [run.text, run.steps.length];
});
await tried("told_its_session", async () => (await generateText({ model, prompt: ASK, ...pinned })).text);
