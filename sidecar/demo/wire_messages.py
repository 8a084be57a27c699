"""Anthropic's messages as the demo provider writes them. Source: the types of the `anthropic`
package.
"""

from __future__ import annotations

import msgspec

from sidecar.demo.ask import Answer, Ask, Json

_THOUGHT = ("The question", " is plain;", " so is", " the answer.")
_SIGNATURE = "ZGVtbyBzaWduYXR1cmU="


def buffered(ask: Ask, answer: Answer, number: int) -> bytes:
    """The whole answer, compact as Anthropic sends it."""
    message = _message(ask, number) | {
        "content": _blocks(ask, answer, number),
        "stop_reason": _stop_reason(answer),
        "usage": _usage(ask, answer.output_tokens),
    }
    return msgspec.json.encode(message)


def events(ask: Ask, answer: Answer, number: int) -> list[bytes]:
    """The streamed answer, from ``message_start`` over a ``ping`` to ``message_stop``."""
    start = _message(ask, number) | {"content": [], "stop_reason": None, "usage": _usage(ask, 1)}
    made: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(_blocks(ask, answer, number)):
        made.append(
            {"type": "content_block_start", "index": index, "content_block": _emptied(block)}
        )
        if index == 0:
            made.append({"type": "ping"})
        made += [
            {"type": "content_block_delta", "index": index, "delta": d}
            for d in _deltas(block, answer)
        ]
        made.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    made.append({"type": "message_delta", "delta": delta, "usage": _delta_usage(ask, answer)})
    made.append({"type": "message_stop"})
    return [
        b"event: " + e["type"].encode() + b"\ndata: " + msgspec.json.encode(e) + b"\n\n"
        for e in made
    ]


def _message(ask: Ask, number: int) -> Json:
    return {
        "model": ask.model,
        "id": f"msg_demo{number:06}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(ask: Ask, answer: Answer, number: int) -> list[Json]:
    blocks: list[Json] = []
    if ask.wants_thinking:
        blocks.append({"type": "thinking", "thinking": "".join(_THOUGHT), "signature": _SIGNATURE})
    if answer.tool is None:
        blocks.append({"type": "text", "text": answer.text})
    else:
        arguments = msgspec.json.decode(answer.arguments_text)
        name = answer.tool.name
        blocks.append(
            {"type": "tool_use", "id": f"toolu_demo{number:06}", "name": name, "input": arguments}
        )
    return blocks


def _emptied(block: Json) -> Json:
    """A block as ``content_block_start`` shows it: all there but its content."""
    if block["type"] == "tool_use":
        return block | {"input": {}}
    return {key: value if key == "type" else "" for key, value in block.items()}


def _deltas(block: Json, answer: Answer) -> list[Json]:
    if block["type"] == "thinking":
        thoughts: list[Json] = [{"type": "thinking_delta", "thinking": part} for part in _THOUGHT]
        return [*thoughts, {"type": "signature_delta", "signature": _SIGNATURE}]
    if block["type"] == "text":
        return [{"type": "text_delta", "text": piece} for piece in answer.pieces]
    parts: tuple[str, ...] = ("", *answer.arguments)
    return [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _stop_reason(answer: Answer) -> str:
    return (
        "tool_use" if answer.tool is not None else "max_tokens" if answer.is_cut_off else "end_turn"
    )


def _usage(ask: Ask, output_tokens: int) -> Json:
    """Anthropic's ``input_tokens`` leaves out what came from the cache."""
    return {
        "input_tokens": ask.input_tokens - ask.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": ask.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _delta_usage(ask: Ask, answer: Answer) -> Json:
    return {
        "input_tokens": ask.input_tokens - ask.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": ask.cached_tokens,
        "output_tokens": answer.output_tokens,
    }
