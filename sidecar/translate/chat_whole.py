"""Whole responses of chat, read and written.

Source: https://platform.openai.com/docs/api-reference/chat/object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.translate.bounds import PARTS_AT_MOST, Untranslatable
from sidecar.translate.completion import Completion, Finish
from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall
from sidecar.translate.lost_content import LostContent
from sidecar.translate.reasons import CHAT_ERROR, FROM_CHAT, TO_CHAT, settled, tier_of
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.token_usage import chat_usage, usage_of_chat
from sidecar.translate.tool_calls import arguments_of, custom_arguments, custom_input, name_of


class _Lost(msgspec.Struct):
    """Members of a message, or of a delta, that no other API takes; the last four are what
    compatible servers call thinking.
    """

    annotations: Any = None
    audio: Any = None
    function_call: Any = None
    images: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None
    thinking_blocks: Any = None


LOST_OF_MESSAGE: Final = _Lost.__struct_fields__


class ChatContent(_Lost):
    """What a message and a delta have in common."""

    content: Any = None
    refusal: Any = None


class _Function(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class _Custom(msgspec.Struct):
    name: Any = None
    input: Any = None


class _Call(msgspec.Struct):
    id: Any = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Message(ChatContent):
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    index: Any = None
    finish_reason: Any = None
    stop_reason: Any = None
    """The stop sequence that ended it, where vLLM is asked."""
    logprobs: Any = None


class _Body(msgspec.Struct):
    choices: list[_Choice]
    id: Any = None
    model: Any = None
    usage: Any = None
    service_tier: Any = None


_decode: Final = msgspec.json.Decoder(_Body).decode
_encode: Final = msgspec.json.Encoder().encode


def read_chat(body: bytes, lost: LostContent) -> Completion:
    """Read a whole response; of several choices the first. Raises: Untranslatable."""
    read = decode_leniently(_decode, body)
    if read is None or not read.choices:
        raise Untranslatable("the provider's response is no chat completion")
    choice = next((each for each in read.choices if not each.index), read.choices[0])
    if choice.finish_reason == CHAT_ERROR:
        raise Untranslatable("the provider ended the response with an error")
    if len(read.choices) > 1:
        lost.add("choices")
    lost.add_present(choice, ("logprobs",))
    lost.add_present(choice.message, LOST_OF_MESSAGE)
    calls = choice.message.tool_calls or []
    if len(calls) > PARTS_AT_MOST:
        raise Untranslatable("the provider's response has too many parts")
    parts: list[TextPart | RefusalPart | ToolCall] = []
    if text := text_of_content(choice.message.content, lost):
        parts.append(TextPart(text))
    if isinstance(choice.message.refusal, str) and choice.message.refusal:
        parts.append(RefusalPart(choice.message.refusal))
    parts += map(_call, calls)
    finish, stop_sequence = chat_finish(choice.finish_reason, choice.stop_reason)
    return Completion(
        id=read.id if isinstance(read.id, str) else "",
        model=read.model if isinstance(read.model, str) else "",
        parts=tuple(parts),
        finish=settled(finish, has_calls=bool(calls)),
        stop_sequence=stop_sequence,
        usage=usage_of_chat(read.usage),
        service_tier=tier_of(read.service_tier),
    )


def text_of_content(content: object, lost: LostContent) -> str:
    """Return the text of a message's content: as it is, or of the parts that Mistral makes of it
    where a model thinks.
    """
    if isinstance(content, str):
        return content
    return "".join(_texts(content, lost)) if isinstance(content, list) else ""


def _texts(parts: list[Any], lost: LostContent) -> Iterator[str]:
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            yield text
        else:
            lost.add(part.get("type") if isinstance(part, dict) else None)


def chat_finish(reason: object, stop_reason: object) -> tuple[Finish, str | None]:
    """Return why a response ended, and the stop sequence that ended it where that is said."""
    # Gemini adds a word of its own: "content_filter: PROHIBITED_CONTENT".
    word = reason.partition(":")[0].lower() if isinstance(reason, str) else ""
    finish = FROM_CHAT.get(word, Finish.STOP)
    if finish is Finish.STOP and isinstance(stop_reason, str) and stop_reason:
        return Finish.STOP_SEQUENCE, stop_reason
    return finish, None


def _call(call: _Call) -> ToolCall:
    call_id = call.id if isinstance(call.id, str) else ""
    if call.custom is not None:
        return ToolCall(call_id, name_of(call.custom.name), custom_arguments(call.custom.input))
    if call.function is None:
        raise Untranslatable("a tool call of the provider's has no function")
    return ToolCall(call_id, name_of(call.function.name), arguments_of(call.function.arguments))


def write_chat(completion: Completion, context: ReplyContext) -> bytes:
    """Write a whole response."""
    texts = [part.text for part in completion.parts if isinstance(part, TextPart)]
    refusals = [part.text for part in completion.parts if isinstance(part, RefusalPart)]
    calls = [part for part in completion.parts if isinstance(part, ToolCall)]
    message: dict[str, object] = {
        "role": "assistant",
        "content": "".join(texts) if texts or not (refusals or calls) else None,
        "refusal": "".join(refusals) if refusals else None,
        "annotations": [],
    }
    if calls and context.has_legacy_functions:
        message["function_call"] = _written_function(_the_only(calls))
    elif calls:
        message["tool_calls"] = [_written_call(call, context) for call in calls]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason_of(completion.finish, context),
    }
    body: dict[str, object] = {
        "id": completion.id or f"chatcmpl-{context.request_id}",
        "object": "chat.completion",
        "created": context.created_unix_s,
        "model": completion.model,
        "choices": [choice],
    }
    if (usage := chat_usage(completion.usage)) is not None:
        body["usage"] = usage
    if completion.service_tier is not None:
        body["service_tier"] = completion.service_tier
    return _encode(body)


def _written_call(call: ToolCall, context: ReplyContext) -> dict[str, object]:
    if call.name in context.custom_tools:
        custom = {"name": call.name, "input": custom_input(call.arguments)}
        return {"id": call.id, "type": "custom", "custom": custom}
    return {"id": call.id, "type": "function", "function": _written_function(call)}


def _written_function(call: ToolCall) -> dict[str, object]:
    return {"name": call.name, "arguments": call.arguments}


def _the_only(calls: Sequence[ToolCall]) -> ToolCall:
    """Return the call for a caller whose functions are of the older kind, which has one at a time.

    Raises: Untranslatable where there are more.
    """
    if len(calls) > 1:
        raise Untranslatable("the provider calls several functions where the caller reads one")
    return calls[0]


def finish_reason_of(finish: Finish, context: ReplyContext) -> str:
    """Return chat's word for why a response ended."""
    if finish is Finish.TOOL_CALLS and context.has_legacy_functions:
        return "function_call"
    return TO_CHAT[finish]
