"""A router model that needs no key: it chooses the route whose description shares most words with
the newest message.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from sidecar.demo.completion import DemoCompletion
from sidecar.demo.provider import DemoProvider
from sidecar.demo.request import DemoRequest, Json

_ROUTES: Final = re.compile(r"<routes>(.*?)</routes>", re.DOTALL)
_CONVERSATION: Final = re.compile(r"<conversation>(.*?)</conversation>", re.DOTALL)
_WORD: Final = re.compile(r"[a-z0-9]+")
_FILLER_TEXT: Final = """a about an and any are as at be by can do for from give how
i in into is it me my new of on one or our please so some that the this to us was what when
which will with would you your"""
_FILLERS: Final = frozenset(_FILLER_TEXT.split())
_STEM_LETTERS: Final = 4


class _Route(NamedTuple):
    name: str
    words: frozenset[str]


class DemoRouterModel(DemoProvider):
    """Says ``{"route": name}`` over OpenAI's chat completions. A router prompt quotes the user, so
    what the user says to the provider must not fail the router model.
    """

    fails_on_request = False

    def __init__(self, *, name: str = "router") -> None:
        super().__init__(name=name, models=("router",))

    def complete(self, request: DemoRequest) -> DemoCompletion:
        """Return the chosen route as one piece of text."""
        return complete_route(request)


def complete_route(request: DemoRequest) -> DemoCompletion:
    """Return what a router model says to a request whose newest user message is a router prompt."""
    route = {"route": choose_route(request.prompt)}
    return DemoCompletion((msgspec.json.encode(route).decode(),))


def choose_route(prompt: str) -> str:
    """Choose among the routes of a router prompt.

    Args: ``prompt`` has JSON lines (or a JSON array) inside ``<routes></routes>``, and a JSON
        list of messages (or JSON lines) inside ``<conversation></conversation>``; only the newest
        user message counts.
    Returns: the name of the route that shares most words with it, the first of equals; ``other``
        if none shares any.
    """
    said = _words(_newest_message(prompt))
    best, best_shared = "other", 0
    for route in _routes(prompt):
        shared = len(said & route.words)
        if shared > best_shared:
            best, best_shared = route.name, shared
    return best


def _routes(prompt: str) -> list[_Route]:
    block = _ROUTES.search(prompt)
    found = [
        entry
        for entry in _objects(block.group(1) if block else "")
        if isinstance(entry.get("name"), str)
    ]
    return [_Route(e["name"], _words(f"{e['name']} {e.get('description', '')}")) for e in found]


def _newest_message(prompt: str) -> str:
    """Return the newest user message's text; the whole prompt if it has no conversation block."""
    blocks = _CONVERSATION.findall(prompt)
    for turn in reversed(_objects(blocks[-1]) if blocks else []):
        if turn.get("role") == "user":
            return str(turn.get("content", turn.get("text", "")))
    return "" if blocks else prompt


def _objects(text: str) -> list[Json]:
    """Decode the JSON objects of an array, or of lines of JSON."""
    whole = _decoded(text)
    entries = whole if isinstance(whole, list) else [_decoded(line) for line in text.splitlines()]
    return [entry for entry in entries if isinstance(entry, dict)]


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _words(text: str) -> frozenset[str]:
    """Return the words that carry meaning, each cut to its first four letters, so that "writing"
    matches "write".
    """
    return frozenset(
        word[:_STEM_LETTERS] for word in _WORD.findall(text.lower()) if word not in _FILLERS
    )
