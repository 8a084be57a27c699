import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "http://127.0.0.1:12000", apiKey: "unused" });
const pinned = client.withOptions({ defaultHeaders: { "x-model-affinity": "conversation-1" } });

// What is tried
import { ASK, USE_TOOL, WEATHER, pieces, tried, weather } from "./tried.mjs";

const options = { model: "claude-sonnet-5", max_tokens: 99 };
const messages = [{ role: "user", content: ASK }];
const tools = [{ name: "weather", input_schema: WEATHER }];

await tried("plain", async () => {
  const reply = await client.messages.create({ messages, ...options });
  return [reply.content[0].text, reply.usage.output_tokens];
});

await tried("streamed", async () =>
  pieces(client.messages.stream({ messages, ...options }), (each) => each.delta?.text),
);

await tried("tools", async () => {
  const turns = [{ role: "user", content: USE_TOOL }];
  const asked = await client.messages.create({ messages: turns, tools, ...options });
  const [used] = asked.content;
  const result = { type: "tool_result", tool_use_id: used.id, content: weather(used.input) };
  turns.push({ role: "assistant", content: asked.content }, { role: "user", content: [result] });
  return (await client.messages.create({ messages: turns, tools, ...options })).content[0].text;
});

await tried("told_its_session", async () => (await pinned.messages.create({ messages, ...options })).content[0].text);
