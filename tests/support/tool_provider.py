"""A provider that speaks a script of texts and parallel tool calls, in each of the three APIs, and
reads what it is sent back: for loops of tools that cross APIs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sidecar.demo.replies import HttpReply, HttpRequest
from sidecar.demo.request import Json
from tests.support.scripted_provider import ScriptedProvider

FRAGMENT = 5
"""Characters of a text or of arguments that one event brings."""


class SaidText(NamedTuple):
    """What was said in words."""

    text: str


class SaidCall(NamedTuple):
    """A tool that is to be called."""

    id: str
    name: str
    arguments: str


class SaidThought(NamedTuple):
    """What was thought before it was said; signed, where the API has that."""

    text: str


class SaidResult(NamedTuple):
    """What came of a call."""

    call_id: str
    text: str


Part = SaidText | SaidCall | SaidResult
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBwcm92aWRlcg=="
"""Of a thought, in the APIs that have one."""


class Round(NamedTuple):
    """What the model says at a time."""

    parts: tuple[SaidText | SaidCall | SaidThought, ...]
    is_cut_off: bool = False
    number: int = 1
    """Ids are made of it: agents take what has the same id for one message."""

    @property
    def calls(self) -> list[SaidCall]:
        """The tools that it wants called."""
        return [each for each in self.parts if isinstance(each, SaidCall)]


class ToolProvider(ScriptedProvider):
    """Says one round after the other: the one whose number is that of the assistant's turns in the
    request.
    """

    rounds: Sequence[Round] = ()

    def heard(self, number: int = -1) -> list[Part]:
        """What a request holds of the conversation, but for the system's texts."""
        request = self.requests[number]
        return parts_heard(request.path, json.loads(request.body))

    def _proper(self, http: HttpRequest, body: Json) -> HttpReply:
        said = None if http.path.endswith("/count_tokens") else self._round(http.path, body)
        if said is None:
            return super()._proper(http, body)
        model = str(body["model"])
        for end, api in _APIS.items():
            if http.path.endswith(end):
                if body.get("stream"):
                    return HttpReply(200, events=tuple(api.events(said, model, body)))
                return HttpReply(200, json.dumps(api.whole(said, model)).encode())
        return super()._proper(http, body)

    def _round(self, path: str, body: Json) -> Round | None:
        """Return what is said to a request; None: what the demo's provider says."""
        turns = _turns_of_assistant(path, body)
        return self.rounds[turns] if turns < len(self.rounds) else None


def _turns_of_assistant(path: str, body: Json) -> int:
    """Tool calls of one turn are items of their own in responses."""
    if not path.endswith("/responses"):
        return sum(each["role"] == "assistant" for each in body.get("messages", ()))
    turns, was_own = 0, False
    for item in body["input"] if isinstance(body["input"], list) else ():
        is_own = item.get("role") == "assistant" or item.get("type") in (
            "function_call",
            "reasoning",
        )
        turns += is_own and not was_own
        was_own = is_own
    return turns


def _pieces(text: str) -> list[str]:
    return [text[at : at + FRAGMENT] for at in range(0, len(text), FRAGMENT)]


class _Chat:
    def whole(self, said: Round, model: str) -> Json:
        text = "".join(each.text for each in said.parts if isinstance(each, SaidText))
        message: Json = {"role": "assistant", "content": text or None, "refusal": None}
        thought = "".join(each.text for each in said.parts if isinstance(each, SaidThought))
        if thought:
            message["reasoning_content"] = thought
        if said.calls:
            message["tool_calls"] = [
                {
                    "id": each.id,
                    "type": "function",
                    "function": {"name": each.name, "arguments": each.arguments},
                }
                for each in said.calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._finish(said)}
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 7},
        }
        return {
            "id": f"chatcmpl-{said.number}",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [choice],
            "usage": usage,
        }

    def events(self, said: Round, model: str, body: Json) -> list[bytes]:
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        for each in said.parts:
            if isinstance(each, SaidText):
                deltas += [{"content": piece} for piece in _pieces(each.text)]
            elif isinstance(each, SaidThought):
                deltas += [{"reasoning_content": piece} for piece in _pieces(each.text)]
        for index, call in enumerate(said.calls):
            function = {"name": call.name, "arguments": ""}
            began = {"index": index, "id": call.id, "type": "function", "function": function}
            deltas.append({"tool_calls": [began]})
            deltas += [
                {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
                for piece in _pieces(call.arguments)
            ]
        frame = {
            "id": f"chatcmpl-{said.number}",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
        }
        chunks = [
            {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            for delta in deltas
        ]
        last = {"index": 0, "delta": {}, "finish_reason": self._finish(said)}
        chunks.append({**frame, "choices": [last]})
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**frame, "choices": [], "usage": self.whole(said, model)["usage"]})
        return [b"data: %b\n\n" % json.dumps(each).encode() for each in chunks] + [
            b"data: [DONE]\n\n"
        ]

    def _finish(self, said: Round) -> str:
        if said.is_cut_off:
            return "length"
        return "tool_calls" if said.calls else "stop"


