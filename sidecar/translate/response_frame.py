"""The ``response`` object of the responses API and its output items, as bytes. A whole response and
the events of a stream are made of the same ones.

Source: https://platform.openai.com/docs/api-reference/responses/object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from sidecar.translate.completion import Finish, TokenUsage
from sidecar.translate.reasons import INCOMPLETE
from sidecar.translate.reply_context import ECHOED, ReplyContext
from sidecar.translate.token_usage import NO_USAGE, responses_usage
from sidecar.translate.tool_names import parted_name

_DEFAULTS: Final = {
    "metadata": b"{}",
    "parallel_tool_calls": b"true",
    "reasoning": b'{"effort":null,"summary":null}',
    "temperature": b"1.0",
    "text": b'{"format":{"type":"text"}}',
    "tool_choice": b'"auto"',
    "tools": b"[]",
    "top_logprobs": b"0",
    "top_p": b"1.0",
    "truncation": b'"disabled"',
}
"""What the API says where a request does not; null for the other members."""
_NULL: Final = b"null"
_NOT_KEPT: Final = b',"background":false,"store":false,"previous_response_id":null'
"""Nothing is stored, whatever the request asked for."""
_ID_CHARS: Final = 32

_encode: Final = msgspec.json.Encoder().encode


class ResponseEnd(msgspec.Struct, frozen=True):
    """How a response ended, as far as its object says it."""

    finish: Finish
    usage: TokenUsage = NO_USAGE
    service_tier: str | None = None


class ResponseFrame:
    """What all ``response`` objects of one call have in common."""

    __slots__ = ("_echoed", "_head", "_item_base", "response_id")

    def __init__(self, response_id: str, model: str, context: ReplyContext) -> None:
        self.response_id = response_id or f"resp_{context.request_id}"
        self._head = b'{"id":%b,"object":"response","created_at":%d,"model":%b' % (
            _encode(self.response_id),
            context.created_unix_s,
            _encode(model),
        )
        self._echoed = _NOT_KEPT + b"".join(
            b',"%b":%b' % (name.encode(), _echo(context, name)) for name in ECHOED
        )
        digest = hashlib.sha256(self.response_id.encode("utf-8", "replace"))
        self._item_base = digest.hexdigest()[:_ID_CHARS]

    def item_id(self, kind: str, index: int) -> str:
        """Return the id of an output item: ``kind`` is the prefix by which the API knows it."""
        return f"{kind}_{self._item_base}{index:04x}"

    def begun(self) -> bytes:
        """Return the object as a stream begins with it."""
        return b"".join(self._body(b'"in_progress"', (), _NULL, b',"usage":null'))

    def ended(self, output: Sequence[Sequence[bytes]], end: ResponseEnd) -> list[bytes]:
        """Return the object of a response that has ended, with all its output items, in pieces as
        they are.
        """
        details, status = _NULL, b'"completed"'
        if (reason := INCOMPLETE.get(end.finish)) is not None:
            details, status = b'{"reason":"%b"}' % reason.encode(), b'"incomplete"'
        rest = b',"usage":%b' % _encode(responses_usage(end.usage))
        if end.service_tier is not None:
            rest += b',"service_tier":%b' % _encode(end.service_tier)
        return self._body(status, output, details, rest)

    def _body(
        self, status: bytes, output: Sequence[Sequence[bytes]], details: bytes, rest: bytes
    ) -> list[bytes]:
        ended = b',"status":%b,"error":null,"incomplete_details":%b,"output":[' % (status, details)
        pieces = [self._head, ended]
        for at, item in enumerate(output):
            pieces += (b"," * (at > 0), *item)
        return [*pieces, b"]", self._echoed, rest, b"}"]


def _echo(context: ReplyContext, name: str) -> bytes:
    """Return a member as the request has it, on one line: events are made of lines."""
    raw = context.echoed.get(name, _NULL)
    if b"\n" in raw or b"\r" in raw:
        raw = msgspec.json.format(raw, indent=-1)
    return _DEFAULTS.get(name, _NULL) if raw == _NULL else raw


def text_part(text: bytes) -> bytes:
    """Return a content part. Args: ``text`` is JSON, with its quotes."""
    return b'{"type":"output_text","annotations":[],"logprobs":[],"text":%b}' % text


def refusal_part(text: bytes) -> bytes:
    """Return a content part that is a refusal. Args: as of `text_part`."""
    return b'{"type":"refusal","refusal":%b}' % text


def message_item(item_id: bytes, parts: bytes, *, is_done: bool = True) -> bytes:
    """Return an output item with its content parts."""
    status = b"completed" if is_done else b"in_progress"
    return b'{"id":%b,"type":"message","status":"%b","role":"assistant","content":[%b]}' % (
        item_id,
        status,
        parts,
    )


def function_item(head: bytes, arguments: bytes, *, is_done: bool = True) -> bytes:
    """Return an output item that calls a function. Args: ``head`` is of `function_head`."""
    status = b"completed" if is_done else b"in_progress"
    return b'%b,"status":"%b","arguments":%b}' % (head, status, arguments)


def function_head(item_id: bytes, call_id: str, name: str) -> bytes:
    """Return the beginning of an output item that calls a function."""
    return b'{"id":%b,"type":"function_call","call_id":%b,%b' % (
        item_id,
        _encode(call_id),
        _named(name),
    )


def custom_item(item_id: bytes, call_id: str, name: str, text: bytes) -> bytes:
    """Return an output item that calls a tool without a schema. Args: ``text`` is JSON."""
    return (
        b'{"id":%b,"type":"custom_tool_call","status":"completed","call_id":%b,%b,"input":%b}'
        % (
            item_id,
            _encode(call_id),
            _named(name),
            text,
        )
    )


def _named(name: str) -> bytes:
    """Return the members that name a tool, its namespace included."""
    namespace, own = parted_name(name)
    if namespace is None:
        return b'"name":%b' % _encode(own)
    return b'"name":%b,"namespace":%b' % (_encode(own), _encode(namespace))
