"""The history of one conversation, in each dialect, as agents keep and send it."""

from __future__ import annotations

import abc
from typing import Any

import msgspec

from tests.support.agents.reading import chat_message, message_content, response_of

Json = dict[str, Any]

INSTRUCTIONS = "You are a careful programmer. Read before you write. " * 40
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}}


class History(abc.ABC):
    """A conversation so far."""

    path: str

    def __init__(
        self, model: str, *, thinks: bool = True, instructions: str = INSTRUCTIONS
    ) -> None:
        self.model = model
        self.thinks = thinks
        self.instructions = instructions
        self.wants_stream = True

    @abc.abstractmethod
    def body(self) -> Json:
        """Return the request for the next reply."""

    @abc.abstractmethod
    def say(self, text: str) -> None:
        """The user says something."""

    @abc.abstractmethod
    def take(self, body: bytes) -> list[str]:
        """Keep a reply, whole. Returns: the ids of the tool calls that it wants.

        Raises: Incomplete.
        """

    @abc.abstractmethod
    def give(self, call_ids: list[str]) -> None:
        """Send the results of tool calls."""

    def raw(self) -> bytes:
        """Return the request's bytes."""
        return msgspec.json.encode(self.body())


class MessagesHistory(History):
    """As Claude Code keeps it: thinking blocks stay, the newest message is marked for the cache."""

    path = "/v1/messages"

    def __init__(
        self, model: str, *, thinks: bool = True, instructions: str = INSTRUCTIONS
    ) -> None:
        super().__init__(model, thinks=thinks, instructions=instructions)
        self.messages: list[Json] = []

    def body(self) -> Json:
        *earlier, last = self.messages
        content = [*last["content"][:-1], last["content"][-1] | _MARK]
        body: Json = {
            "model": self.model,
            "max_tokens": 4096,
            "system": [{"type": "text", "text": self.instructions} | _MARK],
            "tools": [{"name": "read_file", "description": "Read", "input_schema": PARAMETERS}],
            "messages": [*earlier, last | {"content": content}],
            "stream": self.wants_stream,
        }
        return body | ({"thinking": _THINKING} if self.thinks else {})

    def say(self, text: str) -> None:
        self.messages.append({"role": "user", "content": [{"type": "text", "text": text}]})

    def take(self, body: bytes) -> list[str]:
        content = message_content(body, is_stream=self.wants_stream)
        self.messages.append({"role": "assistant", "content": content})
        return [each["id"] for each in content if each["type"] == "tool_use"]

    def give(self, call_ids: list[str]) -> None:
        results = [
            {"type": "tool_result", "tool_use_id": each, "content": f"line of {each} " * 20}
            for each in call_ids
        ]
        self.messages.append({"role": "user", "content": results})


class ChatHistory(History):
    """As chat agents keep it: each message as it came."""

    path = "/v1/chat/completions"

    def __init__(
        self, model: str, *, thinks: bool = True, instructions: str = INSTRUCTIONS
    ) -> None:
        super().__init__(model, thinks=thinks, instructions=instructions)
        self.messages: list[Json] = [{"role": "system", "content": instructions}]

    def body(self) -> Json:
        function = {"name": "read_file", "description": "Read", "parameters": PARAMETERS}
        body: Json = {
            "model": self.model,
            "messages": self.messages,
            "tools": [{"type": "function", "function": function}],
            "stream": self.wants_stream,
        }
        if self.wants_stream:
            body["stream_options"] = {"include_usage": True}
        return body | ({"reasoning_effort": "medium"} if self.thinks else {})

    def say(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def take(self, body: bytes) -> list[str]:
        message = chat_message(body, is_stream=self.wants_stream)
        self.messages.append(message)
        return [each["id"] for each in message.get("tool_calls") or ()]

    def give(self, call_ids: list[str]) -> None:
        self.messages += [
            {"role": "tool", "tool_call_id": each, "content": f"line of {each} " * 20}
            for each in call_ids
        ]


class ResponsesHistory(History):
    """As Codex keeps it: nothing stored at the provider, reasoning encrypted in the history."""

    path = "/v1/responses"

    def __init__(
        self, model: str, *, thinks: bool = True, instructions: str = INSTRUCTIONS
    ) -> None:
        super().__init__(model, thinks=thinks, instructions=instructions)
        self.items: list[Json] = []

    def body(self) -> Json:
        body: Json = {
            "model": self.model,
            "instructions": self.instructions,
            "input": self.items,
            "tools": [_FUNCTION],
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "stream": self.wants_stream,
        }
        return body | ({"reasoning": {"effort": "medium"}} if self.thinks else {})

    def say(self, text: str) -> None:
        self.items.append({"type": "message", "role": "user", "content": text})

    def take(self, body: bytes) -> list[str]:
        output = response_of(body, is_stream=self.wants_stream)["output"]
        self.items += output
        return [each["call_id"] for each in output if each["type"] == "function_call"]

    def give(self, call_ids: list[str]) -> None:
        self.items += _outputs(call_ids)


class StoredHistory(History):
    """As apps keep it that let the provider remember: the id of the newest response, and what is
    new.
    """

    path = "/v1/responses"

    def __init__(
        self, model: str, *, thinks: bool = True, instructions: str = INSTRUCTIONS
    ) -> None:
        super().__init__(model, thinks=thinks, instructions=instructions)
        self.previous: str | None = None
        self.items: list[Json] = []

    def body(self) -> Json:
        body: Json = {
            "model": self.model,
            "instructions": self.instructions,
            "input": self.items,
            "tools": [_FUNCTION],
            "stream": self.wants_stream,
        }
        if self.thinks:
            body["reasoning"] = {"effort": "medium"}
        return body | ({"previous_response_id": self.previous} if self.previous else {})

    def say(self, text: str) -> None:
        self.items.append({"type": "message", "role": "user", "content": text})

    def take(self, body: bytes) -> list[str]:
        response = response_of(body, is_stream=self.wants_stream)
        self.previous, self.items = response["id"], []
        return [each["call_id"] for each in response["output"] if each["type"] == "function_call"]

    def give(self, call_ids: list[str]) -> None:
        self.items += _outputs(call_ids)


def _outputs(call_ids: list[str]) -> list[Json]:
    return [
        {"type": "function_call_output", "call_id": each, "output": f"line of {each} " * 20}
        for each in call_ids
    ]


_FUNCTION: Json = {
    "type": "function",
    "name": "read_file",
    "description": "Read",
    "parameters": PARAMETERS,
    "strict": False,
}
_MARK: Json = {"cache_control": {"type": "ephemeral"}}
_THINKING: Json = {"type": "enabled", "budget_tokens": 2048}
HISTORIES: dict[str, type[History]] = {
    "messages": MessagesHistory,
    "chat": ChatHistory,
    "responses": ResponsesHistory,
    "stored": StoredHistory,
}
