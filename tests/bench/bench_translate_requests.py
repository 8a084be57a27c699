"""What it takes to translate a request: microseconds of CPU time to read, to weigh and to write an agent's
conversation of so many turns, and the longest step, in milliseconds. Run: ``python -m
tests.bench.bench_translate_requests``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.requests import losses_of, read_in_steps, write_in_steps
from sidecar.translate.targets import Target

_T = TypeVar("_T")

TURNS = (10, 100, 1000)
TARGETS = {
    CHAT: Target(CHAT, "openai", "gpt-5.6"),
    RESPONSES: Target(RESPONSES, "openai", "gpt-5.6"),
    MESSAGES: Target(MESSAGES, "anthropic", "claude-opus-5-5"),
}
SAID = "Look at the file, and tell me what is wrong with it. " * 4
SEEN = 'def look(at: str) -> str:\n    """Looks."""\n    return f"{at}\\n"\n' * 12
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


def chat(turns: int) -> dict[str, Any]:
    """A tool loop as an agent's SDK of chat sends it."""
    call = {"type": "function", "function": {"name": "look", "arguments": '{"at": "a.py"}'}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": SAID}]
    for at in range(turns // 2):
        said = {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [{"id": f"call_{at}", **call}],
        }
        messages += [said, {"role": "tool", "tool_call_id": f"call_{at}", "content": SEEN}]
    tools = [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}] * 20
    return {
        "model": "x",
        "messages": [{"role": "system", "content": SAID * 20}, *messages],
        "tools": tools,
    }


def responses(turns: int) -> dict[str, Any]:
    """The same as Codex sends it."""
    items: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "input_text", "text": SAID}]}
    ]
    for at in range(turns // 2):
        call = {
            "type": "function_call",
            "call_id": f"call_{at}",
            "name": "look",
            "arguments": '{"at": "a.py"}',
        }
        items += [call, {"type": "function_call_output", "call_id": f"call_{at}", "output": SEEN}]
    tools = [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}] * 20
    return {"model": "x", "instructions": SAID * 20, "input": items, "tools": tools, "store": False}


def messages(turns: int) -> dict[str, Any]:
    """The same as Claude Code sends it."""
    said: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": SAID}]}]
    for at in range(turns // 2):
        call = {"type": "tool_use", "id": f"toolu_{at}", "name": "look", "input": {"at": "a.py"}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": SEEN}
        said += [
            {"role": "assistant", "content": [{"type": "text", "text": "Looking."}, call]},
            {"role": "user", "content": [result]},
        ]
    system = [{"type": "text", "text": SAID * 20, "cache_control": {"type": "ephemeral"}}]
    tools = [{"name": "look", "input_schema": SCHEMA}] * 20
    return {"model": "x", "max_tokens": 9, "system": system, "messages": said, "tools": tools}


MAKERS: dict[DialectName, Callable[[int], dict[str, Any]]] = {
    CHAT: chat,
    RESPONSES: responses,
    MESSAGES: messages,
}


def run(steps: Generator[None, None, _T]) -> tuple[_T, float, float]:
    """Return what the steps yield in the end, the seconds of all, and those of the longest."""
    longest = whole = 0.0
    while True:
        begun = time.process_time()
        try:
            next(steps)
        except StopIteration as ended:
            took = time.process_time() - begun
            return ended.value, whole + took, max(longest, took)
        took = time.process_time() - begun
        whole, longest = whole + took, max(longest, took)


def best(make: Callable[[], Generator[None, None, _T]], runs: int) -> tuple[_T, float, float]:
    """Return the fastest of several runs."""
    return min((run(make()) for _ in range(runs)), key=lambda each: each[1])


def line(name: str, source: DialectName, body: bytes, runs: int) -> None:
    """Print the figures of one request, to both other APIs."""
    conversation, took, longest = best(lambda: read_in_steps(source, body), runs)
    print(
        f"{name:<34}{len(body) / 1024:>9.0f} KiB   read {took * 1e6:>9.0f} us, step {longest * 1e3:>6.2f} ms"
    )
    for api, target in TARGETS.items():
        if api == source:
            continue
        begun = time.process_time()
        losses_of(conversation, source, target)
        weighed = time.process_time() - begun
        _, took, longest = best(lambda target=target: write_in_steps(conversation, target), runs)  # type: ignore[misc]
        print(
            f"    to {api:<27}weigh {weighed * 1e6:>6.0f} us   write {took * 1e6:>8.0f} us, "
            f"step {longest * 1e3:>6.2f} ms"
        )


def main() -> None:
    """Print all figures."""
    for source, make in MAKERS.items():
        for turns in TURNS:
            line(
                f"{source}, {turns} turns",
                source,
                json.dumps(make(turns)).encode(),
                2000 // turns + 3,
            )
    for source, make in MAKERS.items():
        line(f"{source}, 13,000 turns", source, json.dumps(make(13_000)).encode(), 3)
    image = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * 1_250_000},
    }
    body = {"model": "x", "messages": [{"role": "user", "content": [image]}]}
    line("chat, one image of 10 MB", CHAT, json.dumps(body).encode(), 3)
    text = {"model": "x", "messages": [{"role": "user", "content": SEEN * 13_000}]}
    line("chat, one text of 10 MB", CHAT, json.dumps(text).encode(), 3)


if __name__ == "__main__":
    main()
