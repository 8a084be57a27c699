"""Turns by a dialect's name; goes once its callers are given the registry."""

from __future__ import annotations

import msgspec

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import DialectName
from sidecar.domain.conversation import Turn


class PromptFacts(msgspec.Struct, frozen=True):
    """The turns of a body."""

    turns: tuple[Turn, ...] = ()


def prompt_facts(dialect: DialectName, body: bytes) -> PromptFacts:
    """Read the turns of a body."""
    return PromptFacts(DIALECTS.by_name[dialect].turns(body))
