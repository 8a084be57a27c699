"""What each dialect's requests, responses and streams look like, as providers and SDKs write
them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import anthropic
import openai

from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName
from sidecar.domain.outcome import Served, Usage


class Sample(NamedTuple):
    """One call in a dialect, from its request to the SDK that reads an error."""

    request: dict[str, Any]
    turns: list[tuple[str, str]]
    response: dict[str, Any]
    served: Served
    sdk: Any
    """The SDK's module: openai or anthropic."""
    ask: Any
    """Makes the SDK's client ask, for a stream where the dialect has one."""
    events: tuple[bytes, ...] = ()
    """A whole stream; empty for a dialect that has none."""
    streamed: Served = Served()
    last_words: bytes = b""
    """With which the stream is over for every SDK."""


def _ask_chat(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[], stream=True)


def _ask_responses(client: Any) -> Any:
    return client.responses.create(model="m", input="x", stream=True)


def _ask_messages(client: Any) -> Any:
    return client.messages.create(model="m", messages=[], max_tokens=1, stream=True)


def _ask_embeddings(client: Any) -> Any:
    return client.embeddings.create(model="m", input="x")


TALK: Final = [
    {"role": "user", "content": "Write a poem"},
    {"role": "assistant", "content": "About what?"},
    {"role": "user", "content": "Rain"},
]
TURNS: Final = [("user", "Write a poem"), ("assistant", "About what?"), ("user", "Rain")]
OPENAI_COUNTS: Final = Usage(25, 48, 5, None, 40)

CHAT_USAGE: Final = {
    "prompt_tokens": 25,
    "completion_tokens": 48,
    "total_tokens": 73,
    "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
RESPONSES_USAGE: Final = {
    "input_tokens": 25,
    "output_tokens": 48,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens_details": {"reasoning_tokens": 40},
}
MESSAGES_USAGE: Final = {
    "input_tokens": 25,
    "output_tokens": 48,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 7,
}

SAMPLES: Final[dict[DialectName, Sample]] = {
    CHAT: Sample(
        {"model": "m1", "messages": TALK, "temperature": 0.5},
        TURNS,
        {
            "id": "c",
            "model": "gpt-4o-2024",
            "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
            "usage": CHAT_USAGE,
        },
        Served(OPENAI_COUNTS, "gpt-4o-2024", "stop"),
        openai,
        _ask_chat,
        (
            b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}],"usage":null}\n\n',
            b'data: {"id":"c","model":"gpt-4o-2024","choices":[{"delta":{"content":"a \\"usage\\": \\u00e9 data: [DONE]"},"finish_reason":null}],"usage":null}\n\n',
            b": keep-alive\n\n",
            b'data: {"id":"c","model":"gpt-4o-2024","choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":null}\n\n',
            b'data: {"id":"c","model":"gpt-4o-2024","choices":[],"usage":{"prompt_tokens":25,"completion_tokens":48}}\n\n',
            b"data: [DONE]\n\n",
        ),
        Served(Usage(25, 48), "gpt-4o-2024", "tool_calls"),
        b"data: [DONE]",
    ),
    RESPONSES: Sample(
        {"model": "m1", "input": TALK, "store": False},
        TURNS,
        {"model": "gpt-5", "status": "completed", "output": [], "usage": RESPONSES_USAGE},
        Served(OPENAI_COUNTS, "gpt-5", "completed"),
        openai,
        _ask_responses,
        (
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"item_id":"i","output_index":0,"content_index":0,"delta":"response.completed","logprobs":[]}\n\n',
            b'event: response.created\ndata: {"type":"response.created","response":{"model":"gpt-5","status":"in_progress","usage":null}}\n\n',
            b'event: response.completed\ndata: {"type":"response.completed","response":{"model":"gpt-5","status":"completed","usage":{"input_tokens":25,"output_tokens":48}}}\n\n',
        ),
        Served(Usage(25, 48), "gpt-5", "completed"),
        b'"output_tokens":48}}}\n',
    ),
    MESSAGES: Sample(
        {"model": "m1", "max_tokens": 9, "system": "Be brief", "messages": TALK},
        TURNS,
        {"model": "claude", "content": [], "stop_reason": "tool_use", "usage": MESSAGES_USAGE},
        Served(Usage(25, 48, 5, 7), "claude", "tool_use"),
        anthropic,
        _ask_messages,
        (
            b'event: content_block_stop\r\ndata: {"type":"content_block_stop","index":0}\r\n\r\n',
            b'event: message_start\r\ndata: {"type":"message_start","message":{"model":"claude","usage":{"input_tokens":25,"output_tokens":1}}}\r\n\r\n',
            b'event: ping\r\ndata: {"type": "ping"}\r\n\r\n',
            b'event: content_block_delta\r\ndata: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"\xc3\xa9 message_stop"}}\r\n\r\n',
            b'event: message_delta\r\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":48}}\r\n\r\n',
            b'event: message_stop\r\ndata: {"type":"message_stop"}\r\n\r\n',
        ),
        Served(Usage(25, 48), "claude", "end_turn"),
        b"event: message_stop",
    ),
    EMBEDDINGS: Sample(
        {"model": "m1", "input": "Rain", "dimensions": 3},
        [],
        {
            "model": "e",
            "data": [{"embedding": [0.1]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        },
        Served(Usage(4), "e", None),
        openai,
        _ask_embeddings,
    ),
}
