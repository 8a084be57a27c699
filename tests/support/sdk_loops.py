"""Loops of tools by the real SDKs: one way to drive all three APIs, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.sdks import Sdks
from tests.support.tool_provider import SaidCall

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
SYSTEM = "You know the weather."


class Turned(NamedTuple):
    """What came back of one request."""

    text: str
    calls: list[SaidCall]
    reason: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    model: str


class SdkLoop:
    """One conversation through one SDK.

    Args: ``tool`` returns what a tool's call comes to.
    """

    def __init__(self, sdks: Sdks, model: str, *, is_streamed: bool, headers: Any = None) -> None:
        self.sdks = sdks
        self.is_streamed = is_streamed
        self.turns: list[Any] = []
        self.options: dict[str, Any] = {"model": model, "extra_headers": headers or {}}

    async def ask(self, text: str) -> Turned:
        """Say something to the model."""
        self.turns.append({"role": "user", "content": text})
        return await self._send()

    async def run(self, text: str, tool: Callable[[SaidCall], str]) -> list[Turned]:
        """Ask, and call tools until the model wants none any more."""
        found = [await self.ask(text)]
        while found[-1].calls:
            self.give([(call, tool(call)) for call in found[-1].calls])
            found.append(await self._send())
        return found

    def give(self, results: list[tuple[SaidCall, str]]) -> None:
        """Add what tools have returned."""
        raise NotImplementedError

    async def _send(self) -> Turned:
        raise NotImplementedError


class ChatLoop(SdkLoop):
    """OpenAI's chat."""

    def give(self, results: list[tuple[SaidCall, str]]) -> None:
        self.turns += [
            {"role": "tool", "tool_call_id": call.id, "content": text} for call, text in results
        ]

    async def _send(self) -> Turned:
        function = {"name": "weather", "description": "Tell it", "parameters": SCHEMA}
        arguments = {
            **self.options,
            "messages": [{"role": "system", "content": SYSTEM}, *self.turns],
            "tools": [{"type": "function", "function": function}],
        }
        chat = self.sdks.openai.chat.completions
        if self.is_streamed:
            arguments["stream_options"] = {"include_usage": True}
            whole = await self.sdks.final(chat.stream, "get_final_completion", **arguments)
        else:
            whole = await self.sdks.call(chat.create, **arguments)
        (choice,) = whole.choices
        self.turns.append(
            choice.message.model_dump(
                exclude_none=True, include={"role", "content", "tool_calls"}, warnings=False
            )
        )
        for call in self.turns[-1].get("tool_calls", ()):
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        usage = whole.usage
        return Turned(
            choice.message.content or "",
            [
                SaidCall(each.id, each.function.name, each.function.arguments)
                for each in choice.message.tool_calls or ()
            ],
            choice.finish_reason,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.prompt_tokens_details.cached_tokens,
            whole.model,
        )


class ResponsesLoop(SdkLoop):
    """OpenAI's responses, without state at the provider."""

    def give(self, results: list[tuple[SaidCall, str]]) -> None:
        self.turns += [
            {"type": "function_call_output", "call_id": call.id, "output": text}
            for call, text in results
        ]

    async def _send(self) -> Turned:
        tool = {"type": "function", "name": "weather", "description": "Tell it", "strict": False}
        arguments = {
            **self.options,
            "instructions": SYSTEM,
            "input": list(self.turns),
            "tools": [{**tool, "parameters": SCHEMA}],
            "store": False,
        }
        responses = self.sdks.openai.responses
        if self.is_streamed:
            whole = await self.sdks.final(responses.stream, "get_final_response", **arguments)
        else:
            whole = await self.sdks.call(responses.create, **arguments)
        for item in whole.output:
            self.turns.append(
                item.model_dump(exclude_none=True, exclude={"parsed_arguments"}, warnings=False)
            )
        usage = whole.usage
        return Turned(
            "".join(
                part.text
                for item in whole.output
                if item.type == "message"
                for part in item.content
            ),
            [
                SaidCall(item.call_id, item.name, item.arguments)
                for item in whole.output
                if item.type == "function_call"
            ],
            whole.status,
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            whole.model,
        )


class MessagesLoop(SdkLoop):
    """Anthropic's messages."""

    def give(self, results: list[tuple[SaidCall, str]]) -> None:
        blocks = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text}
            for call, text in results
        ]
        self.turns.append({"role": "user", "content": blocks})

    async def _send(self) -> Turned:
        arguments = {
            **self.options,
            "max_tokens": 1000,
            "system": SYSTEM,
            "messages": list(self.turns),
            "tools": [{"name": "weather", "description": "Tell it", "input_schema": SCHEMA}],
        }
        messages = self.sdks.anthropic.messages
        if self.is_streamed:
            whole = await self.sdks.final(messages.stream, "get_final_message", **arguments)
        else:
            whole = await self.sdks.call(messages.create, **arguments)
        blocks = [
            block.model_dump(include={"type", "text", "id", "name", "input"}, exclude_none=True)
            for block in whole.content
        ]
        self.turns.append({"role": "assistant", "content": blocks})
        usage = whole.usage
        return Turned(
            "".join(block.text for block in whole.content if block.type == "text"),
            [
                SaidCall(block.id, block.name, json.dumps(block.input))
                for block in whole.content
                if block.type == "tool_use"
            ],
            whole.stop_reason,
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens,
            whole.model,
        )


LOOPS: dict[str, type[SdkLoop]] = {
    "chat": ChatLoop,
    "responses": ResponsesLoop,
    "messages": MessagesLoop,
}
