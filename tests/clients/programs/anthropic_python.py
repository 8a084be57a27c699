from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:12000", api_key="unused")
pinned = client.with_options(default_headers={"x-model-affinity": "conversation-1"})

# What is tried
from tried import ASK, USE_TOOL, WEATHER, tried, weather

OPTIONS = {"model": "claude-sonnet-5", "max_tokens": 99}
TOOLS = [{"name": "weather", "input_schema": WEATHER}]


def _turns(text):
    return [{"role": "user", "content": text}]


@tried
def plain():
    reply = client.messages.create(messages=_turns(ASK), **OPTIONS)
    return [reply.content[0].text, reply.usage.output_tokens]


@tried
def streamed():
    with client.messages.stream(messages=_turns(ASK), **OPTIONS) as stream:
        return list(stream.text_stream)


@tried
def tools():
    turns = _turns(USE_TOOL)
    asked = client.messages.create(messages=turns, tools=TOOLS, **OPTIONS)
    (used,) = asked.content
    result = {"type": "tool_result", "tool_use_id": used.id, "content": weather(**used.input)}
    turns += [
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": [result]},
    ]
    return client.messages.create(messages=turns, tools=TOOLS, **OPTIONS).content[0].text


@tried
def told_its_session():
    return pinned.messages.create(messages=_turns(ASK), **OPTIONS).content[0].text
