"""Whole responses of the responses API, read and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.translate.bounds import PARTS_AT_MOST, Untranslatable
from sidecar.translate.completion import Completion, Finish
from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall
from sidecar.translate.lost_content import LostContent
from sidecar.translate.reasons import FILTERED, settled, tier_of
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.response_frame import (
    ResponseEnd,
    ResponseFrame,
    custom_item,
    function_head,
    function_item,
    message_item,
    refusal_part,
    text_part,
)
from sidecar.translate.token_usage import usage_of_responses
from sidecar.translate.tool_calls import arguments_of, custom_arguments, custom_input, name_of

CALLS: Final = ("function_call", "custom_tool_call")
ENDED: Final = (None, "completed", "incomplete")
"""What the status of a response may be that can be read; servers leave it out."""


class ContentPart(msgspec.Struct):
    """A part of a message; any member may be of a wrong type."""

    type: Any = None
    text: Any = None
    refusal: Any = None
    annotations: Any = None
    logprobs: Any = None


class OutputItem(msgspec.Struct):
    """An item of ``output``."""

    type: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    input: Any = None
    namespace: Any = None
    phase: Any = None
    content: msgspec.Raw = msgspec.Raw(b"null")
    """A message's are parts; other items have something else there."""


class ResponseBody(msgspec.Struct):
    """A ``response`` object."""

    output: list[OutputItem] | None = None
    id: Any = None
    model: Any = None
    status: Any = None
    incomplete_details: Any = None
    service_tier: Any = None
    usage: Any = None


_decode: Final = msgspec.json.Decoder(ResponseBody).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_content: Final = msgspec.json.Decoder(list[ContentPart]).decode
_encode: Final = msgspec.json.Encoder().encode


def read_responses(body: bytes, lost: LostContent) -> Completion:
    """Read a whole response. Raises: Untranslatable."""
    read = decode_leniently(_decode, body)
    if read is None or read.output is None:
        raise Untranslatable("the provider's response is no response object")
    if read.status not in ENDED:
        raise Untranslatable("the provider's response is neither complete nor incomplete")
    parts = tuple(_parts_of_output(read.output, lost))
    if len(parts) > PARTS_AT_MOST:
        raise Untranslatable("the provider's response has too many parts")
    return Completion(
        id=read.id if isinstance(read.id, str) else "",
        model=read.model if isinstance(read.model, str) else "",
        parts=parts,
        finish=responses_finish(read, has_calls=any(isinstance(each, ToolCall) for each in parts)),
        usage=usage_of_responses(read.usage),
        service_tier=tier_of(read.service_tier),
    )


def responses_finish(response: ResponseBody, *, has_calls: bool) -> Finish:
    """Return why a response ended. One that is incomplete for a reason that is not known counts as
    cut: a fragment must not look like the whole.
    """
    if response.status != "incomplete":
        return settled(Finish.STOP, has_calls=has_calls)
    details = response.incomplete_details
    reason = details.get("reason") if isinstance(details, dict) else None
    return Finish.REFUSAL if reason == FILTERED else Finish.LENGTH


def _parts_of_output(
    output: list[OutputItem], lost: LostContent
) -> Iterator[TextPart | RefusalPart | ToolCall]:
    for item in output:
        if item.type in CALLS:
            yield call_of_item(item, lost)
        elif item.type == "message":
            lost.add_present(item, ("phase",))
            for part in content_of(item):
                text = text_of_part(part, lost)
                if text is not None:
                    yield RefusalPart(text) if part.type == "refusal" else TextPart(text)
        else:
            lost.add(item.type)


def call_of_item(item: OutputItem, lost: LostContent) -> ToolCall:
    """Return the tool call that an output item is. Raises: Untranslatable."""
    lost.add_present(item, ("namespace",))
    call_id = item.call_id if isinstance(item.call_id, str) else ""
    if item.type == "custom_tool_call":
        return ToolCall(call_id, name_of(item.name), custom_arguments(item.input))
    return ToolCall(call_id, name_of(item.name), arguments_of(item.arguments))


def content_of(item: OutputItem) -> list[ContentPart]:
    """Return the parts of a message; its text as one, where a server sends no more."""
    if bytes(item.content)[:1] == b'"':
        return [ContentPart("output_text", decode_leniently(_decode_text, item.content))]
    return decode_leniently(_decode_content, item.content) or []


def text_of_part(part: ContentPart, lost: LostContent) -> str | None:
    """Return what a part of a message says; None for one that is neither text nor a refusal."""
    lost.add_present(part, ("annotations", "logprobs"))
    if part.type == "output_text":
        return part.text if isinstance(part.text, str) else ""
    if part.type == "refusal":
        return part.refusal if isinstance(part.refusal, str) else ""
    lost.add(part.type)
    return None


def write_responses(completion: Completion, context: ReplyContext) -> bytes:
    """Write a whole response."""
    frame = ResponseFrame(completion.id, completion.model, context)
    items = [(_item(part, frame, at, context),) for at, part in enumerate(completion.parts)]
    end = ResponseEnd(completion.finish, completion.usage, completion.service_tier)
    return b"".join(frame.ended(items, end))


def _item(
    part: TextPart | RefusalPart | ToolCall, frame: ResponseFrame, index: int, context: ReplyContext
) -> bytes:
    if isinstance(part, TextPart):
        return message_item(_encode(frame.item_id("msg", index)), text_part(_encode(part.text)))
    if isinstance(part, RefusalPart):
        return message_item(_encode(frame.item_id("msg", index)), refusal_part(_encode(part.text)))
    if part.name in context.custom_tools:
        text = _encode(custom_input(part.arguments))
        return custom_item(_encode(frame.item_id("ctc", index)), part.id, part.name, text)
    head = function_head(_encode(frame.item_id("fc", index)), part.id, part.name)
    return function_item(head, _encode(part.arguments))
