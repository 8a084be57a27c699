"""OpenAI's chat completions as the simulator speaks them, with Gemini's thought signatures where a
model signs.

Source: https://platform.openai.com/docs/api-reference/chat,
https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tests.support.simulator.signing import Conversation, is_own, sign, spoken
from tests.support.simulator.values import (
    Completion,
    Json,
    ModelRules,
    Prompt,
    Refusal,
    Segment,
    Signing,
    Usage,
)

PATH = "/v1/chat/completions"
_CREATED = 1_764_000_000


def read(body: Json) -> Prompt:
    """Read a request. Raises: KeyError, TypeError for one that is no such request."""
    conversation = Conversation()
    segments = [Segment(msgspec.json.encode(body.get("tools", [])), ends_prefix=False)]
    user_text, tool_results = "", 0
    for message in body["messages"]:
        conversation.add(spoken(message))
        segments.append(Segment(msgspec.json.encode(message), ends_prefix=False))
        if message["role"] == "user":
            user_text, tool_results = str(message["content"]), 0
        tool_results += message["role"] == "tool"
    return Prompt(
        body["model"],
        body.get("stream") is True,
        body.get("reasoning_effort") not in (None, "none"),
        tuple(segments),
        user_text,
        tool_results,
        conversation.digest,
    )


def refusal(rules: ModelRules, account: str, body: Json, known: Any) -> Refusal | None:
    """Return why a model at an account refuses a request for what its history holds."""
    conversation = Conversation()
    for message in body["messages"]:
        before = conversation.digest
        for call in message.get("tool_calls") or ():
            found = _signature(call)
            if found is not None and not is_own(rules, account, before, call["id"], found):
                return Refusal(400, "Corrupted thought signature.", reason="signature")
        conversation.add(spoken(message))
    is_loop = body["messages"][-1]["role"] == "tool"
    if rules.needs_thinking_in_loop and is_loop:
        made = [each for each in body["messages"] if each.get("tool_calls")][-1:]
        if any(_signature(call) is None for each in made for call in each["tool_calls"][:1]):
            text = "Function call is missing a thought_signature in functionCall parts."
            return Refusal(400, text, reason="thinking missing")
    return None


def whole(
    rules: ModelRules,
    account: str,
    prompt: Prompt,
    completion: Completion,
    usage: Usage,
    nonce: str,
) -> bytes:
    """Write a completion in one piece."""
    message: Json = {"role": "assistant", "content": completion.text or None, "refusal": None}
    if completion.thinking is not None and rules.signing is Signing.NONE:
        message["reasoning_content"] = completion.thinking
    if completion.tools:
        message["tool_calls"] = _tool_calls(rules, account, prompt, completion)
    choice: Json = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish(completion),
    }
    made = _head(rules, nonce) | {"object": "chat.completion", "choices": [choice]}
    return msgspec.json.encode(made | {"usage": _usage(usage)})


def events(
    rules: ModelRules,
    account: str,
    prompt: Prompt,
    completion: Completion,
    usage: Usage,
    nonce: str,
) -> list[bytes]:
    """Write a streamed completion, event by event, usage and ``[DONE]`` at its end."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    if completion.thinking is not None and rules.signing is Signing.NONE:
        deltas.append({"reasoning_content": completion.thinking})
    middle = len(completion.text) // 2
    deltas += [
        {"content": half} for half in (completion.text[:middle], completion.text[middle:]) if half
    ]
    deltas += [
        {"tool_calls": [{"index": index} | call]}
        for index, call in enumerate(_tool_calls(rules, account, prompt, completion))
    ]
    choices: list[Json] = [{"index": 0, "delta": each, "finish_reason": None} for each in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": _finish(completion)})
    head = _head(rules, nonce) | {"object": "chat.completion.chunk"}
    made = [head | {"choices": [each], "usage": None} for each in choices]
    made.append(head | {"choices": [], "usage": _usage(usage)})
    return [b"data: %b\n\n" % each for each in (*map(msgspec.json.encode, made), b"[DONE]")]


def error(refused: Refusal) -> bytes:
    """Write an error body."""
    described = {
        "message": refused.message,
        "type": "server_error" if refused.status >= 500 else "invalid_request_error",
        "param": refused.param,
        "code": refused.code,
    }
    return msgspec.json.encode({"error": described})


def error_event(refused: Refusal) -> bytes:
    """Write an error inside a stream."""
    return b"data: " + error(refused) + b"\n\n"


def _signature(call: Json) -> str | None:
    found = (call.get("extra_content") or {}).get("google") or {}
    return found.get("thought_signature")


def _tool_calls(
    rules: ModelRules, account: str, prompt: Prompt, completion: Completion
) -> list[Json]:
    """Return the calls, the first one signed where the model signs."""
    made: list[Json] = [
        {
            "id": tool.call_id,
            "type": "function",
            "function": {"name": tool.name, "arguments": tool.arguments},
        }
        for tool in completion.tools
    ]
    if made and rules.signing is not Signing.NONE:
        mark = sign(rules, account, prompt.before, made[0]["id"])
        made[0]["extra_content"] = {"google": {"thought_signature": mark}}
    return made


def _finish(completion: Completion) -> str:
    return "tool_calls" if completion.tools else "stop"


def _head(rules: ModelRules, nonce: str) -> Json:
    return {"id": f"chatcmpl-{nonce}", "created": _CREATED, "model": rules.name}


def _usage(usage: Usage) -> Json:
    prompt = usage.fresh + usage.cached + usage.written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }
