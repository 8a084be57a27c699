"""The pairs of requests in ``data``: what is sent in one API, and what another is sent of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.conversation import Conversation
from sidecar.translate.requests import read_in_steps, write_in_steps
from sidecar.translate.targets import Target

_T = TypeVar("_T")

APIS = (CHAT, RESPONSES, MESSAGES)
PLAINEST: dict[DialectName, dict[str, Any]] = {
    CHAT: {"model": "any", "messages": [{"role": "user", "content": "Hi"}]},
    RESPONSES: {"model": "any", "input": "Hi", "store": False},
    MESSAGES: {
        "model": "any",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    },
}
_USUAL = {
    CHAT: "openai/gpt-4.1",
    RESPONSES: "openai/gpt-4.1",
    MESSAGES: "anthropic/claude-sonnet-4-5",
}
_MARK = {"type": "ephemeral"}
_WRITTEN: dict[tuple[DialectName, DialectName], dict[str, Any]] = {
    (CHAT, RESPONSES): {
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "store": False,
    },
    (CHAT, MESSAGES): {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hi", "cache_control": _MARK}],
            }
        ],
        "max_tokens": 64000,
    },
    (RESPONSES, CHAT): {"messages": [{"role": "user", "content": "Hi"}]},
    (MESSAGES, CHAT): {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_completion_tokens": 100,
    },
    (MESSAGES, RESPONSES): {
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "max_output_tokens": 100,
        "store": False,
    },
}
_WRITTEN[RESPONSES, MESSAGES] = _WRITTEN[CHAT, MESSAGES]
"""What the plainest request becomes."""


class Pair(NamedTuple):
    """One request, one target, and what is to become of it."""

    name: str
    source: DialectName
    target: Target
    given: dict[str, Any]
    body: dict[str, Any]
    lost: dict[str, str]


def body_of(given: dict[str, Any], source: DialectName) -> bytes:
    """Return a request by how it differs from the plainest one."""
    return json.dumps({**PLAINEST[source], **given}).encode()


@functools.cache
def pairs() -> tuple[Pair, ...]:
    """Return all pairs."""
    return tuple(
        pair for source in APIS for case in _cases(source) for pair in _pairs(source, case)
    )


def _cases(source: DialectName) -> list[dict[str, Any]]:
    path = Path(__file__).parent / f"data/requests_{source}.yaml"
    cases: list[dict[str, Any]] = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return cases


def _pairs(source: DialectName, case: dict[str, Any]) -> Generator[Pair, None, None]:
    for api in APIS:
        if api == source:
            continue
        wanted = case[api]
        family, _, model_id = wanted.get("to", _USUAL[api]).partition("/")
        body = {"model": model_id, **_WRITTEN[source, api], **wanted["body"]}
        kept = {name: value for name, value in body.items() if value is not None}
        name = f"{source}-{api}: {case['case']}"
        yield Pair(
            name, source, Target(api, family, model_id), case["given"], kept, wanted.get("lost", {})
        )


def run(steps: Generator[None, None, _T]) -> _T:
    """Run all steps, and return what comes of them."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            value: _T = ended.value
            return value


def read(body: bytes, source: DialectName) -> Conversation:
    """Read a request."""
    return run(read_in_steps(source, body))


def written(conversation: Conversation, target: Target) -> bytes:
    """Write a request."""
    return run(write_in_steps(conversation, target))