class _Responses:
    def whole(self, said: Round, model: str) -> Json:
        usage = {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 7},
            "total_tokens": 120,
        }
        return {
            **self._begun(said, model),
            "status": "incomplete" if said.is_cut_off else "completed",
            "output": [self._item(said, at, each) for at, each in enumerate(said.parts)],
            "usage": usage,
        }

    def events(self, said: Round, model: str, body: Json) -> list[bytes]:
        begun = {**self._begun(said, model), "status": "in_progress", "output": [], "usage": None}
        made: list[Json] = [{"type": "response.created", "response": begun}]
        for at, each in enumerate(said.parts):
            item = self._item(said, at, each)
            place: Json = {"item_id": item["id"], "output_index": at}
            if isinstance(each, SaidThought):
                begun_item = {**item, "summary": [], "encrypted_content": None}
                made += [
                    {"type": "response.output_item.added", "output_index": at, "item": begun_item},
                    {"type": "response.output_item.done", "output_index": at, "item": item},
                ]
                continue
            empty: Json = {"content": []} if isinstance(each, SaidText) else {"arguments": ""}
            added = {**item, **empty, "status": "in_progress"}
            made.append({"type": "response.output_item.added", "output_index": at, "item": added})
            if isinstance(each, SaidText):
                part = {"type": "output_text", "text": "", "annotations": []}
                place["content_index"] = 0
                made.append({"type": "response.content_part.added", **place, "part": part})
                made += [
                    {"type": "response.output_text.delta", **place, "delta": piece}
                    for piece in _pieces(each.text)
                ]
                made.append({"type": "response.output_text.done", **place, "text": each.text})
                made.append(
                    {"type": "response.content_part.done", **place, "part": item["content"][0]}
                )
            else:
                kind = "response.function_call_arguments"
                made += [
                    {"type": f"{kind}.delta", **place, "delta": piece}
                    for piece in _pieces(each.arguments)
                ]
                made.append({"type": f"{kind}.done", **place, "arguments": each.arguments})
            made.append({"type": "response.output_item.done", "output_index": at, "item": item})
        whole = self.whole(said, model)
        made.append({"type": f"response.{whole['status']}", "response": whole})
        return [
            b"event: %b\ndata: %b\n\n"
            % (each["type"].encode(), json.dumps({**each, "sequence_number": at}).encode())
            for at, each in enumerate(made)
        ]

    def _begun(self, said: Round, model: str) -> Json:
        cut_off = {"reason": "max_output_tokens"} if said.is_cut_off else None
        return {
            "id": f"resp_{said.number}",
            "object": "response",
            "created_at": 1,
            "model": model,
            "error": None,
            "incomplete_details": cut_off,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "top_p": 1.0,
            "tools": [],
            "tool_choice": "auto",
        }

    def _item(self, said: Round, at: int, each: SaidText | SaidCall | SaidThought) -> Json:
        item_id = f"item_{said.number}_{at}"
        item: Json = {"id": item_id, "status": "completed"}
        if isinstance(each, SaidThought):
            summary = [{"type": "summary_text", "text": each.text}]
            hidden = {"summary": summary, "encrypted_content": SIGNATURE}
            return {"id": item_id, "type": "reasoning", **hidden}
        if isinstance(each, SaidText):
            part = {"type": "output_text", "text": each.text, "annotations": []}
            return {**item, "type": "message", "role": "assistant", "content": [part]}
        call = {"call_id": each.id, "name": each.name, "arguments": each.arguments}
        return {**item, "type": "function_call", **call}


