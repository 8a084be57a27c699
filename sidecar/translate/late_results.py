"""Results of tools, where other APIs want them: behind their calls, before the assistant goes on.

The responses API takes a result anywhere behind its call.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from sidecar.translate.conversation import ConversationTurn, Role, ToolCall, ToolResult


def results_behind_calls(turns: Iterable[ConversationTurn]) -> tuple[ConversationTurn, ...]:
    """Return turns in which a result that comes later stands with what follows its call at once.

    Args: a turn that holds a result holds nothing else.
    """
    groups: list[list[ConversationTurn]] = [[]]
    """What the assistant says, and what is said before it goes on."""
    group_of: dict[str, list[ConversationTurn]] = {}
    for turn in turns:
        group = groups[-1]
        if turn.role is Role.ASSISTANT:
            if group and group[-1].role is not Role.ASSISTANT:
                group = []
                groups.append(group)
            group_of.update((part.id, group) for part in turn.parts if isinstance(part, ToolCall))
        elif turn.parts and isinstance(turn.parts[0], ToolResult):
            group = group_of.pop(turn.parts[0].call_id, group)
        group.append(turn)
    return tuple(chain.from_iterable(groups))
