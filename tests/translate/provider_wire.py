"""What providers send, written by hand from the three APIs' references: a completion as a whole body
and as the events of a stream. Nothing of the package's writers is in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.completion import Completion, Finish, TokenUsage
from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall

Cut = Callable[[str], list[str]]
"""Cuts a text into the pieces that deltas bring."""
APIS = (CHAT, RESPONSES, MESSAGES)
CHAT_WORDS = {
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.REFUSAL: "content_filter",
}
MESSAGES_WORDS = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.REFUSAL: "refusal",
    Finish.PAUSE: "pause_turn",
}
INCOMPLETE = {Finish.LENGTH: "max_output_tokens", Finish.REFUSAL: "content_filter"}
MESSAGES_TIERS = {"default": "standard", "priority": "priority"}


def in_two(text: str) -> list[str]:
    """Cut in the middle."""
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def whole(api: DialectName, completion: Completion) -> bytes:
    """Return the body of a response."""
    return json.dumps(_WHOLES[api](completion)).encode()


def stream(api: DialectName, completion: Completion, cut: Cut = in_two) -> bytes:
    """Return all events of a response."""
    return b"".join(_STREAMS[api](completion, cut))


def data_event(data: Any, name: str = "") -> bytes:
    """Return one event."""
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(data)}\n\n".encode()


def _chat_usage(usage: TokenUsage) -> dict[str, Any]:
    prompt, output = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _chat_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _chat_whole(completion: Completion) -> dict[str, Any]:
    texts = [part.text for part in completion.parts if isinstance(part, TextPart)]
    refusals = [part.text for part in completion.parts if isinstance(part, RefusalPart)]
    calls = [_chat_call(part) for part in completion.parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": texts[0] if texts else None,
        "refusal": refusals[0] if refusals else None,
        "reasoning_content": "let me see",
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": CHAT_WORDS[completion.finish],
    }
    return {
        "id": completion.id,
        "object": "chat.completion",
        "created": 1757430000,
        "model": completion.model,
        "choices": [choice],
        "usage": _chat_usage(completion.usage),
        "service_tier": completion.service_tier,
        "system_fingerprint": "fp_1",
    }


def _chat_deltas(completion: Completion, cut: Cut) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "", "refusal": None}
    yield {"reasoning_content": "let me see"}
    for part in completion.parts:
        if isinstance(part, TextPart):
            yield from ({"content": piece} for piece in cut(part.text))
        elif isinstance(part, RefusalPart):
            yield from ({"refusal": piece} for piece in cut(part.text))
    calls = [part for part in completion.parts if isinstance(part, ToolCall)]
    for index, call in enumerate(calls):
        function = {"name": call.name, "arguments": ""}
        first = {"index": index, "id": call.id, "type": "function", "function": function}
        yield {"content": None, "tool_calls": [first]}
        for piece in cut(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _chat_stream(completion: Completion, cut: Cut) -> Iterator[bytes]:
    head = {
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": 1757430000,
        "model": completion.model,
        "service_tier": completion.service_tier,
    }
    azure = {**head, "id": "", "model": "", "choices": [], "prompt_filter_results": []}
    yield data_event(azure)
    yield b": KEEP-ALIVE\n\n"
    for delta in _chat_deltas(completion, cut):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        yield data_event({**head, "choices": [choice], "usage": None, "obfuscation": "kX9q"})
    last = {"index": 0, "delta": {}, "finish_reason": CHAT_WORDS[completion.finish]}
    yield data_event({**head, "choices": [last], "usage": None})
    yield data_event({**head, "choices": [], "usage": _chat_usage(completion.usage)})
    yield b"data: [DONE]\n\n"


def _messages_usage(completion: Completion) -> dict[str, Any]:
    usage = completion.usage
    apart = (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    written: dict[str, Any] = {
        "input_tokens": (usage.input_tokens or 0) - apart,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
    if completion.service_tier:
        written["service_tier"] = MESSAGES_TIERS[completion.service_tier]
    return written


def _block(part: TextPart | RefusalPart | ToolCall) -> dict[str, Any]:
    if isinstance(part, ToolCall):
        arguments = json.loads(part.arguments)
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
    return {"type": "text", "text": part.text, "citations": None}


def _messages_whole(completion: Completion) -> dict[str, Any]:
    thinking = {"type": "thinking", "thinking": "let me see", "signature": "EqQBCg"}
    return {
        "id": completion.id,
        "type": "message",
        "role": "assistant",
        "model": completion.model,
        "content": [thinking, *map(_block, completion.parts)],
        "stop_reason": MESSAGES_WORDS[completion.finish],
        "stop_sequence": completion.stop_sequence,
        "usage": _messages_usage(completion),
    }


def _messages_events(completion: Completion, cut: Cut) -> Iterator[dict[str, Any]]:
    usage = {**_messages_usage(completion), "output_tokens": 1}
    begun = {**_messages_whole(completion), "content": [], "stop_reason": None, "usage": usage}
    yield {"type": "message_start", "message": {**begun, "stop_sequence": None}}
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": thinking}
    yield {"type": "ping"}
    for kind, name in (("thinking_delta", "thinking"), ("signature_delta", "signature")):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": kind, name: "see"}}
    yield {"type": "content_block_stop", "index": 0}
    for index, part in enumerate(completion.parts, 1):
        block, kind, name = {"type": "text", "text": ""}, "text_delta", "text"
        pieces = []
        if isinstance(part, ToolCall):
            block = {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}  # type: ignore[dict-item]
            kind, name, pieces = "input_json_delta", "partial_json", ["", *cut(part.arguments)]
        else:
            pieces = cut(part.text)
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for piece in pieces:
            delta = {"type": kind, name: piece}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": MESSAGES_WORDS[completion.finish]}
    ending = {
        "type": "message_delta",
        "delta": {**delta, "stop_sequence": completion.stop_sequence},
    }
    yield {**ending, "usage": {"output_tokens": completion.usage.output_tokens or 0}}
    yield {"type": "message_stop"}


def _messages_stream(completion: Completion, cut: Cut) -> Iterator[bytes]:
    return (data_event(each, each["type"]) for each in _messages_events(completion, cut))


def _responses_usage(usage: TokenUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens or 0,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
    }


def _content(part: TextPart | RefusalPart) -> dict[str, Any]:
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}


def _item(part: TextPart | RefusalPart | ToolCall, index: int) -> dict[str, Any]:
    if isinstance(part, ToolCall):
        call = {"call_id": part.id, "name": part.name, "arguments": part.arguments}
        return {"id": f"fc_{index}", "type": "function_call", "status": "completed", **call}
    message = {"role": "assistant", "status": "completed", "content": [_content(part)]}
    return {"id": f"msg_{index}", "type": "message", **message}


_REASONING = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


def _responses_whole(completion: Completion) -> dict[str, Any]:
    reason = INCOMPLETE.get(completion.finish)
    return {
        "id": completion.id,
        "object": "response",
        "created_at": 1757430000,
        "status": "completed" if reason is None else "incomplete",
        "error": None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "model": completion.model,
        "output": [_REASONING, *(_item(part, at) for at, part in enumerate(completion.parts, 1))],
        "service_tier": completion.service_tier,
        "usage": _responses_usage(completion.usage),
    }


def _responses_events(completion: Completion, cut: Cut) -> Iterator[tuple[str, dict[str, Any]]]:
    final = _responses_whole(completion)
    begun = {**final, "status": "in_progress", "output": [], "usage": None, "service_tier": "auto"}
    yield "created", {"response": {**begun, "incomplete_details": None}}
    yield "in_progress", {"response": {**begun, "incomplete_details": None}}
    yield "output_item.added", {"output_index": 0, "item": {**_REASONING, "encrypted_content": ""}}
    yield "reasoning_summary_text.delta", {"output_index": 0, "summary_index": 0, "delta": "see"}
    yield "output_item.done", {"output_index": 0, "item": _REASONING}
    for index, part in enumerate(completion.parts, 1):
        yield from _item_events(part, index, cut)
    last = "completed" if final["status"] == "completed" else "incomplete"
    yield last, {"response": final}


def _item_events(
    part: TextPart | RefusalPart | ToolCall, index: int, cut: Cut
) -> Iterator[tuple[str, dict[str, Any]]]:
    item = _item(part, index)
    place: dict[str, Any] = {"item_id": item["id"], "output_index": index}
    if isinstance(part, ToolCall):
        begun = {**item, "status": "in_progress", "arguments": ""}
        yield "output_item.added", {"output_index": index, "item": begun}
        for piece in cut(part.arguments):
            yield "function_call_arguments.delta", {**place, "delta": piece}
        yield "function_call_arguments.done", {**place, "arguments": part.arguments}
    else:
        begun = {**item, "status": "in_progress", "content": []}
        kind, name = (
            ("refusal", "refusal") if isinstance(part, RefusalPart) else ("output_text", "text")
        )
        place["content_index"] = 0
        yield "output_item.added", {"output_index": index, "item": begun}
        yield "content_part.added", {**place, "part": {**_content(part), name: ""}}
        for piece in cut(part.text):
            yield f"{kind}.delta", {**place, "delta": piece, "logprobs": []}
        yield f"{kind}.done", {**place, name: part.text}
        yield "content_part.done", {**place, "part": _content(part)}
    yield "output_item.done", {"output_index": index, "item": item}


def _responses_stream(completion: Completion, cut: Cut) -> Iterator[bytes]:
    for number, (kind, rest) in enumerate(_responses_events(completion, cut)):
        name = f"response.{kind}"
        yield data_event({"type": name, "sequence_number": number, **rest}, name)


_WHOLES: dict[DialectName, Callable[[Completion], dict[str, Any]]] = {
    CHAT: _chat_whole,
    RESPONSES: _responses_whole,
    MESSAGES: _messages_whole,
}
_STREAMS: dict[DialectName, Callable[[Completion, Cut], Iterator[bytes]]] = {
    CHAT: _chat_stream,
    RESPONSES: _responses_stream,
    MESSAGES: _messages_stream,
}
