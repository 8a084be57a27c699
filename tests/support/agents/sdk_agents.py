"""Conversations with tool loops held by the real SDKs, which keep the history in their own values."""

from __future__ import annotations

from typing import Any

from tests.support.agents.histories import INSTRUCTIONS, PARAMETERS

_RESULT = "a line " * 20


async def anthropic_turn(client: Any, model: str, messages: list[Any], text: str) -> None:
    """Hold one turn over Anthropic's SDK; ``messages`` are the history, which grows."""
    messages.append({"role": "user", "content": text})
    tool = {"name": "read_file", "description": "Read", "input_schema": PARAMETERS}
    while True:
        async with client.messages.stream(
            model=model,
            max_tokens=4096,
            system=INSTRUCTIONS,
            thinking={"type": "enabled", "budget_tokens": 2048},
            tools=[tool],
            messages=messages,
        ) as stream:
            message = await stream.get_final_message()
        messages.append({"role": "assistant", "content": message.content})
        used = [block for block in message.content if block.type == "tool_use"]
        if not used:
            assert message.stop_reason == "end_turn"
            return
        results = [
            {"type": "tool_result", "tool_use_id": each.id, "content": _RESULT} for each in used
        ]
        messages.append({"role": "user", "content": results})


async def responses_turn(client: Any, model: str, items: list[Any], text: str) -> None:
    """Hold one turn over OpenAI's responses, nothing stored at the provider."""
    items.append({"role": "user", "content": text})
    tool = {"type": "function", "name": "read_file", "parameters": PARAMETERS, "strict": False}
    while True:
        async with client.responses.stream(
            model=model,
            instructions=INSTRUCTIONS,
            input=items,
            tools=[tool],
            store=False,
            include=["reasoning.encrypted_content"],
            reasoning={"effort": "medium"},
        ) as stream:
            response = await stream.get_final_response()
        items += [
            item.model_dump(exclude={"parsed_arguments"}, exclude_none=True)
            for item in response.output
        ]
        called = [item for item in response.output if item.type == "function_call"]
        if not called:
            assert response.status == "completed"
            return
        items += [
            {"type": "function_call_output", "call_id": each.call_id, "output": _RESULT}
            for each in called
        ]


async def chat_turn(client: Any, model: str, messages: list[Any], text: str) -> None:
    """Hold one turn over OpenAI's chat completions."""
    messages.append({"role": "user", "content": text})
    function = {"name": "read_file", "description": "Read", "parameters": PARAMETERS}
    while True:
        completion = await client.chat.completions.create(
            model=model,
            messages=messages,
            tools=[{"type": "function", "function": function}],
            reasoning_effort="medium",
        )
        message = completion.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            assert completion.choices[0].finish_reason == "stop"
            return
        messages += [
            {"role": "tool", "tool_call_id": each.id, "content": _RESULT}
            for each in message.tool_calls
        ]
