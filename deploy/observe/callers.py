"""The apps: conversations in two dialects, streamed and not, through both sidecars."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from typing import Any, Final, NamedTuple

import aiohttp

from sidecar.demo.scenario import CHAT_PATH, MESSAGES_PATH, chat, messages

_AT_ONCE: Final = 60
"""Calls under way; further ones are not made, as of an app whose own pool is full."""
_LIMIT_S: Final = 20.0
_RACES: Final = 0.3
"""Share of sessions whose first call is made through all sidecars at once."""
_ASTRAY: Final = 0.2
"""Share of a session's calls that a load balancer sends to any pod."""
_WITHOUT_TENANT: Final = 0.03
"""Share of calls that say no tenant, and so have no pin."""
_LONG_TEXT: Final = "You are a careful assistant of the shop. " * 150
"""Some 1500 tokens: enough for the provider's prompt cache."""
_ASKED: Final = (
    "Write a function that sorts a list",
    "Write a script with tests for it",
    "Summarize these notes: ship it on Monday",
    "Summarize this mail and its documents",
    "Translate this text into another language",
    "Tell me something nice",
)


class Shape(NamedTuple):
    """One kind of call; ``weight`` says how often it is made beside the others."""

    weight: int
    path: str
    model: str
    is_streamed: bool
    has_session: bool
    is_agent: bool = False
    is_left: bool = False
    """The app leaves once the stream has begun."""
    is_routed: bool = True


_SHAPES: Final = (
    Shape(30, CHAT_PATH, "gpt-4o", is_streamed=True, has_session=True),
    Shape(12, CHAT_PATH, "fast", is_streamed=False, has_session=False),
    Shape(10, CHAT_PATH, "gpt-4o", is_streamed=False, has_session=True),
    Shape(10, CHAT_PATH, "gpt-4o-mini", is_streamed=False, has_session=False, is_routed=False),
    Shape(22, MESSAGES_PATH, "claude-sonnet-5", is_streamed=True, has_session=True),
    Shape(8, MESSAGES_PATH, "claude-sonnet-5", is_streamed=True, has_session=True, is_agent=True),
    Shape(6, MESSAGES_PATH, "claude-sonnet-5", is_streamed=False, has_session=False),
    Shape(2, CHAT_PATH, "gpt-99", is_streamed=False, has_session=False),
    Shape(2, CHAT_PATH, "gpt-4o", is_streamed=True, has_session=True, is_left=True),
    Shape(2, CHAT_PATH, "", is_streamed=False, has_session=False, is_routed=False),
)


class _Conversation:
    """A session that ends after some turns.

    Args: ``url`` is where most of its calls go.
    """

    def __init__(self, number: int, url: str) -> None:
        self.url = url
        self.session = f"session-{number}"
        self.tenant = f"tenant-{number % 3}"
        self.text = random.choice(_ASKED)
        self.turns_left = random.randint(8, 40)


class Callers:
    """Makes calls at random moments, at a mean rate, and counts what came of them."""

    def __init__(self, urls: tuple[str, ...], *, calls_a_second: float) -> None:
        self.statuses: Counter[int] = Counter()
        """By HTTP status; 0: the call broke off or could not be made."""
        self._urls = urls
        self._calls_a_second = calls_a_second
        self._numbers = itertools.count()
        self._conversations: dict[Shape, list[_Conversation]] = {each: [] for each in _SHAPES}

    async def run(self) -> None:
        """Make calls until cancelled; then those under way are dropped."""
        timeout = aiohttp.ClientTimeout(total=_LIMIT_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as client,
            asyncio.TaskGroup() as group,
        ):
            under_way: set[asyncio.Task[None]] = set()
            while True:
                await asyncio.sleep(random.expovariate(self._calls_a_second))
                if len(under_way) >= _AT_ONCE:
                    continue
                shape = random.choices(_SHAPES, [each.weight for each in _SHAPES])[0]
                talk, is_new = self._join(shape)
                # Some apps begin with several calls at once: pods then race for the pin.
                is_race = is_new and random.random() < _RACES
                is_astray = random.random() < _ASTRAY
                usual = random.choice(self._urls) if is_astray else talk.url
                for url in self._urls if is_race else (usual,):
                    task = group.create_task(self._call(client, url, shape, talk))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)

    def _join(self, shape: Shape) -> tuple[_Conversation, bool]:
        """Return one of the conversations of this shape, or a new one where few are left; and
        whether it is new.
        """
        those = self._conversations[shape]
        those[:] = [each for each in those if each.turns_left > 0]
        if len(those) < shape.weight // 4 + 1:
            those.append(_Conversation(next(self._numbers), random.choice(self._urls)))
            return those[-1], True
        return random.choice(those), False

    async def _call(
        self, client: aiohttp.ClientSession, url: str, shape: Shape, talk: _Conversation
    ) -> None:
        talk.turns_left -= 1
        status = 0
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.post(
                url + shape.path, json=_body(shape, talk), headers=_headers(shape, talk)
            ) as response:
                if shape.is_left:
                    await response.content.readany()
                    response.close()
                else:
                    await response.read()
                status = response.status
        self.statuses[status] += 1


def _body(shape: Shape, talk: _Conversation) -> dict[str, Any]:
    more: dict[str, Any] = {"stream": True} if shape.is_streamed else {}
    if shape.path == MESSAGES_PATH:
        return messages(shape.model, talk.text, system=_LONG_TEXT, **more)
    more["seed"] = 7  # what a model of the other API is sent without
    if shape.is_streamed:
        more["stream_options"] = {"include_usage": True}
    if not shape.is_routed:
        more["routing_preferences"] = []
    body = chat(shape.model, talk.text, **more)
    body["messages"].insert(0, {"role": "system", "content": _LONG_TEXT})
    if not shape.model:
        del body["model"]
    return body


def _headers(shape: Shape, talk: _Conversation) -> dict[str, str]:
    headers = {} if random.random() < _WITHOUT_TENANT else {"x-org-id": talk.tenant}
    if shape.has_session:
        headers["x-model-affinity"] = talk.session
    if shape.is_agent:
        headers["x-claude-code-agent-id"] = f"agent-{talk.turns_left % 2}"
    if shape.path == MESSAGES_PATH:
        headers["anthropic-version"] = "2023-06-01"
    return headers
