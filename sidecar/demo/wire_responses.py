"""OpenAI's responses API as the demo provider writes it. Source: the types of the `openai`
package.
"""

from __future__ import annotations

import msgspec

from sidecar.demo.ask import Answer, Ask, Json
from sidecar.demo.wire_chat import CREATED_UNIX_S


def buffered(ask: Ask, answer: Answer, number: int) -> bytes:
    """The whole answer, laid out in lines as OpenAI sends it."""
    whole = _response(ask, answer, number, is_done=True)
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def events(ask: Ask, answer: Answer, number: int) -> list[bytes]:
    """The streamed answer, from ``response.created`` to ``response.completed``, sequence numbers
    from 0.
    """
    begun = _response(ask, answer, number, is_done=False)
    done = _item(answer, number, is_done=True)
    at = {"item_id": done["id"], "output_index": 0}
    made: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": _item(answer, number, is_done=False),
        },
        *(_text_events(answer, at) if answer.tool is None else _call_events(answer, at)),
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {
            "type": "response.incomplete" if answer.is_cut_off else "response.completed",
            "response": _response(ask, answer, number, is_done=True),
        },
    ]
    return [
        b"event: " + event["type"].encode() + b"\ndata: "
        + msgspec.json.encode({"type": event["type"], "sequence_number": n} | event) + b"\n\n"
        for n, event in enumerate(made)
    ]  # fmt: skip


def _text_events(answer: Answer, at: Json) -> list[Json]:
    at = at | {"content_index": 0}
    whole = _text_part(answer.text)
    return [
        {"type": "response.content_part.added", **at, "part": _text_part("")},
        *(
            {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
            for piece in answer.pieces
        ),
        {"type": "response.output_text.done", **at, "text": answer.text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": whole},
    ]


def _call_events(answer: Answer, at: Json) -> list[Json]:
    name = answer.tool.name if answer.tool is not None else ""
    return [
        *(
            {"type": "response.function_call_arguments.delta", **at, "delta": part}
            for part in answer.arguments
        ),
        {
            "type": "response.function_call_arguments.done",
            **at,
            "name": name,
            "arguments": answer.arguments_text,
        },
    ]


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _item(answer: Answer, number: int, *, is_done: bool) -> Json:
    """The one output item: begun (empty) or done."""
    status = "completed" if is_done else "in_progress"
    if answer.tool is not None:
        return {
            "id": f"fc_demo{number:06}",
            "type": "function_call",
            "status": status,
            "arguments": answer.arguments_text if is_done else "",
            "call_id": f"call_demo{number:06}",
            "name": answer.tool.name,
        }
    status = "incomplete" if is_done and answer.is_cut_off else status
    content = [_text_part(answer.text)] if is_done else []
    return {
        "id": f"msg_demo{number:06}",
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    }


def _response(ask: Ask, answer: Answer, number: int, *, is_done: bool) -> Json:
    """The response object as it stands when the work begins, or when it is done."""
    cut_off = is_done and answer.is_cut_off
    return {
        "id": f"resp_demo{number:06}",
        "object": "response",
        "created_at": CREATED_UNIX_S,
        "status": "incomplete" if cut_off else "completed" if is_done else "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut_off else None,
        "instructions": None,
        "max_output_tokens": ask.output_limit,
        "model": ask.model,
        "output": [_item(answer, number, is_done=True)] if is_done else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(ask, answer) if is_done else None,
        "user": None,
        "metadata": {},
    }


def _usage(ask: Ask, answer: Answer) -> Json:
    return {
        "input_tokens": ask.input_tokens,
        "input_tokens_details": {"cached_tokens": ask.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": ask.input_tokens + answer.output_tokens,
    }
