"""Which API a model is spoken to in that does not speak the caller's. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.domain.translation import TranslationRule

TRANSLATED_TO: Final = {
    # A server that has responses but no chat is OpenAI's own, and both are one model of turns.
    CHAT: (RESPONSES, MESSAGES),
    # Chat is what compatible servers have served the longest; messages has no place for a name of
    # the output's schema, or for a system text between turns.
    RESPONSES: (CHAT, MESSAGES),
    # Responses takes pictures and documents in a tool's result, and effort beside tools; chat alone
    # takes stop sequences.
    MESSAGES: (RESPONSES, CHAT),
}
"""In what a candidate may be spoken to that does not speak a caller's dialect, the one that loses
least in most calls first. Any other dialect is never translated.
"""


@lru_cache(maxsize=256)
def translation_rule(
    spoken: frozenset[DialectName],
    translate: bool | Literal["strict"],  # noqa: FBT001 - a value of the config
) -> TranslationRule | None:
    """Return what a model serves by translation; None where that is nothing.

    Args: ``translate`` is the config's: no, yes, or ``strict``.
    """
    if translate is False:
        return None
    others = {each: TRANSLATED_TO[each] for each in TRANSLATED_TO if each not in spoken}
    reached = {each: tuple(filter(spoken.__contains__, others[each])) for each in others}
    targets = tuple((caller, found) for caller, found in reached.items() if found)
    return TranslationRule(targets, translate == "strict") if targets else None


def is_same_header_family(dialect: DialectName, other: DialectName) -> bool:
    """Return whether apps that speak two dialects send headers of one family."""
    return (dialect == MESSAGES) is (other == MESSAGES)
