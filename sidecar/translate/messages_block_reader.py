"""Reads the system texts and messages of a request of the messages API as turns."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import msgspec

from sidecar.translate.cache_marks import mark_of
from sidecar.translate.conversation import (
    CacheMark,
    Content,
    ConversationTurn,
    DocumentPart,
    ImagePart,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)
from sidecar.translate.data_urls import image_type, unbroken
from sidecar.translate.losses import Weight
from sidecar.translate.pacing import LONG_BYTES, pace
from sidecar.translate.raw_json import Json, Members, is_null, is_text, json_text
from sidecar.translate.reading import Reading
from sidecar.translate.request_steps import turns_in_steps

_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_BILLING: Final = "x-anthropic-billing-header"
"""Begins a text that Claude Code puts before its system prompt for Anthropic's own accounts. It
changes with each request, so that no other provider could read its cache.
"""


class MessagesBlocks:
    """Reads the blocks of one request."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def turns(self, members: Members) -> Generator[None, None, tuple[ConversationTurn, ...]]:
        """Return the system texts as the first turn, and the messages. Raises: InvalidBody."""
        self._reading.at = ""
        raw = members.get("system")
        if raw is not None and len(raw) > LONG_BYTES and not is_text(raw):
            yield from pace(bytes(raw))
        system = self._system(members)
        return system + (yield from turns_in_steps(self._reading, members, "messages", self._turn))

    def _system(self, members: Members) -> tuple[ConversationTurn, ...]:
        parts = self._content(members, "system", "system")
        kept = [each for each in parts if not _is_billing(each)]
        if len(kept) < len(parts):
            self._reading.lose(f"system.{_BILLING}", Weight.HARMLESS)
        return (ConversationTurn(Role.SYSTEM, tuple(kept)),) if kept else ()

    def _turn(self, raw: Json) -> ConversationTurn | None:
        reading = self._reading
        message = reading.object(raw)
        role = reading.needed_text(message, "role")
        if role not in _ROLES:
            raise reading.wrong("role", "user or assistant")
        path = f"messages[{role}]"
        reading.check(message, reading.kind(path))
        parts = self._content(message, "content", f"{path}.content")
        return ConversationTurn(_ROLES[role], tuple(parts))

    def _content(self, holder: Members, name: str, path: str) -> list[Part]:
        """Read a text, or a list of blocks. Raises: InvalidBody."""
        reading = self._reading
        raw = holder.get(name)
        if raw is None or is_null(raw):
            return []
        if is_text(raw):
            text = reading.text_of(raw)
            return [TextPart(text)] if text else []
        return [part for each in reading.objects_of(raw) for part in self._parts(each, path)]

    def _parts(self, members: dict[str, msgspec.Raw], path: str) -> list[Part]:
        """Read a block: one part, or none where no target takes it."""
        reading = self._reading
        found = reading.known(path, members)
        if found is None:
            return []
        label, block = found
        cache = mark_of(reading, block, "messages.content")
        if label == "text":
            text = reading.needed_text(block, "text")
            part: Part | None = TextPart(text, cache) if text else None
        elif label == "tool_use":
            part = self._call(block, cache)
        elif label == "tool_result":
            part = self._result(block, f"{path}[tool_result].content", cache)
        elif label == "image":
            part = self._image(block, f"{path}[image].source", cache)
        elif label == "document":
            part = self._document(block, f"{path}[document].source", cache)
        elif label == "search_result":
            part = self._found(block, f"{path}[search_result].content", cache)
        else:
            part = self._summary(block, cache)
        return [] if part is None else [part]

    def _call(self, block: Members, cache: CacheMark | None) -> ToolCall:
        reading = self._reading
        arguments = block.get("input")
        return ToolCall(
            reading.needed_text(block, "id"),
            reading.needed_text(block, "name"),
            "{}" if arguments is None or is_null(arguments) else json_text(arguments),
            cache,
        )

    def _result(self, block: Members, path: str, cache: CacheMark | None) -> ToolResult:
        reading = self._reading
        parts = self._content(block, "content", path)
        return ToolResult(
            reading.needed_text(block, "tool_use_id"),
            tuple([each for each in parts if isinstance(each, Content)]),
            bool(reading.flag(block, "is_error")),
            cache,
        )

    def _source(self, block: Members, path: str) -> tuple[str, Members] | None:
        """Return the kind of a block's source, and its members. Raises: InvalidBody."""
        raw = block.get("source")
        if raw is None:
            raise self._reading.wrong("source", "an object")
        return self._reading.labelled(path, raw)

    def _image(self, block: Members, path: str, cache: CacheMark | None) -> ImagePart | None:
        reading = self._reading
        found = self._source(block, path)
        if found is None:
            return None
        label, source = found
        if label == "url":
            return ImagePart(url=reading.needed_text(source, "url"), cache=cache)
        data = unbroken(reading.needed_text(source, "data"))
        said = reading.text(source, "media_type") or ""
        return ImagePart(media_type=image_type(data, said), data=data, cache=cache)

    def _document(self, block: Members, path: str, cache: CacheMark | None) -> DocumentPart | None:
        reading = self._reading
        found = self._source(block, path)
        if found is None:
            return None
        label, source = found
        name = reading.text(block, "title")
        if label == "url":
            return DocumentPart(url=reading.needed_text(source, "url"), name=name, cache=cache)
        data = reading.needed_text(source, "data")
        media_type = reading.text(source, "media_type")
        if label == "text":
            return DocumentPart(text=data, media_type=media_type, name=name, cache=cache)
        return DocumentPart(data=unbroken(data), media_type=media_type, name=name, cache=cache)

    def _found(self, block: Members, path: str, cache: CacheMark | None) -> DocumentPart:
        """Read a search result: its texts, named by its title and source."""
        reading = self._reading
        texts = [
            part.text
            for part in self._content(block, "content", path)
            if isinstance(part, TextPart)
        ]
        title, source = reading.text(block, "title"), reading.text(block, "source")
        name = ", ".join(each for each in (title, source) if each) or None
        return DocumentPart(text="\n".join(texts), name=name, cache=cache)

    def _summary(self, block: Members, cache: CacheMark | None) -> TextPart | None:
        """Read the summary that stands for the turns before it; one that only its maker can read is
        a decisive loss.
        """
        text = self._reading.text(block, "content")
        if not text:
            self._reading.lose("messages.content.compaction", Weight.DECISIVE)
            return None
        return TextPart(text, cache)


def _is_billing(part: Part) -> bool:
    return isinstance(part, TextPart) and part.text.startswith(_BILLING)
