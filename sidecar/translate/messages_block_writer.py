"""Writes parts as blocks of the messages API, and marks that ask for caching."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from sidecar.domain.call import MESSAGES
from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import (
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from sidecar.translate.data_urls import PDF, PLAIN_TEXT
from sidecar.translate.losses import Feature
from sidecar.translate.mark_counts import MARKS_AT_MOST, count_marks
from sidecar.translate.tool_calls import input_object
from sidecar.translate.tool_ids import for_provider
from sidecar.translate.tool_names import sent_name
from sidecar.translate.writing import Object, is_blank, without_none

_TTLS: Final = ("5m", "1h")
_FAILED: Final = "The tool failed."
"""Anthropic refuses a result that says so and nothing else."""
AUTOMATIC: Final[Object] = {"type": "ephemeral"}


class Marks:
    """Which of a conversation's marks are written: its last four. Where it has none, three are
    made: behind the system texts, for other conversations that begin so; where the request before
    this one ended, since what was written is looked for at no more than 20 blocks before a mark;
    and at the end, so that the next request reads what this one has written.

    Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching.
    """

    def __init__(self, count: int, abilities: Abilities, *, is_automatic: bool) -> None:
        self.is_automatic = is_automatic
        self._has_ttls = abilities.has_cache_ttls
        self._left_out = count - MARKS_AT_MOST

    @staticmethod
    def of(conversation: Conversation, abilities: Abilities) -> Generator[None, None, Marks]:
        """Return those of a conversation; others go on wherever this yields."""
        if Feature.CACHE not in conversation.features:
            return Marks(0, abilities, is_automatic=True)
        count = sum(tool.cache is not None for tool in conversation.tools)
        count += yield from count_marks(conversation.turns)
        return Marks(count, abilities, is_automatic=False)

    def next(self, mark: CacheMark | None) -> Object | None:
        """Return what is written of the next mark; None for one that is left out."""
        if mark is None:
            return None
        self._left_out -= 1
        if self._left_out >= 0:
            return None
        ttl = mark.ttl if self._has_ttls and mark.ttl in _TTLS else None
        return {"type": "ephemeral", "ttl": ttl} if ttl else dict(AUTOMATIC)


class BlockWriter:
    """Writes the parts of one conversation."""

    def __init__(self, family: str, abilities: Abilities, marks: Marks) -> None:
        self._family = family
        self._abilities = abilities
        self._marks = marks
        self.is_automatic = marks.is_automatic
        self._uses: dict[str, int] = {}
        """How many calls have had an id: some servers give the same ones again in each turn, and
        Anthropic takes each once.
        """

    def block(self, part: Part) -> Object | None:
        """Return a part as a block; None where it says nothing or cannot be told."""
        if isinstance(part, TextPart):
            return self.text(part)
        if isinstance(part, RefusalPart):
            return None if is_blank(part) else {"type": "text", "text": part.text}
        if isinstance(part, ToolCall):
            return self._call(part)
        if isinstance(part, ToolResult):
            return self._result(part)
        source = _image(part) if isinstance(part, ImagePart) else _document(part)
        if source is None:
            return None
        kind, title = ("image", None) if isinstance(part, ImagePart) else ("document", part.name)
        mark = self._marks.next(part.cache)
        return without_none({"type": kind, "source": source, "title": title, "cache_control": mark})

    def text(self, part: TextPart) -> Object | None:
        """Return a text as a block; None where it is blank, which Anthropic refuses."""
        mark = self._marks.next(part.cache)
        if is_blank(part):
            return None
        return without_none({"type": "text", "text": part.text, "cache_control": mark})

    def _call(self, part: ToolCall) -> Object:
        self._uses[part.id] = self._uses.get(part.id, 0) + 1
        return without_none(
            {
                "type": "tool_use",
                "id": self._sent_id(part.id),
                "name": sent_name(part.name),
                "input": input_object(part.arguments),
                "cache_control": self._marks.next(part.cache),
            }
        )

    def _sent_id(self, call_id: str) -> str:
        uses = self._uses.get(call_id, 1)
        known = call_id if uses == 1 else f"{call_id}_{uses}"
        return for_provider(known, MESSAGES, self._family)

    def _result(self, part: ToolResult) -> Object:
        content: object = None
        first = part.parts[0] if len(part.parts) == 1 else None
        if isinstance(first, TextPart) and first.cache is None:
            content = first.text
        elif part.parts:
            blocks = [self.block(each) for each in part.parts]
            content = [block for block in blocks if block is not None] or None
        if part.is_error and not content:
            content = _FAILED
        return without_none(
            {
                "type": "tool_result",
                "tool_use_id": self._sent_id(part.call_id),
                "content": content,
                "is_error": True if part.is_error else None,
                "cache_control": self._marks.next(part.cache),
            }
        )


def _image(part: ImagePart) -> Object:
    if part.url is not None:
        return {"type": "url", "url": part.url}
    return {"type": "base64", "media_type": part.media_type, "data": part.data}


def _document(part: DocumentPart) -> Object | None:
    """Return a document's source; None where the API has none for it."""
    if part.url is not None:
        return {"type": "url", "url": part.url}
    if part.text is not None:
        blank = not part.text or part.text.isspace()
        return None if blank else {"type": "text", "media_type": PLAIN_TEXT, "data": part.text}
    if part.media_type != PDF:
        return None
    return {"type": "base64", "media_type": PDF, "data": part.data}
