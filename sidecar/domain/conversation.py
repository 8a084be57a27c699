"""The part of a call that routing reads."""

from __future__ import annotations

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation, as text."""

    role: str
    text: str


class PromptFacts(msgspec.Struct, frozen=True):
    """The part of a conversation that routing reads; made from the body only when routing needs
    it.
    """

    turns: tuple[Turn, ...] = ()
    tool_names: tuple[str, ...] = ()
    holds_provider_state: bool = False
