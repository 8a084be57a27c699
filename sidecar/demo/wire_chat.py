"""OpenAI's chat completions as the demo provider writes them. Source: the types of the `openai`
package.
"""

from __future__ import annotations

import msgspec

from sidecar.demo.ask import Answer, Ask, Json

CREATED_UNIX_S = 1_760_000_000


def buffered(ask: Ask, answer: Answer, number: int) -> bytes:
    """The whole answer, laid out in lines as OpenAI sends it."""
    message: Json = {
        "role": "assistant",
        "content": answer.text or None,
        "refusal": None,
        "annotations": [],
    }
    if answer.tool is not None:
        function = {"name": answer.tool.name, "arguments": answer.arguments_text}
        message["tool_calls"] = [
            {"id": f"call_demo{number:06}", "type": "function", "function": function}
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish_reason(answer),
    }
    whole = _frame(ask, number, "chat.completion") | {
        "choices": [choice],
        "usage": _usage(ask, answer),
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def events(ask: Ask, answer: Answer, number: int) -> list[bytes]:
    """The streamed answer, one server-sent event an entry, the last of them ``[DONE]``."""
    deltas: list[Json] = [
        {"role": "assistant", "content": "" if answer.tool is None else None, "refusal": None}
    ]
    if answer.tool is None:
        deltas += [{"content": piece} for piece in answer.pieces]
    else:
        head = {"name": answer.tool.name, "arguments": ""}
        call = {"index": 0, "id": f"call_demo{number:06}", "type": "function", "function": head}
        deltas.append({"tool_calls": [call]})
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
            for part in answer.arguments
        ]
    frame = _frame(ask, number, "chat.completion.chunk")
    usage: Json = {"usage": None} if ask.wants_usage else {}
    chunks = [frame | {"choices": [_choice(delta, None)]} | usage for delta in deltas]
    chunks.append(frame | {"choices": [_choice({}, _finish_reason(answer))]} | usage)
    if ask.wants_usage:
        chunks.append(frame | {"choices": [], "usage": _usage(ask, answer)})
    return [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks] + [
        b"data: [DONE]\n\n"
    ]


def _frame(ask: Ask, number: int, kind: str) -> Json:
    return {
        "id": f"chatcmpl-demo{number:06}",
        "object": kind,
        "created": CREATED_UNIX_S,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def _choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _finish_reason(answer: Answer) -> str:
    return "tool_calls" if answer.tool is not None else "length" if answer.is_cut_off else "stop"


def _usage(ask: Ask, answer: Answer) -> Json:
    return {
        "prompt_tokens": ask.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": ask.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": ask.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
