"""OpenAI's chat completions, embeddings, model list and errors. Source: the types of the `openai`
package.
"""

from __future__ import annotations

import base64
import math
import random
import struct
from typing import Final

import msgspec

from sidecar.demo.completion import DemoCompletion
from sidecar.demo.request import DemoRequest, Json

CREATED_UNIX_S: Final = 1_760_000_000
DEFAULT_DIMENSIONS: Final = 1536
"""Dimensions of text-embedding-3-small."""

_ERROR_TYPES: Final = {429: "requests"}
_ERROR_CODES: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def buffered(request: DemoRequest, completion: DemoCompletion, number: int) -> bytes:
    """Write a chat completion in one piece, indented as OpenAI sends it."""
    message: Json = {
        "role": "assistant",
        "content": completion.text or None,
        "refusal": None,
        "annotations": [],
    }
    if completion.tool is not None:
        function = {"name": completion.tool.name, "arguments": completion.arguments_text}
        message["tool_calls"] = [
            {"id": f"call_demo{number:06}", "type": "function", "function": function}
        ]
    ending = {"logprobs": None, "finish_reason": _finish_reason(completion)}
    choices = [{"index": 0, "message": message, **ending}]
    frame = _frame(request, number, "chat.completion")
    return indented(frame | {"choices": choices, "usage": _usage(request, completion)})


def events(request: DemoRequest, completion: DemoCompletion, number: int) -> list[bytes]:
    """Write a streamed chat completion, one server-sent event an entry, ``[DONE]`` the last."""
    deltas: list[Json] = [
        {"role": "assistant", "content": "" if completion.tool is None else None, "refusal": None}
    ]
    if completion.tool is None:
        deltas += [{"content": piece} for piece in completion.pieces]
    else:
        head = {"name": completion.tool.name, "arguments": ""}
        call = {"index": 0, "id": f"call_demo{number:06}", "type": "function", "function": head}
        deltas.append({"tool_calls": [call]})
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
            for part in completion.arguments
        ]
    frame = _frame(request, number, "chat.completion.chunk")
    usage: Json = {"usage": None} if request.wants_usage else {}
    chunks = [frame | {"choices": [_choice(delta, None)]} | usage for delta in deltas]
    chunks.append(frame | {"choices": [_choice({}, _finish_reason(completion))]} | usage)
    if request.wants_usage:
        chunks.append(frame | {"choices": [], "usage": _usage(request, completion)})
    return [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks] + [
        b"data: [DONE]\n\n"
    ]


def embeddings(body: Json, request: DemoRequest) -> bytes:
    """Write one unit vector for each input, as floats or as base64 of little-endian float32; the
    same input has the same vector.
    """
    given = body.get("input")
    inputs = given if isinstance(given, list) and given else [given]
    inputs = [given] if isinstance(inputs[0], int) else inputs  # one input, as token ids
    dimensions = body.get("dimensions") or DEFAULT_DIMENSIONS
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _vector(repr(item), dimensions, as_base64=as_base64),
        }
        for index, item in enumerate(inputs)
    ]
    usage = {"prompt_tokens": request.input_tokens, "total_tokens": request.input_tokens}
    return indented({"object": "list", "data": data, "model": request.model, "usage": usage})


def models(names: tuple[str, ...]) -> bytes:
    """Write OpenAI's model list."""
    data = [
        {"id": name, "object": "model", "created": CREATED_UNIX_S, "owned_by": "demo"}
        for name in names
    ]
    return indented({"object": "list", "data": data})


def error(status: int, message: str, *, code: str | None = None, param: str | None = None) -> bytes:
    """Write OpenAI's error body.

    Args: ``code`` None takes the code that OpenAI sends with the status, if there is one.
    """
    code = code or _ERROR_CODES.get(status)
    usual = "invalid_request_error" if status < 500 else "server_error"
    kind = code if code == "insufficient_quota" else _ERROR_TYPES.get(status, usual)
    return indented({"error": {"message": message, "type": kind, "param": param, "code": code}})


def indented(value: Json) -> bytes:
    """Encode a body as OpenAI does: indented by two blanks, with a line feed at the end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _frame(request: DemoRequest, number: int, kind: str) -> Json:
    return {
        "id": f"chatcmpl-demo{number:06}",
        "object": kind,
        "created": CREATED_UNIX_S,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def _choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _finish_reason(completion: DemoCompletion) -> str:
    if completion.tool is not None:
        return "tool_calls"
    return "length" if completion.is_cut_off else "stop"


def _usage(request: DemoRequest, completion: DemoCompletion) -> Json:
    return {
        "prompt_tokens": request.input_tokens,
        "completion_tokens": completion.output_tokens,
        "total_tokens": request.input_tokens + completion.output_tokens,
        "prompt_tokens_details": {"cached_tokens": request.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _vector(seed: str, dimensions: int, *, as_base64: bool) -> list[float] | str:
    rng = random.Random(seed)
    raw = [rng.uniform(-1, 1) for _ in range(dimensions)]
    norm = math.sqrt(sum(x * x for x in raw))
    packed = struct.pack(f"<{dimensions}f", *(x / norm for x in raw))
    if as_base64:
        return base64.b64encode(packed).decode()
    return list(struct.unpack(f"<{dimensions}f", packed))
