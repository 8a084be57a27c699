"""Writes turns as messages of the messages API: user and assistant take turns, the user first, and
the results of tools stand right behind their calls.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Final

from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import ConversationTurn, Part, Role, TextPart
from sidecar.translate.messages_block_writer import AUTOMATIC, BlockWriter
from sidecar.translate.writing import (
    BodyWriter,
    Object,
    OpenCalls,
    is_blank,
    late_system,
    split_results,
    texts_of,
)

_OPENING: Final = "(The conversation goes on.)"
"""Said by the user before a conversation that begins with the assistant."""
_STEP_PARTS: Final = 512
"""As many turns, or parts of one message, are looked at before others go on."""
_SYSTEM_ROLES: Final = (Role.SYSTEM, Role.DEVELOPER)


class TurnWriter:
    """Writes the turns of one conversation."""

    def __init__(self, writer: BodyWriter, blocks: BlockWriter, abilities: Abilities) -> None:
        self._writer = writer
        self._blocks = blocks
        self._has_late_system = abilities.has_late_system
        self._calls = OpenCalls()
        self._held: list[Object] = []
        """The messages that may get a mark: from that before the assistant's newest on."""
        self._is_begun = False

    def write(self, turns: Iterable[ConversationTurn]) -> Generator[None, None, None]:
        """Write the turns. Others go on wherever this yields."""
        run: list[ConversationTurn] = []
        for at, turn in enumerate(turns):
            if at % _STEP_PARTS == _STEP_PARTS - 1:
                yield
            if all(map(is_blank, turn.parts)):
                continue
            if run and (run[0].role is Role.ASSISTANT) != (turn.role is Role.ASSISTANT):
                yield from self._write_run(run)
                run = []
                if self._writer.must_yield():
                    yield
            run.append(turn)
        if run:
            yield from self._write_run(run)
        self._write_last()

    def _write_run(self, run: Sequence[ConversationTurn]) -> Generator[None, None, None]:
        """Write turns of one side as one message. Others go on wherever this yields."""
        if run[0].role is Role.ASSISTANT:
            parts = [part for turn in run for part in turn.parts]
            self._calls.begin(parts)
            self._hold("assistant", (yield from self._written(parts)))
            return
        late = self._late(run)
        parts = [part for turn in run[: len(run) - late] for part in _folded(turn)]
        results, others = split_results(parts, self._calls)
        self._calls.begin(())
        self._hold("user", (yield from self._written((*results, *others))))
        if late:
            parts = [part for turn in run[len(run) - late :] for part in turn.parts]
            self._hold("system", (yield from self._written(parts)))

    def _late(self, run: Sequence[ConversationTurn]) -> int:
        """Return how many turns at the end of a user's run are system texts that may stand there as
        a message of their own.
        """
        late = 0
        while late < len(run) and run[-1 - late].role in _SYSTEM_ROLES:
            late += 1
        return late if self._has_late_system and late < len(run) else 0

    def _written(self, parts: Iterable[Part]) -> Generator[None, None, list[Object]]:
        """Return the blocks of a message; others go on wherever this yields."""
        written = []
        for at, part in enumerate(parts):
            if at % _STEP_PARTS == _STEP_PARTS - 1:
                yield
            block = self._blocks.block(part)
            if block is not None:
                written.append(block)
        return written

    def _hold(self, role: str, blocks: list[Object]) -> None:
        """Keep a message. Those before the one that the assistant replied to are written."""
        if not blocks:
            return
        if not self._is_begun and role != "user":
            self._held.append({"role": "user", "content": [{"type": "text", "text": _OPENING}]})
        self._is_begun = True
        if role == "assistant":
            for each in self._held[:-1]:
                self._writer.element(each)
            del self._held[:-1]
        self._held.append({"role": role, "content": blocks})

    def _write_last(self) -> None:
        """Write the last messages: a mark at their end, and one where the assistant replied last;
        no blanks at the end of what the assistant is to go on with.
        """
        if not self._held:
            return
        message = self._held[-1]
        last: Object = message["content"][-1]
        if message["role"] == "assistant" and last["type"] == "text":
            last["text"] = last["text"].rstrip()
        if self._blocks.is_automatic:
            last["cache_control"] = AUTOMATIC
            if len(self._held) > 1 and self._held[1]["role"] == "assistant":
                self._held[0]["content"][-1]["cache_control"] = AUTOMATIC
        for each in self._held:
            self._writer.element(each)


def _folded(turn: ConversationTurn) -> tuple[Part, ...]:
    """Return the parts of a turn of the user's side; system texts as the user's."""
    if turn.role not in _SYSTEM_ROLES:
        return turn.parts
    return tuple([TextPart(late_system(text)) for text in texts_of(turn.parts)])
