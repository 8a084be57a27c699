"""Anthropic's messages as the simulator speaks them.

Source: https://docs.anthropic.com/en/api/messages, /messages-streaming, and the texts of refusals
that its users report.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tests.support.simulator.signing import Conversation, is_own, sign, spoken, unmarked
from tests.support.simulator.values import (
    Completion,
    Json,
    ModelRules,
    Prompt,
    Refusal,
    Segment,
    Usage,
)

PATH = "/v1/messages"
REDACTED = "redacted"
_STATE = ("thinking", "redacted_thinking")
_ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip


def read(body: Json) -> Prompt:
    """Read a request. Raises: KeyError, TypeError for one that is no such request."""
    messages, conversation = body["messages"], Conversation()
    segments = [_segment("tools", each) for each in body.get("tools", ())]
    segments += [_segment("system", each) for each in _as_blocks(body.get("system") or [])]
    user_text, tool_results = "", 0
    for message in messages:
        conversation.add(spoken(message))
        content = blocks(message)
        segments += [_segment(message["role"], each) for each in content]
        if message["role"] == "user":
            results = sum(each["type"] == "tool_result" for each in content)
            if results:
                tool_results += results
            else:
                user_text = "".join(each.get("text", "") for each in content)
                tool_results = 0
    if "cache_control" in body:
        segments[-1] = segments[-1]._replace(ends_prefix=True)
    return Prompt(
        body["model"],
        body.get("stream") is True,
        (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        tuple(segments),
        user_text,
        tool_results,
        conversation.digest,
    )


def refusal(rules: ModelRules, account: str, body: Json, known: Any) -> Refusal | None:
    """Return why a model at an account refuses a request for what its history holds."""
    conversation, messages = Conversation(), body["messages"]
    for at, message in enumerate(messages):
        before = conversation.digest
        for part, block in enumerate(blocks(message)):
            if block.get("type") in _STATE and not _is_own(rules, account, before, block):
                return _signature_refusal(at, part, block)
        conversation.add(spoken(message))
    is_thinking = (body.get("thinking") or {}).get("type") == "enabled"
    if rules.needs_thinking_in_loop and is_thinking and len(messages) > 1:
        last, first = blocks(messages[-1]), blocks(messages[-2])[0]
        is_loop = any(each["type"] == "tool_result" for each in last)
        if is_loop and first["type"] not in _STATE:
            text = (
                f"messages.{len(messages) - 2}.content.0.type: Expected `thinking` or "
                f"`redacted_thinking`, but found `{first['type']}`. When `thinking` is enabled, a "
                "final `assistant` message must start with a thinking block"
            )
            return Refusal(400, text, reason="thinking missing")
    return None


def blocks(message: Json) -> list[Json]:
    """Return a message's content as blocks."""
    return _as_blocks(message["content"])


def _as_blocks(content: Any) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def whole(
    rules: ModelRules,
    account: str,
    prompt: Prompt,
    completion: Completion,
    usage: Usage,
    nonce: str,
) -> bytes:
    """Write a message in one piece."""
    message = _message(rules, nonce) | {
        "content": _content(rules, account, prompt, completion),
        "stop_reason": "tool_use" if completion.tools else "end_turn",
        "usage": _usage(usage, usage.output),
    }
    return msgspec.json.encode(message)


def events(
    rules: ModelRules,
    account: str,
    prompt: Prompt,
    completion: Completion,
    usage: Usage,
    nonce: str,
) -> list[bytes]:
    """Write a streamed message, event by event."""
    start = _message(rules, nonce) | {"usage": _usage(usage, 1)}
    made: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for at, block in enumerate(_content(rules, account, prompt, completion)):
        deltas = list(_deltas(block))
        empty = {
            "thinking": {"type": "thinking", "thinking": "", "signature": ""},
            "text": {"type": "text", "text": ""},
            "tool_use": block | {"input": {}},
        }.get(block["type"], block)
        made.append({"type": "content_block_start", "index": at, "content_block": empty})
        made += [{"type": "content_block_delta", "index": at, "delta": each} for each in deltas]
        made.append({"type": "content_block_stop", "index": at})
    reason = "tool_use" if completion.tools else "end_turn"
    delta = {"stop_reason": reason, "stop_sequence": None}
    made.append({"type": "message_delta", "delta": delta, "usage": _usage(usage, usage.output)})
    made.append({"type": "message_stop"})
    return [
        b"event: %b\ndata: %b\n\n" % (each["type"].encode(), msgspec.json.encode(each))
        for each in made
    ]


def error(refused: Refusal) -> bytes:
    """Write an error body."""
    usual = "api_error" if refused.status >= 500 else "invalid_request_error"
    described = {"type": _ERROR_TYPES.get(refused.status, usual), "message": refused.message}
    return msgspec.json.encode({"type": "error", "error": described, "request_id": "req_sim"})


def error_event(refused: Refusal) -> bytes:
    """Write an error inside a stream."""
    return b"event: error\ndata: " + error(refused) + b"\n\n"


def _segment(place: str, block: Json) -> Segment:
    """Return a block as it counts for the cache, by what it says and not by its marks."""
    inside = block.get("content")
    said = unmarked(block)
    if isinstance(inside, list):
        said |= {"content": list(map(unmarked, inside))}
    return Segment(msgspec.json.encode([place, said]), "cache_control" in block)


def _is_own(rules: ModelRules, account: str, before: bytes, block: Json) -> bool:
    if block["type"] == "thinking":
        thought, signature = block["thinking"], block.get("signature")
    else:
        thought, signature = REDACTED, block.get("data")
    return is_own(rules, account, before, thought, signature)


def _signature_refusal(at: int, part: int, block: Json) -> Refusal:
    if block["type"] == "thinking":
        text = f"messages.{at}.content.{part}: Invalid `signature` in `thinking` block"
    else:
        text = f"messages.{at}.content.{part}: Invalid `data` in `redacted_thinking` block"
    return Refusal(400, text, reason="signature")


def _message(rules: ModelRules, nonce: str) -> Json:
    return {
        "id": f"msg_{nonce}",
        "type": "message",
        "role": "assistant",
        "model": rules.name,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _content(rules: ModelRules, account: str, prompt: Prompt, completion: Completion) -> list[Json]:
    content: list[Json] = []
    if completion.thinking is not None:
        thought = REDACTED if completion.is_redacted else completion.thinking
        signature = sign(rules, account, prompt.before, thought)
        content.append(
            {"type": "redacted_thinking", "data": signature}
            if completion.is_redacted
            else {"type": "thinking", "thinking": thought, "signature": signature}
        )
    if completion.text:
        content.append({"type": "text", "text": completion.text})
    for tool in completion.tools:
        arguments = msgspec.json.decode(tool.arguments)
        content.append(
            {"type": "tool_use", "id": tool.call_id, "name": tool.name, "input": arguments}
        )
    return content


def _deltas(block: Json) -> Iterator[Json]:
    if block["type"] == "thinking":
        yield {"type": "thinking_delta", "thinking": block["thinking"]}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        middle = len(block["text"]) // 2
        for half in (block["text"][:middle], block["text"][middle:]):
            yield {"type": "text_delta", "text": half}
    elif block["type"] == "tool_use":
        yield {"type": "input_json_delta", "partial_json": ""}
        arguments = msgspec.json.encode(block["input"]).decode()
        yield {"type": "input_json_delta", "partial_json": arguments}


def _usage(usage: Usage, output: int) -> Json:
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": output,
    }
