"""The part of a call that routing reads."""

from __future__ import annotations

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation, as text."""

    role: str
    text: str