class _Messages:
    def whole(self, said: Round, model: str) -> Json:
        return {
            **self._begun(said, model),
            "content": list(map(self._block, said.parts)),
            "stop_reason": self._stop(said),
            "usage": {**self._usage(), "output_tokens": 20},
        }

    def events(self, said: Round, model: str, body: Json) -> list[bytes]:
        begun = {**self._begun(said, model), "usage": {**self._usage(), "output_tokens": 1}}
        made: list[Json] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
        for at, each in enumerate(said.parts):
            if isinstance(each, SaidText):
                block: Json = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(each.text)]
            elif isinstance(each, SaidThought):
                block = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": piece} for piece in _pieces(each.text)
                ]
                deltas.append({"type": "signature_delta", "signature": SIGNATURE})
            else:
                block = {"type": "tool_use", "id": each.id, "name": each.name, "input": {}}
                deltas = [
                    {"type": "input_json_delta", "partial_json": piece}
                    for piece in _pieces(each.arguments)
                ]
            made.append({"type": "content_block_start", "index": at, "content_block": block})
            made += [{"type": "content_block_delta", "index": at, "delta": each} for each in deltas]
            made.append({"type": "content_block_stop", "index": at})
        delta = {"stop_reason": self._stop(said), "stop_sequence": None}
        usage = {**self._usage(), "output_tokens": 20}
        made += [
            {"type": "message_delta", "delta": delta, "usage": usage},
            {"type": "message_stop"},
        ]
        return [
            b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode())
            for each in made
        ]

    def _block(self, each: SaidText | SaidCall | SaidThought) -> Json:
        if isinstance(each, SaidText):
            return {"type": "text", "text": each.text}
        if isinstance(each, SaidThought):
            return {"type": "thinking", "thinking": each.text, "signature": SIGNATURE}
        arguments = json.loads(each.arguments)
        return {"type": "tool_use", "id": each.id, "name": each.name, "input": arguments}

    def _begun(self, said: Round, model: str) -> Json:
        return {
            "id": f"msg_{said.number}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _usage(self) -> Json:
        return {
            "input_tokens": 36,
            "cache_read_input_tokens": 64,
            "cache_creation_input_tokens": 0,
        }

    def _stop(self, said: Round) -> str:
        if said.is_cut_off:
            return "max_tokens"
        return "tool_use" if said.calls else "end_turn"


_APIS: dict[str, Any] = {
    "/chat/completions": _Chat(),
    "/responses": _Responses(),
    "/messages": _Messages(),
}


def parts_heard(path: str, body: Json) -> list[Part]:
    """Return what a request holds of the conversation, but for the system's texts and thoughts."""
    if path.endswith("/responses"):
        return _heard_in_responses(body)
    if path.endswith("/messages"):
        return [part for each in body["messages"] for part in _parts_of_messages(each["content"])]
    found: list[Part] = []
    for each in body["messages"]:
        if each["role"] in ("system", "developer"):
            continue
        if each["role"] == "tool":
            found.append(SaidResult(each["tool_call_id"], _text(each["content"])))
            continue
        if each.get("content"):
            found.append(SaidText(_text(each["content"])))
        found += [
            SaidCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in each.get("tool_calls") or ()
        ]
    return found


def _heard_in_responses(body: Json) -> list[Part]:
    if isinstance(body["input"], str):
        return [SaidText(body["input"])]
    found: list[Part] = []
    for item in body["input"]:
        kind = item.get("type", "message")
        if kind == "reasoning":
            continue
        if kind == "function_call":
            found.append(SaidCall(item["call_id"], item["name"], item["arguments"]))
        elif kind == "function_call_output":
            found.append(SaidResult(item["call_id"], _text(item["output"])))
        elif item.get("role") not in ("system", "developer"):
            found.append(SaidText(_text(item["content"])))
    return found


def _parts_of_messages(content: object) -> list[Part]:
    if isinstance(content, str):
        return [SaidText(content)]
    assert isinstance(content, list)
    found: list[Part] = []
    for block in content:
        if block["type"] == "text":
            found.append(SaidText(block["text"]))
        elif block["type"] == "tool_use":
            found.append(SaidCall(block["id"], block["name"], json.dumps(block["input"])))
        elif block["type"] == "tool_result":
            found.append(SaidResult(block["tool_use_id"], _text(block["content"])))
    return found


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    assert isinstance(content, list)
    return "".join(part.get("text", "") for part in content)
