"""State in a conversation that only its maker can read: thinking blocks with their signature,
encrypted reasoning, thought signatures. Pure.

Whether the newest assistant turn carries some is read from the conversation's end, and decoded: the
words that name it may stand in any text or tool input.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.dialects.request import effort_of_reading, newest_messages
from sidecar.wire.from_end import Span

_MAX_MESSAGES: Final = 64
_MAX_BYTES: Final = 256 * 1024
"""Messages that are read from the end, and their bytes; a turn that holds more counts as unsigned,
and a refusal then tells.
"""


class Said(enum.Enum):
    """What a message is to the turn that it stands in."""

    SIGNED = enum.auto()
    """The assistant's, with state that only its maker can read."""
    PLAIN = enum.auto()
    """The assistant's, without."""
    RESULT = enum.auto()
    """What a tool returned within an assistant's turn."""
    ASKED = enum.auto()
    """The user's, or the app's: what an assistant turn answers."""


class Block(msgspec.Struct):
    """A thinking block of Anthropic's, or what gateways make of it; members may be of any type."""

    type: Any = None
    signature: Any = None
    data: Any = None


_MAX_BLOCKS: Final = 128
"""Of a message with blocks that do not look as they should, and are read one by one."""

_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_blocks: Final = msgspec.json.Decoder(list[Block]).decode
_decode_block: Final = msgspec.json.Decoder(Block).decode


def is_newest_turn_signed(
    body: bytes, conversation: Span | None, read: Callable[[msgspec.Raw], Said]
) -> bool:
    """Return whether a message of the newest assistant turn in a conversation is signed.

    The turn begins behind the last thing that was asked before it; tool results belong to it.
    """
    has_begun = False
    effort = effort_of_reading()
    effort.decoded_bytes = _MAX_BYTES
    for raw in islice(newest_messages(body, conversation, effort), _MAX_MESSAGES):
        said = read(raw)
        if said is Said.SIGNED:
            return True
        if said is Said.ASKED and has_begun:
            return False
        has_begun = has_begun or said is Said.PLAIN
    return False


def blocks_of(content: msgspec.Raw) -> list[Block]:
    """Read the blocks of a message's content; none where it is a text or cannot be read."""
    try:
        return _decode_blocks(content)
    except (ValueError, RecursionError):
        raws = decode_leniently(_decode_list, content) or []
    blocks = (decode_leniently(_decode_block, raw) for raw in raws[:_MAX_BLOCKS])
    return [block for block in blocks if block is not None]


def is_signed_block(block: Block) -> bool:
    """Return whether a content block is thinking that its maker signed or encrypted."""
    if block.type == "thinking":
        return _is_text(block.signature)
    return block.type == "redacted_thinking" and _is_text(block.data)


def has_signed_details(details: object) -> bool:
    """Return whether one of a message's reasoning details is signed or encrypted.

    Source: OpenRouter's ``reasoning_details``, LiteLLM's ``thinking_blocks``.
    """
    return isinstance(details, list) and any(
        isinstance(each, dict) and (_is_text(each.get("signature")) or _is_text(each.get("data")))
        for each in details
    )


def has_thought_signature(holder: object) -> bool:
    """Return whether a message or tool call carries a thought signature.

    Source: Gemini's OpenAI-compatible API, ``extra_content.google.thought_signature``; LiteLLM's
    ``provider_specific_fields``.
    """
    google = _member(_member(holder, "extra_content"), "google")
    fields = _member(holder, "provider_specific_fields")
    return any(
        bool(_member(place, name))
        for place in (google, fields)
        for name in ("thought_signature", "thought_signatures")
    )


def _member(holder: object, name: str) -> object:
    return holder.get(name) if isinstance(holder, dict) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
