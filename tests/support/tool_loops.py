"""One conversation by an SDK in each dialect: words, a call of a tool, and words about its result,
each whole or streamed.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from tests.support.sdk_matrix import CHAT_TOOL, MESSAGES_TOOL, RESPONSES_TOOL
from tests.support.sdks import Sdks

Ask = Callable[..., Awaitable[Any]]
Said = tuple[str, Any, str]
"""The words, the arguments of the tool's call, the words after its result."""

USER = {"role": "user", "content": "Hello"}
RESULT = "sunny"
LIMIT = {"max_tokens": 99}


async def converse(sdks: Sdks, dialect: DialectName, *, is_streamed: bool, **more: Any) -> Said:
    """Make the three calls of a dialect that has tools.

    Args: ``more`` are arguments of each call, the model among them.
    """
    method, helper, getter = {
        CHAT: (sdks.openai.chat.completions.create, sdks.openai.chat.completions.stream, "completion"),
        RESPONSES: (sdks.openai.responses.create, sdks.openai.responses.stream, "response"),
        MESSAGES: (sdks.anthropic.messages.create, sdks.anthropic.messages.stream, "message"),
    }[dialect]  # fmt: skip

    async def ask(**arguments: Any) -> Any:
        if is_streamed:
            return await sdks.final(helper, f"get_final_{getter}", **arguments, **more)
        return await sdks.call(method, **arguments, **more)

    return await {CHAT: _chat, RESPONSES: _responses, MESSAGES: _messages}[dialect](ask)


async def _chat(ask: Ask) -> Said:
    words = (await ask(messages=[USER])).choices[0].message.content
    asked = (await ask(messages=[USER], tools=[CHAT_TOOL])).choices[0].message
    (call,) = asked.tool_calls
    turns = [
        USER,
        {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type"}) | {"function": {"name": call.function.name, "arguments": call.function.arguments}}]},
        {"role": "tool", "tool_call_id": call.id, "content": RESULT},
    ]  # fmt: skip
    after = (await ask(messages=turns, tools=[CHAT_TOOL])).choices[0].message.content
    return words, json.loads(call.function.arguments), after


async def _responses(ask: Ask) -> Said:
    words = (await ask(input=[USER])).output_text
    (call,) = (await ask(input=[USER], tools=[RESPONSES_TOOL])).output
    turns = [
        USER,
        call.model_dump(include={"type", "call_id", "name", "arguments"}),
        {"type": "function_call_output", "call_id": call.call_id, "output": RESULT},
    ]
    after = (await ask(input=turns, tools=[RESPONSES_TOOL])).output_text
    return words, json.loads(call.arguments), after


async def _messages(ask: Ask) -> Said:
    words = (await ask(messages=[USER], **LIMIT)).content[0].text
    (call,) = (await ask(messages=[USER], tools=[MESSAGES_TOOL], **LIMIT)).content
    used = call.model_dump(include={"type", "id", "name", "input"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": RESULT}
    turns = [
        USER,
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
    ]
    after = (await ask(messages=turns, tools=[MESSAGES_TOOL], **LIMIT)).content[0].text
    return words, call.input, after
