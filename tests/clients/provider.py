"""A provider for real clients: it calls the tools that the prompt names, and remembers what came.

A prompt with ``[[call read {"path": "a.txt"}]]`` in it gets a call of that tool, if the client
offers it; once the tool's result is there, the next such call, or words that hold the result. All
other prompts get the same words, or the JSON that they ask for.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any, NamedTuple

from sidecar.demo.completion import DemoCompletion, make_completion
from sidecar.demo.provider import DemoProvider
from sidecar.demo.replies import HttpReply, HttpRequest, good_reply, read_body, refusal
from sidecar.demo.request import DemoRequest, Tool, read_request

WORDS = "All is well at the demo provider."
_CALL = re.compile(r"\[\[call (\S+) (\{.*?\})\]\]", re.DOTALL)
_FIELD = re.compile(r"starting with the field `\[\[ ## (\w+) ## \]\]`")
"""How DSPy asks for a reply."""
_OBSERVATION = "Observation:"
"""How smolagents tells a tool's result, as a user's words."""
_RESULT = "$RESULT"
"""Stands in the arguments of a call for the result of the call before."""
_SAID_CHARACTERS = 400
_FRAGMENT_CHARACTERS = 12


class Seen(NamedTuple):
    """One request of a client."""

    method: str
    path: str
    headers: dict[str, str]
    """By names in lower case."""
    body: dict[str, Any]
    status: int


class ClientsProvider(DemoProvider):
    """One provider for all clients, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Seen] = []

    def _reply_to(self, http: HttpRequest) -> HttpReply:
        body, problem = read_body(http)
        reply = problem or refusal(http, read_request(body))
        reply = reply or good_reply(http, body, self.models, lambda asked: _complete(asked, body))
        headers = {name.lower(): value for name, value in http.headers.items()}
        self.requests.append(Seen(http.method, http.path, headers, body, reply.status))
        return reply


def _complete(request: DemoRequest, body: dict[str, Any]) -> DemoCompletion:
    """Return the next call that the prompt names, JSON where that is asked for, else words."""
    turns = body.get("messages", body.get("input", []))
    turns = turns if isinstance(turns, list) else [{"role": "user", "content": turns}]
    results = [text for turn in turns for text in _results(turn)]
    calls = _CALL.findall("\n".join(text for turn in turns for text in _user_texts(turn)))
    offered = {_name_of(tool) for tool in body.get("tools") or [] if isinstance(tool, dict)}
    if len(results) < len(calls) and calls[len(results)][0] in offered:
        name, arguments = calls[len(results)]
        last = json.dumps(results[-1][-_SAID_CHARACTERS:])[1:-1] if results else ""
        return _call(name, _unquoted(arguments).replace(_RESULT, last))
    if _is_forced(body.get("tool_choice")) and not results:
        return make_completion(request, provider="demo")
    schema = _schema(body)
    if schema is not None:
        made = make_completion(_offering(request, schema), provider="demo")
        return _words(made.arguments_text)
    fields = _FIELD.findall(_text([*turns]))
    if fields:
        return _words(f"[[ ## {fields[-1]} ## ]]\n{WORDS}\n\n[[ ## completed ## ]]")
    if results:
        return _words(f"The tool said: {' '.join(results[-1].split())[-_SAID_CHARACTERS:]}")
    return _words(WORDS)


def _call(name: str, arguments: str) -> DemoCompletion:
    starts = range(0, len(arguments), _FRAGMENT_CHARACTERS)
    fragments = tuple(arguments[at : at + _FRAGMENT_CHARACTERS] for at in starts)
    return DemoCompletion((), Tool(name, {}), fragments)


def _unquoted(arguments: str) -> str:
    """Some clients quote their command line once more."""
    return arguments.replace('\\"', '"') if '{\\"' in arguments else arguments


def _words(text: str) -> DemoCompletion:
    return DemoCompletion(tuple(re.findall(r"\s*\S+", text)))


def _offering(request: DemoRequest, schema: dict[str, Any]) -> DemoRequest:
    """Return the request as if it asked for a tool of this schema."""
    return DemoRequest(request.model, request.prompt, tool=Tool("json", schema))


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the JSON that is asked for, where each of the three APIs has it."""
    with contextlib.suppress(KeyError, TypeError):
        return dict(body["response_format"]["json_schema"]["schema"])
    for member in ("text", "output_config"):
        with contextlib.suppress(KeyError, TypeError):
            return dict(body[member]["format"]["schema"])
    return None


def _is_forced(choice: object) -> bool:
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return kind in {"function", "required", "any", "tool"}


def _name_of(tool: dict[str, Any]) -> str:
    function = tool.get("function")
    return str((function if isinstance(function, dict) else tool).get("name"))


def _results(turn: object) -> list[str]:
    """The tools' results in a turn of any API."""
    if not isinstance(turn, dict):
        return []
    if turn.get("role") == "tool":
        return [_text(turn.get("content"))]
    if str(turn.get("type", "")).endswith("call_output"):
        return [_text(turn.get("output"))]
    if _text(turn).startswith(_OBSERVATION):
        return [_text(turn).removeprefix(_OBSERVATION)]
    blocks = turn.get("content")
    return [
        _text(block.get("content"))
        for block in (blocks if isinstance(blocks, list) else [])
        if isinstance(block, dict) and block.get("type") == "tool_result"
    ]


def _user_texts(turn: object) -> list[str]:
    if isinstance(turn, str):
        return [turn]
    if not isinstance(turn, dict) or turn.get("role") != "user" or _results(turn):
        return []
    return [_text(turn.get("content"))]


def _text(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    if isinstance(value, dict):
        return _text(value.get("text", value.get("content")))
    return value if isinstance(value, str) else ""
