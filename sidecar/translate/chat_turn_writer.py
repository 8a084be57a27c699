"""Writes turns as messages of chat: the results of tools are messages of their own, right behind
the one that calls them, and what is no text in them follows as the user's.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final

from sidecar.domain.call import CHAT
from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import (
    CacheMark,
    ConversationTurn,
    DocumentPart,
    ImagePart,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)
from sidecar.translate.data_urls import data_url
from sidecar.translate.openai_writing import Breakpoints, file_name, image_url
from sidecar.translate.tool_ids import for_provider
from sidecar.translate.tool_names import sent_name
from sidecar.translate.writing import (
    BodyWriter,
    Object,
    OpenCalls,
    document_text,
    files_of,
    late_system,
    leading_system,
    split_results,
    texts_of,
    without_none,
)

_SYSTEM_ROLES: Final = (Role.SYSTEM, Role.DEVELOPER)
_BETWEEN: Final = "\n\n"
"""What stands between texts that become one."""
_FILES_FOLLOW: Final = "(The result is in the next message.)"
_FILES_OF: Final = "The result of the tool call {}:"


class ChatTurnWriter:
    """Writes the turns of one conversation."""

    def __init__(
        self, writer: BodyWriter, family: str, abilities: Abilities, marks: Breakpoints
    ) -> None:
        self._writer = writer
        self._family = family
        self._abilities = abilities
        self._marks = marks
        self._has_marks = abilities.has_cache_marks
        """Where marks are taken each text is a part, so that one that loses its mark is written as
        it was.
        """
        self._calls = OpenCalls()

    def write(self, turns: Sequence[ConversationTurn]) -> Generator[None, None, None]:
        """Write the turns. Others go on wherever this yields."""
        lead = leading_system(turns) if self._abilities.has_strict_order else 0
        texts = [text for turn in turns[:lead] for text in texts_of(turn.parts)]
        if texts:
            self._message("system", _BETWEEN.join(texts))
        run: list[ConversationTurn] = []
        for turn in turns[lead:]:
            if run and (run[0].role is Role.ASSISTANT) != (turn.role is Role.ASSISTANT):
                yield from self._write_run(run)
                run = []
                if self._writer.must_yield():
                    yield
            run.append(turn)
        if run:
            yield from self._write_run(run)

    def _message(self, role: str, content: object) -> None:
        self._writer.element({"role": role, "content": content})

    def _write_run(self, run: Sequence[ConversationTurn]) -> Generator[None, None, None]:
        """Write turns of one side. Others go on wherever this yields."""
        if run[0].role is Role.ASSISTANT:
            self._write_assistant(run)
            return
        held: list[list[Part]] = []
        files: list[Part] = []
        for turn in run:
            if self._writer.must_yield():
                yield
            results, others = split_results(turn.parts, self._calls)
            for result in results:
                files += self._write_result(result)
            held.append(others)
        self._calls.begin(())
        if self._abilities.has_strict_order:
            folded = zip(run, held, strict=True)
            self._write_user([*files, *(part for each in folded for part in _folded(*each))])
            return
        self._write_user(files)
        for turn, parts in zip(run, held, strict=True):
            if self._writer.must_yield():
                yield
            if turn.role in _SYSTEM_ROLES:
                self._write_system(turn.role, parts)
            else:
                self._write_user(parts)

    def _write_assistant(self, run: Sequence[ConversationTurn]) -> None:
        parts = [part for turn in run for part in turn.parts]
        self._calls.begin(parts)
        text = _BETWEEN.join(text for turn in run for text in _joined_texts(turn.parts))
        calls = [
            {
                "id": for_provider(part.id, CHAT, self._family),
                "type": "function",
                "function": {"name": sent_name(part.name), "arguments": part.arguments or "{}"},
            }
            for part in parts
            if isinstance(part, ToolCall)
        ]
        if calls:
            message = {"role": "assistant", "content": text or None, "tool_calls": calls}
            self._writer.element(message)
        elif text:
            self._message("assistant", text)

    def _write_result(self, result: ToolResult) -> list[Part]:
        """Write a tool's result; return what a tool's message has no place for."""
        texts = [part for part in result.parts if isinstance(part, TextPart)]
        files = [part for part in files_of(result.parts) if _is_file(part)]
        written = [*texts_of(texts), *(map(document_text, _plain(result.parts)))]
        call_id = for_provider(result.call_id, CHAT, self._family)
        content: object = "\n".join(written) or (_FILES_FOLLOW if files else "")
        if self._has_marks:
            content = [self._marked({"type": "text", "text": content}, result.cache)]
        message = {"role": "tool", "tool_call_id": call_id, "content": content}
        self._writer.element(message)
        return [TextPart(_FILES_OF.format(call_id)), *files] if files else []

    def _write_system(self, role: Role, parts: Sequence[Part]) -> None:
        is_developer = role is Role.DEVELOPER and self._abilities.has_developer_role
        written = [each for part in parts if (each := self._part(part)) is not None]
        if not written:
            return
        content: object = written
        if not self._has_marks:
            content = _BETWEEN.join(each["text"] for each in written)
        self._message("developer" if is_developer else "system", content)

    def _write_user(self, parts: Sequence[Part]) -> None:
        written = [each for part in parts if (each := self._part(part)) is not None]
        are_plain = not self._has_marks and all(each["type"] == "text" for each in written)
        if are_plain and written and (len(written) == 1 or not self._abilities.has_text_parts):
            self._message("user", _BETWEEN.join(each["text"] for each in written))
        elif written:
            self._message("user", written)

    def _part(self, part: Part) -> Object | None:
        """Return a part of a user's content; None where chat has no place for it."""
        if isinstance(part, TextPart):
            written: Object = {"type": "text", "text": part.text}
        elif isinstance(part, ImagePart):
            image = without_none({"url": image_url(part), "detail": part.detail})
            written = {"type": "image_url", "image_url": image}
        elif isinstance(part, DocumentPart) and part.text is not None:
            written = {"type": "text", "text": document_text(part)}
        elif isinstance(part, DocumentPart) and part.data is not None:
            data = data_url(part.media_type or "", part.data)
            written = {"type": "file", "file": {"filename": file_name(part), "file_data": data}}
        else:
            return None
        return self._marked(written, part.cache)

    def _marked(self, written: Object, cache: CacheMark | None) -> Object:
        mark = self._marks.next(cache)
        return written if mark is None else {**written, "prompt_cache_breakpoint": mark}


def _joined_texts(parts: Iterable[Part]) -> Iterator[str]:
    """Yield what the assistant says between its calls; texts side by side are pieces of one."""
    for is_call, group in itertools.groupby(parts, lambda part: isinstance(part, ToolCall)):
        text = "" if is_call else "".join(texts_of(group))
        if text:
            yield text


def _plain(parts: Iterable[Part]) -> list[DocumentPart]:
    return [part for part in parts if isinstance(part, DocumentPart) and part.text is not None]


def _is_file(part: ImagePart | DocumentPart) -> bool:
    return isinstance(part, ImagePart) or part.text is None


def _folded(turn: ConversationTurn, parts: Sequence[Part]) -> Sequence[Part]:
    """Return the parts of a turn of the user's side; system texts as the user's."""
    if turn.role not in _SYSTEM_ROLES:
        return parts
    return [TextPart(late_system(text)) for text in texts_of(parts)]
