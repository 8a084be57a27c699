"""Reads what a model said from a reply, streamed or whole."""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]


class Incomplete(Exception):
    """A stream that ended before its end, or with an error event."""


def events_of(stream: bytes) -> list[Json]:
    """Return the data of each event."""
    found = []
    for event in stream.split(b"\n\n"):
        for line in event.split(b"\n"):
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                found.append(msgspec.json.decode(line[6:]))
    return found


def message_content(body: bytes, *, is_stream: bool) -> list[Json]:
    """Return the content blocks of a message. Raises: Incomplete."""
    if not is_stream:
        return msgspec.json.decode(body)["content"]
    blocks: list[Json] = []
    for event in events_of(body):
        if event["type"] == "error":
            raise Incomplete(event["error"]["type"])
        if event["type"] == "message_stop":
            return blocks
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            _add_delta(blocks[event["index"]], event["delta"])
        elif event["type"] == "content_block_stop" and "partial" in blocks[-1]:
            blocks[-1]["input"] = msgspec.json.decode(blocks[-1].pop("partial"))
    raise Incomplete("no message_stop")


def chat_message(body: bytes, *, is_stream: bool) -> Json:
    """Return the assistant message of a completion. Raises: Incomplete."""
    if not is_stream:
        return msgspec.json.decode(body)["choices"][0]["message"]
    if b"data: [DONE]" not in body:
        raise Incomplete("no [DONE]")
    message: Json = {"role": "assistant", "content": ""}
    for event in events_of(body):
        if "error" in event:
            raise Incomplete(event["error"]["code"])
        for choice in event["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            if "reasoning_content" in delta:
                message["reasoning_content"] = delta["reasoning_content"]
            for call in delta.get("tool_calls") or ():
                _add_call(message.setdefault("tool_calls", []), call)
    return message


def _add_call(calls: list[Json], delta: Json) -> None:
    """Add a call, or what one goes on with."""
    if delta["index"] == len(calls):
        calls.append({name: value for name, value in delta.items() if name != "index"})
    else:
        calls[delta["index"]]["function"]["arguments"] += delta["function"]["arguments"]


def response_of(body: bytes, *, is_stream: bool) -> Json:
    """Return a whole response. Raises: Incomplete."""
    if not is_stream:
        return msgspec.json.decode(body)
    for event in events_of(body):
        if event["type"] == "error":
            raise Incomplete(event["code"])
        if event["type"] == "response.completed":
            return event["response"]
    raise Incomplete("no response.completed")


def _add_delta(block: Json, delta: Json) -> None:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "input_json_delta":
        block["partial"] = block.get("partial", "") + delta["partial_json"]
