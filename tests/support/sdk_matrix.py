"""What both SDKs must be able to do against anything that speaks the providers' APIs: a provider,
or the sidecar.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.sdks import KINDS, Sdks, open_sdks

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Forecast", "parameters": WEATHER},
}
RESPONSES_TOOL = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}
MESSAGES_TOOL = {"name": "weather", "description": "Forecast", "input_schema": WEATHER}
ARGUMENTS = {"city": "demo", "days": 1}


def answer(model: str, said: str = "Hello", *, images: str = "") -> str:
    """The words of the demo provider."""
    return f'This is {model} at the demo provider. You said "{said}"{images}. Nothing here was thought up.'


def hello(model: str, **more: Any) -> dict[str, Any]:
    """Arguments of a chat or messages call."""
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


CLAUDE = "claude-demo"
"""An id that no SDK can ever list as deprecated."""


class SdkMatrix:
    """Subclasses give a fixture ``base_url``."""

    @pytest_asyncio.fixture(params=KINDS, loop_scope="module")
    async def sdks(self, request: pytest.FixtureRequest, base_url: str) -> AsyncIterator[Sdks]:
        async with open_sdks(base_url, request.param) as sdks:
            yield sdks

    async def test_chat(self, sdks: Sdks) -> None:
        """A chat completion comes back whole, with its usage."""
        reply = await sdks.call(sdks.openai.chat.completions.create, **hello("gpt-4o"))
        assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (
            answer("gpt-4o"),
            "stop",
        )
        assert (
            reply.usage.prompt_tokens,
            reply.usage.completion_tokens,
            reply.usage.total_tokens,
        ) == (1, 15, 16)

    @pytest.mark.parametrize("asks_usage", [False, True])
    async def test_chat_streamed(self, sdks: Sdks, asks_usage: bool) -> None:
        """A streamed chat completion comes piece by piece; usage comes last and only where it was
        asked for.
        """
        more = {"stream_options": {"include_usage": True}} if asks_usage else {}
        chunks = await sdks.events(sdks.openai.chat.completions.create, **hello("gpt-4o", **more))
        pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert ("".join(piece or "" for piece in pieces), len(pieces)) == (answer("gpt-4o"), 17)
        usages = [chunk.usage.total_tokens for chunk in chunks if chunk.usage]
        assert usages == ([16] if asks_usage else [])

    async def test_chat_tools(self, sdks: Sdks) -> None:
        """A chat tool call comes back with its name and arguments."""
        reply = await sdks.call(
            sdks.openai.chat.completions.create, **hello("gpt-4o", tools=[CHAT_TOOL])
        )
        call = reply.choices[0].message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", ARGUMENTS)
        assert reply.choices[0].finish_reason == "tool_calls"

    async def test_chat_tools_streamed(self, sdks: Sdks) -> None:
        """The SDK's own helper puts a streamed chat tool call together."""
        stream = sdks.openai.chat.completions.stream
        reply = await sdks.final(
            stream, "get_final_completion", **hello("gpt-4o", tools=[CHAT_TOOL])
        )
        call = reply.choices[0].message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", ARGUMENTS)

    async def test_chat_after_a_tool_result(self, sdks: Sdks) -> None:
        """A conversation that ends with a tool's result is answered in words."""
        call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        turns = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ]
        reply = await sdks.call(
            sdks.openai.chat.completions.create, model="gpt-4o", messages=turns, tools=[CHAT_TOOL]
        )
        assert reply.choices[0].message.content == answer("gpt-4o")

    async def test_chat_image(self, sdks: Sdks) -> None:
        """An image in a chat body arrives."""
        parts = [
            {"type": "text", "text": "Hello"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        ]
        turns = [{"role": "user", "content": parts}]
        reply = await sdks.call(sdks.openai.chat.completions.create, model="gpt-4o", messages=turns)
        assert reply.choices[0].message.content == answer("gpt-4o", images=" and sent 1 image")

    async def test_responses(self, sdks: Sdks) -> None:
        """A response comes back whole, with its usage."""
        reply = await sdks.call(sdks.openai.responses.create, model="gpt-4o", input="Hello")
        assert (reply.output_text, reply.status) == (answer("gpt-4o"), "completed")
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1, 15)

    async def test_responses_streamed(self, sdks: Sdks) -> None:
        """A streamed response has every event in order, from created to completed."""
        events = await sdks.events(sdks.openai.responses.create, model="gpt-4o", input="Hello")
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
        said = "".join(
            event.delta for event in events if event.type == "response.output_text.delta"
        )
        assert (said, events[-1].response.output_text) == (answer("gpt-4o"), answer("gpt-4o"))

    async def test_responses_tools(self, sdks: Sdks) -> None:
        """A function call of the responses API comes back with its name and arguments."""
        reply = await sdks.call(
            sdks.openai.responses.create, model="gpt-4o", input="Hello", tools=[RESPONSES_TOOL]
        )
        assert (reply.output[0].name, json.loads(reply.output[0].arguments)) == (
            "weather",
            ARGUMENTS,
        )

    async def test_responses_tools_streamed(self, sdks: Sdks) -> None:
        """The SDK's own helper puts a streamed function call together."""
        stream = sdks.openai.responses.stream
        reply = await sdks.final(
            stream, "get_final_response", model="gpt-4o", input="Hello", tools=[RESPONSES_TOOL]
        )
        assert (reply.output[0].name, json.loads(reply.output[0].arguments)) == (
            "weather",
            ARGUMENTS,
        )

    async def test_responses_image(self, sdks: Sdks) -> None:
        """An image in a responses body arrives."""
        parts = [
            {"type": "input_text", "text": "Hello"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
        ]
        turns = [{"role": "user", "content": parts}]
        reply = await sdks.call(sdks.openai.responses.create, model="gpt-4o", input=turns)
        assert reply.output_text == answer("gpt-4o", images=" and sent 1 image")

    @pytest.mark.parametrize("encoding", ["float", "base64", None])
    async def test_embeddings(self, sdks: Sdks, encoding: str | None) -> None:
        """Embeddings come back one for each input, the same whether as floats or as base64, and of
        unit length.
        """
        more = {"encoding_format": encoding} if encoding else {}
        reply = await sdks.call(
            sdks.openai.embeddings.create,
            model="text-embedding-3-small",
            input=["left", "right"],
            dimensions=8,
            **more,
        )
        assert [entry.index for entry in reply.data] == [0, 1]
        if encoding == "base64":
            assert [len(entry.embedding) for entry in reply.data] == [44, 44]
        else:
            assert [sum(x * x for x in e.embedding) for e in reply.data] == pytest.approx(
                [1.0, 1.0], abs=1e-6
            )

    async def test_messages(self, sdks: Sdks) -> None:
        """An Anthropic message comes back whole, with its usage."""
        reply = await sdks.call(sdks.anthropic.messages.create, **hello(CLAUDE, max_tokens=99))
        assert (reply.content[0].text, reply.stop_reason) == (answer(CLAUDE), "end_turn")
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1, 15)

    async def test_messages_streamed(self, sdks: Sdks) -> None:
        """A streamed message has every event in order, from message_start to message_stop."""
        events = await sdks.events(sdks.anthropic.messages.create, **hello(CLAUDE, max_tokens=99))
        kinds = [event.type for event in events]
        deltas = ["content_block_delta"] * 15
        head, tail = (
            ["message_start", "content_block_start"],
            ["content_block_stop", "message_delta", "message_stop"],
        )
        assert kinds == head + deltas + tail
        assert "".join(event.delta.text for event in events[2:17]) == answer(CLAUDE)
        assert events[-2].usage.output_tokens == 15

    async def test_messages_tools(self, sdks: Sdks) -> None:
        """A tool_use block comes back with its name and input."""
        arguments = hello(CLAUDE, max_tokens=99, tools=[MESSAGES_TOOL])
        reply = await sdks.call(sdks.anthropic.messages.create, **arguments)
        assert (reply.content[0].name, reply.content[0].input) == ("weather", ARGUMENTS)
        assert reply.stop_reason == "tool_use"

    async def test_messages_tools_streamed(self, sdks: Sdks) -> None:
        """The SDK's own helper puts a streamed tool_use block together."""
        arguments = hello(CLAUDE, max_tokens=99, tools=[MESSAGES_TOOL])
        reply = await sdks.final(sdks.anthropic.messages.stream, "get_final_message", **arguments)
        assert (reply.content[0].name, reply.content[0].input) == ("weather", ARGUMENTS)

    async def test_messages_thinking_streamed(self, sdks: Sdks) -> None:
        """Thinking comes before the words, with its signature."""
        arguments = hello(
            CLAUDE, max_tokens=2048, thinking={"type": "enabled", "budget_tokens": 1024}
        )
        reply = await sdks.final(sdks.anthropic.messages.stream, "get_final_message", **arguments)
        assert [block.type for block in reply.content] == ["thinking", "text"]
        assert reply.content[0].signature == "ZGVtbyBzaWduYXR1cmU="

    async def test_messages_image(self, sdks: Sdks) -> None:
        """An image in a messages body arrives."""
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        turns = [
            {
                "role": "user",
                "content": [{"type": "image", "source": source}, {"type": "text", "text": "Hello"}],
            }
        ]
        reply = await sdks.call(
            sdks.anthropic.messages.create, model=CLAUDE, max_tokens=99, messages=turns
        )
        assert reply.content[0].text == answer(CLAUDE, images=" and sent 1 image")

    async def test_count_tokens(self, sdks: Sdks) -> None:
        """Tokens are counted as the message itself would be billed."""
        reply = await sdks.call(sdks.anthropic.messages.count_tokens, **hello(CLAUDE))
        assert reply.input_tokens == 1
