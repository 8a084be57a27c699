"""Whole responses of messages, read and written.

Source: https://docs.anthropic.com/en/api/messages.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.translate.bounds import PARTS_AT_MOST, Untranslatable
from sidecar.translate.completion import Completion, Finish
from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall
from sidecar.translate.lost_content import LostContent
from sidecar.translate.reasons import (
    FROM_MESSAGES,
    TO_MESSAGES,
    settled,
    tier_for_messages,
    tier_of,
)
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.token_usage import messages_usage, usage_of_messages, with_cache_inside
from sidecar.translate.tool_calls import arguments_of, input_object, name_of


class _Block(msgspec.Struct):
    type: Any = None
    text: Any = None
    id: Any = None
    name: Any = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    citations: Any = None


class _Body(msgspec.Struct):
    content: list[_Block]
    id: Any = None
    model: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None
    usage: Any = None


_decode: Final = msgspec.json.Decoder(_Body).decode
_encode: Final = msgspec.json.Encoder().encode


def read_messages(body: bytes, lost: LostContent) -> Completion:
    """Read a whole response. Raises: Untranslatable."""
    read = decode_leniently(_decode, body)
    if read is None or len(read.content) > PARTS_AT_MOST:
        raise Untranslatable("the provider's response is no message")
    parts: list[TextPart | RefusalPart | ToolCall] = []
    for block in read.content:
        if block.type == "text":
            lost.add_present(block, ("citations",))
            parts.append(TextPart(block.text if isinstance(block.text, str) else ""))
        elif block.type == "tool_use":
            parts.append(_call(block))
        else:
            lost.add(block.type)
    if explanation := explanation_of(read.stop_details):
        parts.append(RefusalPart(explanation))
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    finish, stop_sequence = messages_finish(read.stop_reason, read.stop_sequence)
    usage = read.usage if isinstance(read.usage, dict) else {}
    return Completion(
        id=read.id if isinstance(read.id, str) else "",
        model=read.model if isinstance(read.model, str) else "",
        parts=tuple(parts),
        finish=settled(finish, has_calls=has_calls),
        stop_sequence=stop_sequence,
        usage=with_cache_inside(usage_of_messages(usage)),
        service_tier=tier_of(usage.get("service_tier")),
    )


def explanation_of(stop_details: object) -> str:
    """Return why the model, or a filter of the provider's, would not go on; empty where that is not
    said.
    """
    explanation = stop_details.get("explanation") if isinstance(stop_details, dict) else None
    return explanation if isinstance(explanation, str) else ""


def messages_finish(reason: object, stop_sequence: object) -> tuple[Finish, str | None]:
    """Return why a response ended, and the stop sequence that ended it."""
    finish = FROM_MESSAGES.get(reason, Finish.STOP) if isinstance(reason, str) else Finish.STOP
    is_named = finish is Finish.STOP_SEQUENCE and isinstance(stop_sequence, str)
    return finish, str(stop_sequence) if is_named else None


def _call(block: _Block) -> ToolCall:
    call_id = block.id if isinstance(block.id, str) else ""
    return ToolCall(call_id, name_of(block.name), raw_input(block.input))


def raw_input(raw: msgspec.Raw) -> str:
    """Return a block's input as it was written; the arguments themselves where it is a text."""
    text = bytes(raw).decode("utf-8", "replace")
    return text if text.startswith("{") else arguments_of(msgspec.json.decode(raw))


def write_messages(completion: Completion, context: ReplyContext) -> bytes:
    """Write a whole response."""
    is_refused = any(isinstance(part, RefusalPart) for part in completion.parts)
    body = {
        "id": completion.id or f"msg_{context.request_id}",
        "type": "message",
        "role": "assistant",
        "model": completion.model,
        "content": [_block(part) for part in completion.parts],
        "stop_reason": stop_reason_of(completion.finish, is_refused=is_refused),
        "stop_sequence": completion.stop_sequence,
        "usage": with_tier(messages_usage(completion.usage), completion.service_tier),
    }
    return _encode(body)


def stop_reason_of(finish: Finish, *, is_refused: bool) -> str:
    """Return Anthropic's word for why a response ended. What the model itself refused, another API
    tells by a part of its own and no reason.
    """
    return TO_MESSAGES[Finish.REFUSAL if is_refused and finish is Finish.STOP else finish]


def with_tier(usage: dict[str, object], tier: str | None) -> dict[str, object]:
    """Return a ``usage`` with the service tier, which stands in it, where the API has a word for
    it.
    """
    word = tier_for_messages(tier)
    return usage if word is None else {**usage, "service_tier": word}


def _block(part: TextPart | RefusalPart | ToolCall) -> dict[str, object]:
    if isinstance(part, ToolCall):
        arguments = input_object(part.arguments)
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
    return {"type": "text", "text": part.text}
