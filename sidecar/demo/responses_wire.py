"""OpenAI's responses API. Source: the types of the `openai` package."""

from __future__ import annotations

import msgspec

from sidecar.demo.completion import DemoCompletion
from sidecar.demo.openai_wire import CREATED_UNIX_S, indented
from sidecar.demo.request import DemoRequest, Json


def buffered(request: DemoRequest, completion: DemoCompletion, number: int) -> bytes:
    """Write a response in one piece, indented as OpenAI sends it."""
    whole = _response(request, completion, number, is_done=True)
    return indented(whole)


def events(request: DemoRequest, completion: DemoCompletion, number: int) -> list[bytes]:
    """Write a streamed response, from ``response.created`` to ``response.completed``, with sequence
    numbers from 0.
    """
    begun = _response(request, completion, number, is_done=False)
    done = _item(completion, number, is_done=True)
    at = {"item_id": done["id"], "output_index": 0}
    made: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": _item(completion, number, is_done=False),
        },
        *(_call_events if completion.tool else _text_events)(completion, at),
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {
            "type": "response.incomplete" if completion.is_cut_off else "response.completed",
            "response": _response(request, completion, number, is_done=True),
        },
    ]
    return [
        b"event: " + event["type"].encode() + b"\ndata: "
        + msgspec.json.encode({"type": event["type"], "sequence_number": n} | event) + b"\n\n"
        for n, event in enumerate(made)
    ]  # fmt: skip


def _text_events(completion: DemoCompletion, at: Json) -> list[Json]:
    at = at | {"content_index": 0}
    whole = _text_part(completion.text)
    return [
        {"type": "response.content_part.added", **at, "part": _text_part("")},
        *(
            {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
            for piece in completion.pieces
        ),
        {"type": "response.output_text.done", **at, "text": completion.text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": whole},
    ]


def _call_events(completion: DemoCompletion, at: Json) -> list[Json]:
    name = completion.tool.name if completion.tool is not None else ""
    return [
        *(
            {"type": "response.function_call_arguments.delta", **at, "delta": part}
            for part in completion.arguments
        ),
        {
            "type": "response.function_call_arguments.done",
            **at,
            "name": name,
            "arguments": completion.arguments_text,
        },
    ]


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _item(completion: DemoCompletion, number: int, *, is_done: bool) -> Json:
    """Return the one output item: empty, or done."""
    status = "completed" if is_done else "in_progress"
    if completion.tool is not None:
        return {
            "id": f"fc_demo{number:06}",
            "type": "function_call",
            "status": status,
            "arguments": completion.arguments_text if is_done else "",
            "call_id": f"call_demo{number:06}",
            "name": completion.tool.name,
        }
    status = "incomplete" if is_done and completion.is_cut_off else status
    content = [_text_part(completion.text)] if is_done else []
    return {
        "id": f"msg_demo{number:06}",
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    }


def _response(
    request: DemoRequest, completion: DemoCompletion, number: int, *, is_done: bool
) -> Json:
    """Return the response object as it is when the work begins, or when it is done."""
    cut_off = is_done and completion.is_cut_off
    return {
        "id": f"resp_demo{number:06}",
        "object": "response",
        "created_at": CREATED_UNIX_S,
        "status": "incomplete" if cut_off else "completed" if is_done else "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut_off else None,
        "instructions": None,
        "max_output_tokens": request.output_limit,
        "model": request.model,
        "output": [_item(completion, number, is_done=True)] if is_done else [],
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
        "usage": _usage(request, completion) if is_done else None,
        "user": None,
        "metadata": {},
    }


def _usage(request: DemoRequest, completion: DemoCompletion) -> Json:
    return {
        "input_tokens": request.input_tokens,
        "input_tokens_details": {"cached_tokens": request.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": completion.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": request.input_tokens + completion.output_tokens,
    }
