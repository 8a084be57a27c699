from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:12000/v1", api_key="unused")
pinned = client.with_options(default_headers={"x-model-affinity": "conversation-1"})

# What is tried
from tried import ASK, USE_TOOL, WEATHER, tried, weather

MODEL = "gpt-4o-mini"
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
TOOL = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}


def _turns(text):
    return [{"role": "user", "content": text}]


@tried
def plain():
    reply = client.responses.create(model=MODEL, input=ASK)
    chat = client.chat.completions.create(model=MODEL, messages=_turns(ASK))
    return [reply.output_text, chat.choices[0].message.content, chat.usage.total_tokens]


@tried
def streamed():
    events = client.responses.create(model=MODEL, input=ASK, stream=True)
    pieces = [each.delta for each in events if each.type == "response.output_text.delta"]
    chunks = client.chat.completions.create(model=MODEL, messages=_turns(ASK), stream=True)
    return [pieces, [each.choices[0].delta.content for each in chunks if each.choices]]


@tried
def tools():
    turns = _turns(USE_TOOL)
    asked = client.chat.completions.create(model=MODEL, messages=turns, tools=[CHAT_TOOL])
    (call,) = asked.choices[0].message.tool_calls
    result = weather(**__import__("json").loads(call.function.arguments))
    turns += [
        asked.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    after = client.chat.completions.create(model=MODEL, messages=turns, tools=[CHAT_TOOL])
    (item,) = client.responses.create(model=MODEL, input=USE_TOOL, tools=[TOOL]).output
    items = [
        *_turns(USE_TOOL),
        item,
        {"type": "function_call_output", "call_id": item.call_id, "output": result},
    ]
    last = client.responses.create(model=MODEL, input=items, tools=[TOOL])
    return [after.choices[0].message.content, last.output_text]


@tried
def told_its_session():
    return pinned.responses.create(model=MODEL, input=ASK).output_text
