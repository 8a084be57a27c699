import OpenAI from "openai";

const client = new OpenAI({ baseURL: "http://127.0.0.1:12000/v1", apiKey: "unused" });
const pinned = client.withOptions({ defaultHeaders: { "x-model-affinity": "conversation-1" } });

// What is tried
import { ASK, USE_TOOL, WEATHER, pieces, tried, weather } from "./tried.mjs";

const model = "gpt-4o-mini";
const messages = [{ role: "user", content: ASK }];
const chatTool = { type: "function", function: { name: "weather", parameters: WEATHER } };
const tool = { type: "function", name: "weather", parameters: WEATHER, strict: false };

await tried("plain", async () => {
  const reply = await client.responses.create({ model, input: ASK });
  const chat = await client.chat.completions.create({ model, messages });
  return [reply.output_text, chat.choices[0].message.content, chat.usage.total_tokens];
});

await tried("streamed", async () => {
  const events = await client.responses.create({ model, input: ASK, stream: true });
  const chunks = await client.chat.completions.create({ model, messages, stream: true });
  return [await pieces(events, (each) => each.delta), await pieces(chunks, (each) => each.choices[0]?.delta.content)];
});

await tried("tools", async () => {
  const turns = [{ role: "user", content: USE_TOOL }];
  const asked = (await client.chat.completions.create({ model, messages: turns, tools: [chatTool] })).choices[0].message;
  const call = asked.tool_calls[0];
  const result = weather(JSON.parse(call.function.arguments));
  turns.push(asked, { role: "tool", tool_call_id: call.id, content: result });
  const after = await client.chat.completions.create({ model, messages: turns, tools: [chatTool] });
  const [item] = (await client.responses.create({ model, input: USE_TOOL, tools: [tool] })).output;
  const output = { type: "function_call_output", call_id: item.call_id, output: result };
  const input = [{ role: "user", content: USE_TOOL }, item, output];
  const last = await client.responses.create({ model, input, tools: [tool] });
  return [after.choices[0].message.content, last.output_text];
});

await tried("told_its_session", async () => (await pinned.responses.create({ model, input: ASK })).output_text);
