import litellm

options = {
    "model": "openai/gpt-4o-mini",
    "api_base": "http://127.0.0.1:12000/v1",
    "api_key": "unused",
}
pinned = {**options, "extra_headers": {"x-model-affinity": "conversation-1"}}

# What is tried
import json

from tried import ASK, USE_TOOL, WEATHER, tried, weather

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
CLAUDE = {
    "model": "anthropic/claude-sonnet-5",
    "api_base": "http://127.0.0.1:12000",
    "api_key": "unused",
}


def _turns(text):
    return [{"role": "user", "content": text}]


@tried
def plain():
    reply = litellm.completion(messages=_turns(ASK), **options)
    claude = litellm.completion(messages=_turns(ASK), **CLAUDE)
    return [
        reply.choices[0].message.content,
        reply.usage.total_tokens,
        claude.choices[0].message.content,
    ]


@tried
def streamed():
    chunks = litellm.completion(messages=_turns(ASK), stream=True, **options)
    return [each.choices[0].delta.content for each in chunks if each.choices[0].delta.content]


@tried
def tools():
    turns = _turns(USE_TOOL)
    asked = litellm.completion(messages=turns, tools=TOOLS, **options).choices[0].message
    (call,) = asked.tool_calls
    result = weather(**json.loads(call.function.arguments))
    turns += [asked, {"role": "tool", "tool_call_id": call.id, "content": result}]
    return litellm.completion(messages=turns, tools=TOOLS, **options).choices[0].message.content


@tried
def told_its_session():
    return litellm.completion(messages=_turns(ASK), **pinned).choices[0].message.content
