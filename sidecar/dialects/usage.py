"""What an answer says about itself: tokens, the model that served it, why it ended. Read leniently,
never trusted.

Only members that are named here are decoded; texts and vectors are skipped over.
Source: the OpenAI API reference (chat, responses, embeddings) and Anthropic's (messages,
    streaming).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sidecar.dialects.bodies import Message, MessageEvent, OpenAiAnswer, Response, ResponseEvent
from sidecar.domain.call import MESSAGES, RESPONSES, DialectName
from sidecar.domain.outcome import Served, Usage

WHOLE_BYTES: Final = 256 * 1024
"""Answers up to here are read whole; of longer ones only the end, since skipping 50 MB takes 50 ms
of the loop.
"""
TAIL_BYTES: Final = 4096
_TOKENS_AT_MOST: Final = 1 << 48
_NAME_CHARS: Final = 256

NOTHING: Final = Served()


_openai: Final = msgspec.json.Decoder(OpenAiAnswer)
_response: Final = msgspec.json.Decoder(Response)
_message: Final = msgspec.json.Decoder(Message)
_response_event: Final = msgspec.json.Decoder(ResponseEvent)
_message_event: Final = msgspec.json.Decoder(MessageEvent)
_any: Final = msgspec.json.Decoder(dict[str, Any])


def served_of_answer(dialect: DialectName, body: bytes) -> Served:
    """What a whole answer says. An answer that is no JSON, or of other types, says nothing.

    Of one longer than `WHOLE_BYTES` only a ``usage`` in its last bytes is read.
    """
    if len(body) > WHOLE_BYTES:
        return served_of_tail(dialect, body[-TAIL_BYTES:])
    try:
        if dialect == MESSAGES:
            return _served_message(_message.decode(body))
        if dialect == RESPONSES:
            return _served_response(_response.decode(body))
        return _served_openai(_openai.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING


def served_of_event(dialect: DialectName, data: bytes) -> Served:
    """What the data of one event of a stream says."""
    try:
        if dialect == MESSAGES:
            event = _message_event.decode(data)
            begun = _served_message(event.message) if event.message is not None else NOTHING
            ended = _text(event.delta.stop_reason) if event.delta is not None else None
            return merged(begun, Served(usage=_messages_usage(event.usage), finish=ended))
        if dialect == RESPONSES:
            response = _response_event.decode(data).response
            return NOTHING if response is None else _served_response(response)
        return _served_openai(_openai.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING


def served_of_tail(dialect: DialectName, tail: bytes) -> Served:
    """What the last bytes of an answer say: the last ``usage`` object in them."""
    at = tail.rfind(b'"usage"')
    end = tail.find(b"}", at)
    while at >= 0 and end >= 0:
        try:
            usage = _any.decode(b"{" + tail[at : end + 1] + b"}")["usage"]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            end = tail.find(b"}", end + 1)  # it holds objects itself
        else:
            return Served(usage=_usage_of(dialect, usage))
    return NOTHING


def merged(earlier: Served, later: Served) -> Served:
    """Both together; where both say something, the later one counts, token kind by token kind."""
    if later is NOTHING:
        return earlier
    if earlier is NOTHING:
        return later
    return Served(
        usage=_merged_usage(earlier.usage, later.usage),
        served_model=later.served_model or earlier.served_model,
        finish=later.finish or earlier.finish,
    )


def _merged_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    if earlier is None or later is None:
        return later or earlier
    return Usage(
        _latest(earlier.input_tokens, later.input_tokens),
        _latest(earlier.output_tokens, later.output_tokens),
        _latest(earlier.cached_input_tokens, later.cached_input_tokens),
        _latest(earlier.cache_write_tokens, later.cache_write_tokens),
        _latest(earlier.reasoning_tokens, later.reasoning_tokens),
    )


def _latest(earlier: int | None, later: int | None) -> int | None:
    return earlier if later is None else later


def _served_openai(answer: OpenAiAnswer) -> Served:
    finish = None
    for choice in answer.choices:
        finish = _text(choice.finish_reason) or finish
    return Served(_openai_usage(answer.usage), _text(answer.model), finish)


def _served_response(response: Response) -> Served:
    return Served(_responses_usage(response.usage), _text(response.model), _text(response.status))


def _served_message(message: Message) -> Served:
    return Served(_messages_usage(message.usage), _text(message.model), _text(message.stop_reason))


def _usage_of(dialect: DialectName, usage: object) -> Usage | None:
    if dialect == MESSAGES:
        return _messages_usage(usage)
    return _responses_usage(usage) if dialect == RESPONSES else _openai_usage(usage)


def _openai_usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _detail(usage.get("prompt_tokens_details"), "cached_tokens"),
        None,
        _detail(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _responses_usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(
        _count(usage.get("input_tokens")),
        _count(usage.get("output_tokens")),
        _detail(usage.get("input_tokens_details"), "cached_tokens"),
        None,
        _detail(usage.get("output_tokens_details"), "reasoning_tokens"),
    )


def _messages_usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(
        _count(usage.get("input_tokens")),
        _count(usage.get("output_tokens")),
        _count(usage.get("cache_read_input_tokens")),
        _count(usage.get("cache_creation_input_tokens")),
    )


def _detail(details: object, name: str) -> int | None:
    return _count(details.get(name)) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    """A count of tokens; None for what is none."""
    return value if type(value) is int and 0 <= value <= _TOKENS_AT_MOST else None


def _text(value: object) -> str | None:
    return value[:_NAME_CHARS] if isinstance(value, str) and value else None
