"""Anthropic's messages, token counts, model list and errors. Source: the types of the `anthropic`
package.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.demo.completion import DemoCompletion
from sidecar.demo.request import DemoRequest, Json

_THOUGHT = ("The question", " is plain;", " so is", " the answer.")
_SIGNATURE = "ZGVtbyBzaWduYXR1cmU="
_ERROR_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def buffered(request: DemoRequest, completion: DemoCompletion, number: int) -> bytes:
    """Write a message in one piece, compact as Anthropic sends it."""
    message = _message(request, number) | {
        "content": _blocks(request, completion, number),
        "stop_reason": _stop_reason(completion),
        "usage": _usage(request, completion.output_tokens),
    }
    return msgspec.json.encode(message)


def events(request: DemoRequest, completion: DemoCompletion, number: int) -> list[bytes]:
    """Write a streamed message, from ``message_start`` over a ``ping`` to ``message_stop``."""
    start = _message(request, number) | {"usage": _usage(request, 1)}
    made: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(_blocks(request, completion, number)):
        made.append(
            {"type": "content_block_start", "index": index, "content_block": _emptied(block)}
        )
        if index == 0:
            made.append({"type": "ping"})
        made += [
            {"type": "content_block_delta", "index": index, "delta": d}
            for d in _deltas(block, completion)
        ]
        made.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": _stop_reason(completion), "stop_sequence": None}
    usage = _delta_usage(request, completion)
    made.append({"type": "message_delta", "delta": delta, "usage": usage})
    made.append({"type": "message_stop"})
    return [
        b"event: " + e["type"].encode() + b"\ndata: " + msgspec.json.encode(e) + b"\n\n"
        for e in made
    ]


def count_tokens(request: DemoRequest) -> bytes:
    """Write the reply to ``count_tokens``."""
    return msgspec.json.encode({"input_tokens": request.input_tokens})


def models(names: tuple[str, ...]) -> bytes:
    """Write Anthropic's model list: one page, the last."""
    data = [
        {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "2025-10-09T00:00:00Z",
            "lifecycle": "active",
        }
        for name in names
    ]
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return msgspec.json.encode({"data": data, "has_more": False, **ends})


def error(status: int, message: str, request_id: str) -> bytes:
    """Write Anthropic's error body."""
    usual = "invalid_request_error" if status < 500 else "api_error"
    described = {"type": _ERROR_TYPES.get(status, usual), "message": message}
    return msgspec.json.encode({"type": "error", "error": described, "request_id": request_id})


def _message(request: DemoRequest, number: int) -> Json:
    return {
        "model": request.model,
        "id": f"msg_demo{number:06}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(request: DemoRequest, completion: DemoCompletion, number: int) -> list[Json]:
    blocks: list[Json] = []
    if request.wants_thinking:
        blocks.append({"type": "thinking", "thinking": "".join(_THOUGHT), "signature": _SIGNATURE})
    if completion.tool is None:
        blocks.append({"type": "text", "text": completion.text})
    else:
        arguments = msgspec.json.decode(completion.arguments_text)
        name = completion.tool.name
        blocks.append(
            {"type": "tool_use", "id": f"toolu_demo{number:06}", "name": name, "input": arguments}
        )
    return blocks


def _emptied(block: Json) -> Json:
    """Return a block as ``content_block_start`` shows it: without its content."""
    if block["type"] == "tool_use":
        return block | {"input": {}}
    return {key: value if key == "type" else "" for key, value in block.items()}


def _deltas(block: Json, completion: DemoCompletion) -> list[Json]:
    if block["type"] == "thinking":
        thoughts: list[Json] = [{"type": "thinking_delta", "thinking": part} for part in _THOUGHT]
        return [*thoughts, {"type": "signature_delta", "signature": _SIGNATURE}]
    if block["type"] == "text":
        return [{"type": "text_delta", "text": piece} for piece in completion.pieces]
    parts: tuple[str, ...] = ("", *completion.arguments)
    return [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _stop_reason(completion: DemoCompletion) -> str:
    if completion.tool is not None:
        return "tool_use"
    return "max_tokens" if completion.is_cut_off else "end_turn"


def _usage(request: DemoRequest, output_tokens: int) -> Json:
    """Return the usage; Anthropic's ``input_tokens`` leaves out what came from the cache."""
    return {
        "input_tokens": request.input_tokens - request.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": request.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _delta_usage(request: DemoRequest, completion: DemoCompletion) -> Json:
    return {
        "input_tokens": request.input_tokens - request.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": request.cached_tokens,
        "output_tokens": completion.output_tokens,
    }
