"""Signatures of thinking, encrypted reasoning and thought signatures: one text that only its maker
can verify, bound to the conversation before it.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

from tests.support.simulator.values import Json, ModelRules, Signing

_STATE_TYPES = ("thinking", "redacted_thinking", "reasoning")


def sign(rules: ModelRules, account: str, before: bytes, thought: str) -> str:
    """Return the signature of a thought that a model has after a conversation."""
    if rules.signing is Signing.NONE:
        return hashlib.blake2b(thought.encode(), digest_size=16).hexdigest()
    key = f"{rules.family}/{account if rules.signing is Signing.ACCOUNT else '*'}".encode()
    mark = hashlib.blake2b(before + thought.encode(), key=key, digest_size=24).digest()
    return base64.b64encode(b"\x12\x0a" + mark).decode()


def is_own(rules: ModelRules, account: str, before: bytes, thought: str, signature: object) -> bool:
    """Return whether a model takes a signature for its own, made at this place."""
    return rules.signing is Signing.NONE or signature == sign(rules, account, before, thought)


class Conversation:
    """The running digest of a conversation: what was said, without signed state and cache marks."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=24)

    def add(self, content: bytes) -> None:
        """Take one message, as `spoken` returns it."""
        self._hash.update(content)

    @property
    def digest(self) -> bytes:
        return self._hash.copy().digest()


def spoken(message: Json) -> bytes:
    """Return a message or item without its signed state and cache marks."""
    if message.get("type") in _STATE_TYPES:
        return b""
    content = message.get("content")
    if isinstance(content, list):
        kept = [each for each in map(unmarked, content) if each.get("type") not in _STATE_TYPES]
        message = message | {"content": kept}
    hidden = ("reasoning_details", "reasoning_content", "extra_content", "cache_control")
    message = {name: value for name, value in message.items() if name not in hidden}
    if isinstance(message.get("tool_calls"), list):
        message["tool_calls"] = [
            {name: value for name, value in each.items() if name != "extra_content"}
            for each in message["tool_calls"]
        ]
    return msgspec.json.encode(message)


def unmarked(block: Any) -> Json:
    """Return a block without its cache mark; a text as a block."""
    if not isinstance(block, dict):
        return {"type": "text", "text": block}
    return {name: value for name, value in block.items() if name != "cache_control"}
