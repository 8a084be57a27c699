"""Writes turns as items of the responses API, each part where it stands."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Final

from sidecar.domain.call import RESPONSES
from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import (
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
    split_results,
    texts_of,
    without_none,
)

_BETWEEN: Final = "\n\n"
"""What stands between texts that become one."""


class ItemWriter:
    """Writes the turns of one conversation."""

    def __init__(
        self, writer: BodyWriter, family: str, abilities: Abilities, marks: Breakpoints
    ) -> None:
        self._writer = writer
        self._family = family
        self._has_developer_role = abilities.has_developer_role
        self._marks = marks
        self._has_marks = abilities.has_cache_marks
        """Where marks are taken each text is a part, so that one that loses its mark is written as
        it was.
        """
        self._calls = OpenCalls()

    def write(self, turns: Iterable[ConversationTurn]) -> Generator[None, None, None]:
        """Write the turns. Others go on wherever this yields."""
        for turn in turns:
            if turn.role is Role.ASSISTANT:
                self._write_assistant(turn.parts)
            elif turn.role is Role.USER:
                self._write_user(turn.parts)
            else:
                is_developer = turn.role is Role.DEVELOPER and self._has_developer_role
                self._write_message("developer" if is_developer else "system", turn.parts)
            if self._writer.must_yield():
                yield

    def _message(self, role: str, content: object) -> None:
        self._writer.element({"type": "message", "role": role, "content": content})

    def _write_assistant(self, parts: Sequence[Part]) -> None:
        """Write texts and calls in their order; neighbouring texts are one message."""
        texts: list[str] = []
        for part in parts:
            if not isinstance(part, ToolCall):
                texts += texts_of((part,))
                continue
            if texts:
                self._message("assistant", "".join(texts))
                texts = []
            self._calls.add(part.id)
            self._writer.element(
                {
                    "type": "function_call",
                    "call_id": for_provider(part.id, RESPONSES, self._family),
                    "name": sent_name(part.name),
                    "arguments": part.arguments or "{}",
                }
            )
        if texts:
            self._message("assistant", "".join(texts))

    def _write_user(self, parts: Sequence[Part]) -> None:
        results, others = split_results(parts, self._calls)
        for result in results:
            self._write_result(result)
        self._write_message("user", others)

    def _write_message(self, role: str, parts: Sequence[Part]) -> None:
        written = self._written(parts)
        if len(written) == 1 and written[0]["type"] == "input_text" and not self._has_marks:
            self._message(role, written[0]["text"])
        elif written:
            self._message(role, written)

    def _write_result(self, result: ToolResult) -> None:
        written = self._written(result.parts)
        mark = self._marks.next(result.cache)
        if mark is not None and written:
            written[-1]["prompt_cache_breakpoint"] = mark
        output: object = written
        if not self._has_marks and all(each["type"] == "input_text" for each in written):
            output = _BETWEEN.join(each["text"] for each in written)
        call_id = for_provider(result.call_id, RESPONSES, self._family)
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        self._writer.element(item)

    def _written(self, parts: Iterable[Part]) -> list[Object]:
        return [each for part in parts if (each := self._part(part)) is not None]

    def _part(self, part: Part) -> Object | None:
        """Return a part of a content; None where it says nothing."""
        if isinstance(part, TextPart):
            written: Object = {"type": "input_text", "text": part.text}
        elif isinstance(part, ImagePart):
            detail = part.detail or "auto"
            written = {"type": "input_image", "image_url": image_url(part), "detail": detail}
        elif isinstance(part, DocumentPart):
            written = _file(part)
        else:
            return None
        mark = self._marks.next(part.cache)
        return written if mark is None else {**written, "prompt_cache_breakpoint": mark}


def _file(part: DocumentPart) -> Object:
    if part.text is not None:
        return {"type": "input_text", "text": document_text(part)}
    if part.url is not None:
        written = {"type": "input_file", "file_url": part.url, "filename": part.name}
        return without_none(written)
    data = data_url(part.media_type or "", part.data or "")
    return {"type": "input_file", "filename": file_name(part), "file_data": data}
