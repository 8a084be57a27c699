"""The short answers of a demo provider: embeddings, token counts, model lists, files."""

from __future__ import annotations

import base64
import math
import random
import struct
from typing import Final

import msgspec

from sidecar.demo.ask import Ask, Json
from sidecar.demo.wire_chat import CREATED_UNIX_S

DEFAULT_DIMENSIONS: Final = 1536
"""Of text-embedding-3-small."""


def embeddings(body: Json, ask: Ask) -> bytes:
    """One unit vector for each input, as floats or as base64 of little-endian float32. Same input,
    same vector.
    """
    given = body.get("input")
    inputs = (
        given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    )
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
    usage = {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens}
    return _lines({"object": "list", "data": data, "model": ask.model, "usage": usage})


def count_tokens(ask: Ask) -> bytes:
    """Anthropic's answer to ``count_tokens``."""
    return msgspec.json.encode({"input_tokens": ask.input_tokens})


def openai_models(models: tuple[str, ...]) -> bytes:
    """OpenAI's model list."""
    data = [
        {"id": m, "object": "model", "created": CREATED_UNIX_S, "owned_by": "demo"} for m in models
    ]
    return _lines({"object": "list", "data": data})


def anthropic_models(models: tuple[str, ...]) -> bytes:
    """Anthropic's model list: one page, the last."""
    data = [
        {
            "type": "model",
            "id": m,
            "display_name": m,
            "created_at": "2025-10-09T00:00:00Z",
            "lifecycle": "active",
        }
        for m in models
    ]
    ends = {"first_id": models[0] if models else None, "last_id": models[-1] if models else None}
    return msgspec.json.encode({"data": data, "has_more": False, **ends})


def files(method: str, file_id: str, body_bytes: int) -> bytes:
    """OpenAI's files: the list, one file, or its deletion.

    Args: ``file_id`` is what follows ``/files/`` in the path, empty for the list; ``body_bytes``
        the size of an upload.
    """
    if method == "DELETE":
        return _lines({"id": file_id, "object": "file", "deleted": True})
    one = {
        "id": file_id or "file-demo000001",
        "object": "file",
        "bytes": body_bytes,
        "created_at": CREATED_UNIX_S,
        "filename": "demo.jsonl",
        "purpose": "batch",
        "status": "processed",
    }
    if method == "POST" or file_id:
        return _lines(one)
    return _lines(
        {
            "object": "list",
            "data": [one],
            "has_more": False,
            "first_id": one["id"],
            "last_id": one["id"],
        }
    )


def _lines(value: Json) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _vector(seed: str, dimensions: int, *, as_base64: bool) -> list[float] | str:
    rng = random.Random(seed)
    raw = [rng.uniform(-1, 1) for _ in range(dimensions)]
    norm = math.sqrt(sum(x * x for x in raw))
    packed = struct.pack(f"<{dimensions}f", *(x / norm for x in raw))
    if as_base64:
        return base64.b64encode(packed).decode()
    return list(struct.unpack(f"<{dimensions}f", packed))
