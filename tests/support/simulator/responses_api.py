"""OpenAI's responses as the simulator speaks them: encrypted reasoning, and responses that an
account remembers by their ids.

Source: https://platform.openai.com/docs/api-reference/responses, and the texts of refusals that its
users report.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tests.support.simulator.chat_api import error
from tests.support.simulator.signing import Conversation, is_own, sign, spoken
from tests.support.simulator.values import (
    Completion,
    Json,
    ModelRules,
    Prompt,
    Refusal,
    Segment,
    Usage,
)

PATH = "/v1/responses"
__all__ = ["PATH", "error", "error_event", "events", "items_of", "output_of", "read", "refusal", "whole"]  # fmt: skip
_CREATED = 1_764_000_000
_ENCRYPTED = "reasoning.encrypted_content"


def items_of(body: Json) -> list[Json]:
    """Return the items of a request's input."""
    said = body["input"]
    if isinstance(said, str):
        return [{"type": "message", "role": "user", "content": said}]
    return list(said)


def read(body: Json) -> Prompt:
    """Read a request. Raises: KeyError, TypeError for one that is no such request."""
    conversation = Conversation()
    segments = [
        Segment(msgspec.json.encode(body.get("tools", [])), ends_prefix=False),
        Segment(msgspec.json.encode(body.get("instructions", "")), ends_prefix=False),
    ]
    user_text, tool_results = "", 0
    for item in items_of(body):
        conversation.add(spoken(item))
        segments.append(Segment(msgspec.json.encode(item), ends_prefix=False))
        if item.get("role") == "user":
            user_text, tool_results = str(item["content"]), 0
        tool_results += item.get("type") == "function_call_output"
    return Prompt(
        body["model"],
        body.get("stream") is True,
        bool(body.get("reasoning")),
        tuple(segments),
        user_text,
        tool_results,
        conversation.digest,
    )


def refusal(rules: ModelRules, account: str, body: Json, known: Any) -> Refusal | None:
    """Return why a model at an account refuses a request for what its history holds.

    Args: ``known`` are the ids of reasoning that the account has stored.
    """
    conversation = Conversation()
    for item in items_of(body):
        if item.get("type") == "reasoning":
            hidden = item.get("encrypted_content")
            if hidden is None and item["id"] not in known:
                text = f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set to false."
                return Refusal(404, text, param="input", reason="item unknown")
            thought = "".join(each["text"] for each in item.get("summary") or ())
            if hidden is not None and not is_own(
                rules, account, conversation.digest, thought, hidden
            ):
                text = (
                    f"The encrypted content {hidden[:12]}... could not be verified. "
                    "Reason: Encrypted content could not be decrypted or parsed."
                )
                return Refusal(400, text, "invalid_encrypted_content", reason="signature")
        conversation.add(spoken(item))
    return None


def output_of(
    rules: ModelRules,
    account: str,
    prompt: Prompt,
    completion: Completion,
    nonce: str,
    *,
    encrypts: bool,
) -> list[Json]:
    """Return the items that a model says."""
    output: list[Json] = []
    if completion.thinking is not None:
        item: Json = {
            "id": f"rs_{nonce}",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": completion.thinking}],
        }
        if encrypts:
            item["encrypted_content"] = sign(rules, account, prompt.before, completion.thinking)
        output.append(item)
    output += [
        {
            "id": f"fc_{nonce}_{number}",
            "type": "function_call",
            "status": "completed",
            "call_id": tool.call_id,
            "name": tool.name,
            "arguments": tool.arguments,
        }
        for number, tool in enumerate(completion.tools)
    ]
    if not completion.tools:
        part = {"type": "output_text", "text": completion.text, "annotations": [], "logprobs": []}
        output.append(
            {
                "id": f"msg_{nonce}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    return output


def whole(rules: ModelRules, output: list[Json], usage: Usage, nonce: str) -> bytes:
    """Write a response in one piece."""
    return msgspec.json.encode(_response(rules, output, usage, nonce))


def events(rules: ModelRules, output: list[Json], usage: Usage, nonce: str) -> list[bytes]:
    """Write a streamed response, event by event."""
    begun = _response(rules, [], None, nonce)
    made: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for at, item in enumerate(output):
        made += _item_events(at, item)
    made.append({"type": "response.completed", "response": _response(rules, output, usage, nonce)})
    return [
        b"event: %b\ndata: %b\n\n"
        % (each["type"].encode(), msgspec.json.encode(each | {"sequence_number": number}))
        for number, each in enumerate(made)
    ]


def error_event(refused: Refusal) -> bytes:
    """Write an error inside a stream."""
    event = {"type": "error", "code": refused.code, "message": refused.message, "param": None}
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


def _item_events(at: int, item: Json) -> list[Json]:
    place = {"output_index": at, "item_id": item["id"]}
    made: list[Json] = []
    if item["type"] == "function_call":
        empty = item | {"arguments": "", "status": "in_progress"}
        made = [
            place | {"type": "response.function_call_arguments.delta", "delta": item["arguments"]},
            place
            | {
                "type": "response.function_call_arguments.done",
                "arguments": item["arguments"],
                "name": item["name"],
            },
        ]
    elif item["type"] == "message":
        part, inner = item["content"][0], place | {"content_index": 0}
        empty = item | {"content": [], "status": "in_progress"}
        text = part["text"]
        made = [
            inner | {"type": "response.content_part.added", "part": part | {"text": ""}},
            inner | {"type": "response.output_text.delta", "delta": text, "logprobs": []},
            inner | {"type": "response.output_text.done", "text": text, "logprobs": []},
            inner | {"type": "response.content_part.done", "part": part},
        ]
    else:
        empty = item | {"summary": []}
    return [
        {"type": "response.output_item.added", "output_index": at, "item": empty},
        *made,
        {"type": "response.output_item.done", "output_index": at, "item": item},
    ]


def _response(rules: ModelRules, output: list[Json], usage: Usage | None, nonce: str) -> Json:
    return {
        "id": f"resp_{nonce}",
        "object": "response",
        "created_at": _CREATED,
        "status": "in_progress" if usage is None else "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": rules.name,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None if usage is None else _usage(usage),
    }


def _usage(usage: Usage) -> Json:
    prompt = usage.fresh + usage.cached + usage.written
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + usage.output,
    }
