"""Reads the messages of a request of chat as turns."""

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
    Part,
    RefusalPart,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)
from sidecar.translate.data_urls import file_of, image_of
from sidecar.translate.fields import ObjectKind
from sidecar.translate.raw_json import Json, Members, as_plain, is_null, is_text, leniently, raw_of
from sidecar.translate.reading import Reading
from sidecar.translate.request_steps import turns_in_steps
from sidecar.translate.tool_calls import custom_arguments

_ROLES: Final = {
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.USER,
    "function": Role.USER,
}


class ChatMessages:
    """Reads the messages of one request."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._legacy_id = ""
        """The id that was given to the last call of the older kind, which has none."""

    def turns(self, members: Members) -> Generator[None, None, tuple[ConversationTurn, ...]]:
        """Return the turns. Others go on wherever this yields. Raises: InvalidBody."""
        return turns_in_steps(self._reading, members, "messages", self._turn)

    def _turn(self, raw: Json) -> ConversationTurn | None:
        reading = self._reading
        message = reading.object(raw)
        role = reading.needed_text(message, "role")
        if role not in _ROLES:
            raise reading.wrong("role", "system, developer, user, assistant, tool or function")
        path = f"messages[{role}]"
        reading.check(message, reading.kind(path))
        if role == "tool":
            parts: tuple[Part, ...] = (self._result(message),)
        elif role == "function":
            text = reading.text(message, "content") or ""
            parts = (ToolResult(self._legacy_id, (TextPart(text),) if text else ()),)
        else:
            parts = tuple(self._content(message, path))
            if role == "assistant":
                parts += tuple(self._assistant(message))
        return ConversationTurn(_ROLES[role], parts)

    def _result(self, message: Members) -> ToolResult:
        parts = self._content(message, "messages[tool]")
        return ToolResult(
            self._reading.needed_text(message, "tool_call_id"),
            tuple([each for each in parts if isinstance(each, Content)]),
        )

    def _content(self, message: Members, path: str) -> list[Part]:
        """Read ``content``: a text, or a list of parts. Raises: InvalidBody."""
        reading = self._reading
        raw = message.get("content")
        if raw is None or is_null(raw):
            return []
        cache = mark_of(reading, message, "messages")
        if is_text(raw):
            text = reading.text_of(raw)
            return [TextPart(text, cache)] if text else []
        parts = [self._part(each, f"{path}.content") for each in reading.objects_of(raw)]
        read = [part for part in parts if part is not None]
        if cache is not None and read:
            read[-1] = msgspec.structs.replace(read[-1], cache=cache)
        return read

    def _part(self, members: dict[str, msgspec.Raw], path: str) -> Part | None:
        reading = self._reading
        found = reading.known(path, members)
        if found is None:
            return None
        label, part = found
        if label == "text":
            text = reading.needed_text(part, "text")
            return TextPart(text, mark_of(reading, part, "messages.content")) if text else None
        if label == "refusal":
            return RefusalPart(reading.needed_text(part, "refusal"))
        cache = mark_of(reading, part, "messages.content")
        inside = part.get("image_url" if label == "image_url" else "file")
        if inside is None:
            raise reading.wrong(label, "an object")
        if label == "file":
            return self._file(inside, f"{path}[file].file", cache)
        if is_text(inside):  # some clients leave the object out
            return image_of(reading.text_of(inside), None, cache)
        image = _texts_in(reading, inside, reading.kind(f"{path}[image_url].image_url"))
        url = image.get("url")
        if url is None:
            raise reading.wrong("url", "a string")
        return image_of(url, image.get("detail"), cache)

    def _file(self, raw: Json, path: str, cache: CacheMark | None) -> DocumentPart | None:
        reading = self._reading
        file = _texts_in(reading, raw, reading.kind(path))
        data = file.get("file_data")
        if data is None:  # it is named by the id of the provider that has it
            return None
        return file_of(data, file.get("filename"), cache)

    def _assistant(self, message: Members) -> list[Part]:
        """Read what only an assistant says. Raises: InvalidBody."""
        reading = self._reading
        parts: list[Part] = []
        refusal = reading.text(message, "refusal")
        if refusal:
            parts.append(RefusalPart(refusal))
        calls = message.get("tool_calls")
        if calls is not None and not is_null(calls):
            found = [self._call(raw) for raw in reading.list_of(calls)]
            parts += [call for call in found if call is not None]
        older = message.get("function_call")
        if older is not None and not is_null(older):
            self._legacy_id = f"call_of_{reading.at}".replace("[", "_").removesuffix("]")
            call = reading.members(older, reading.kind("messages[assistant].function_call"))
            arguments = reading.text(call, "arguments") or ""
            parts.append(ToolCall(self._legacy_id, reading.needed_text(call, "name"), arguments))
        return parts

    def _call(self, raw: Json) -> ToolCall | None:
        reading = self._reading
        found = reading.labelled("messages[assistant].tool_calls", raw, "function")
        if found is None:
            return None
        label, call = found
        called = reading.inside("messages[assistant].tool_calls", label, call)
        call_id = reading.text(call, "id") or ""
        name = reading.needed_text(called, "name")
        if label == "custom":
            return ToolCall(call_id, name, custom_arguments(reading.text(called, "input")))
        return ToolCall(call_id, name, reading.text(called, "arguments") or "")


def _texts_in(reading: Reading, raw: Json, kind: ObjectKind) -> dict[str, str | None]:
    """Return the texts among an object's members, and note those that are lost. A file may be long:
    it is looked at once here, unless something else than plain values stands beside it.

    Raises: InvalidBody.
    """
    plain = leniently(as_plain, raw)
    if plain is None:
        members = reading.members(raw, kind)
        return {name: reading.text(members, name) for name in kind.kept & members.keys()}
    reading.check({name: raw_of(plain[name]) for name in plain.keys() - kind.kept}, kind)
    texts = dict[str, str | None]()
    for name in kind.kept & plain.keys():
        value = plain[name]
        if not isinstance(value, str | None):
            raise reading.wrong(name, "a string")
        texts[name] = value
    return texts
