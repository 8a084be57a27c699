"""What a caller sees of a response, whole or streamed, read by hand from the three APIs'
references. Nothing of the package's readers is in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName

View = dict[str, Any]


def view_of_whole(api: DialectName, body: bytes) -> View:
    """Return what a whole response says, in one shape for all its forms."""
    return {CHAT: _chat, RESPONSES: _responses, MESSAGES: _messages}[api](json.loads(body))


def view_of_stream(api: DialectName, stream: bytes) -> View:
    """Return the same of a stream, put together from its events."""
    events = list(events_of(stream))
    return {CHAT: _chat_stream, RESPONSES: _responses_stream, MESSAGES: _messages_stream}[api](
        events
    )


def events_of(stream: bytes) -> Iterator[tuple[str, Any]]:
    """Return the events of a stream of our own: names and decoded data."""
    for block in stream.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            data = fields["data"]
            yield fields.get("event", ""), data if data == "[DONE]" else json.loads(data)


def _chat(body: dict[str, Any]) -> View:
    [choice] = body["choices"]
    message = choice["message"]
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", [])
    ]
    return {
        "id": body["id"],
        "model": body["model"],
        "text": message["content"] or "",
        "refusal": message["refusal"] or "",
        "calls": calls,
        "finish": choice["finish_reason"],
        "usage": body.get("usage"),
        "tier": body.get("service_tier"),
    }


def _chat_stream(events: list[tuple[str, Any]]) -> View:
    assert events[-1] == ("", "[DONE]")
    chunks = [data for _, data in events[:-1]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    message: dict[str, Any] = {"content": "", "refusal": ""}
    calls: list[dict[str, Any]] = []
    finish = None
    for chunk in chunks:
        assert (chunk["id"], chunk["object"]) == (chunks[0]["id"], "chat.completion.chunk")
        for choice in chunk["choices"]:
            assert finish is None
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["refusal"] += delta.get("refusal") or ""
            for call in delta.get("tool_calls", []):
                if call["index"] == len(calls):
                    calls.append(call)
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
            finish = choice["finish_reason"]
    last = chunks[-1]
    assert last["choices"] == [] or "usage" not in last
    message["tool_calls"] = calls
    return _chat({**last, "choices": [{"message": message, "finish_reason": finish}]})


def _messages(body: dict[str, Any]) -> View:
    return {
        "id": body["id"],
        "model": body["model"],
        "texts": [block["text"] for block in body["content"] if block["type"] == "text"],
        "calls": [
            (block["id"], block["name"], block["input"])
            for block in body["content"]
            if block["type"] == "tool_use"
        ],
        "kinds": [block["type"] for block in body["content"]],
        "finish": (body["stop_reason"], body["stop_sequence"]),
        "usage": {name: count for name, count in body["usage"].items() if name != "service_tier"},
    }


def _messages_stream(events: list[tuple[str, Any]]) -> View:
    assert all(name == data["type"] for name, data in events)
    datas = [data for _, data in events if data["type"] != "ping"]
    assert [datas[0]["type"], datas[-2]["type"], datas[-1]["type"]] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    message = datas[0]["message"]
    is_open, pieces = False, ""
    for data in datas[1:-2]:
        if data["type"] == "content_block_start":
            assert not is_open
            assert data["index"] == len(message["content"])
            message["content"].append(data["content_block"])
            is_open, pieces = True, ""
            continue
        assert is_open
        assert data["index"] == len(message["content"]) - 1
        block = message["content"][-1]
        if data["type"] == "content_block_stop":
            is_open = False
            if block["type"] == "tool_use":
                block["input"] = json.loads(pieces)
            else:
                block["text"] += pieces
        else:
            pieces += data["delta"]["text" if block["type"] == "text" else "partial_json"]
    assert not is_open
    ending = datas[-2]
    usage = {**message["usage"], **ending["usage"]}
    return _messages({**message, **ending["delta"], "usage": usage})


def _responses(body: dict[str, Any]) -> View:
    contents = [part for item in body["output"] for part in item.get("content", [])]
    details = body["incomplete_details"]
    return {
        "id": body["id"],
        "model": body["model"],
        "texts": [part["text"] for part in contents if part["type"] == "output_text"],
        "refusals": [part["refusal"] for part in contents if part["type"] == "refusal"],
        "calls": [
            (item["call_id"], item["name"], json.loads(item["arguments"]))
            for item in body["output"]
            if item["type"] == "function_call"
        ],
        "items": [(item["id"], item["type"], item["status"]) for item in body["output"]],
        "finish": (body["status"], details and details["reason"]),
        "usage": body["usage"],
        "tier": body.get("service_tier"),
    }


def _responses_stream(events: list[tuple[str, Any]]) -> View:
    assert all(name == data["type"] for name, data in events)
    datas = [data for _, data in events]
    assert [data["sequence_number"] for data in datas] == list(range(len(datas)))
    assert [data["type"] for data in datas[:2]] == ["response.created", "response.in_progress"]
    final = datas[-1]["response"]
    assert datas[-1]["type"] == f"response.{final['status']}"
    done = [data for data in datas if data["type"] == "response.output_item.done"]
    by_index = sorted(done, key=lambda data: data["output_index"])
    assert final["output"] == [data["item"] for data in by_index]
    for data in datas:
        if data["type"] == "response.output_text.done":
            assert data["text"] == _deltas(datas, data)
        elif data["type"] == "response.refusal.done":
            assert data["refusal"] == _deltas(datas, data)
        elif data["type"] == "response.function_call_arguments.done":
            assert data["arguments"] == _deltas(datas, data)
    return _responses(final)


def _deltas(datas: list[Any], done: dict[str, Any]) -> str:
    kind = done["type"].removesuffix("done") + "delta"
    return "".join(
        data["delta"]
        for data in datas
        if data["type"] == kind and data["item_id"] == done["item_id"]
    )
