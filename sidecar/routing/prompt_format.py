"""How routes and turns are written into a router model's prompt. Pure.

A model that was trained on one text answers best where it gets that text to the byte; the words
around routes and conversation are the template's, from the model's card.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from sidecar.dialects.base import Turn
from sidecar.domain.decision import Route

_WRAPPERS: Final = ("system-reminder", "environment_context", "user-prompt-submit-hook")
_WRAPPER: Final = re.compile(rf"<({'|'.join(_WRAPPERS)})>.*?(?:</\1>|\Z)", re.DOTALL)
_WRAPPER_SIGN: Final = re.compile(rf"<(?:{'|'.join(_WRAPPERS)})>")


class PromptFormat(enum.StrEnum):
    """A way to write routes and turns, by the model that was trained on it."""

    JSON_LINES = "json_lines"
    """A compact JSON object a line for each route, the conversation as compact JSON."""
    ARCH_ROUTER = "arch_router"
    """Routes and conversation as one compact JSON list each."""
    PLANO_ORCHESTRATOR = "plano_orchestrator"
    """A spaced JSON object a line for each route, with ``parameters``; the conversation indented
    by four spaces.
    """


class TurnStyle(msgspec.Struct, frozen=True):
    """The bytes around the turns of a conversation and their members."""

    before: bytes
    starts: dict[str, bytes]
    """What stands before a turn's content, the opening quote included, by the usual roles."""
    end: bytes
    joiner: bytes
    after: bytes
    escapes: tuple[bytes, bytes]
    """What is replaced in JSON text, so that no text can close a tag around it, and by what."""

    def start_of(self, role: str) -> bytes:
        """Return what stands before the content of a turn of any role."""
        before, after = self.starts["user"].split(b'"user"')
        return before + self.quoted(role) + after

    def quoted(self, text: str) -> bytes:
        """Return a JSON string that can close no tag. Lone surrogates become question marks."""
        try:
            encoded = msgspec.json.encode(text)
        except UnicodeEncodeError:
            encoded = msgspec.json.encode(text.encode("utf-8", "replace").decode())
        return encoded.replace(*self.escapes)


_ANY_TAG: Final = (b"<", rb"\u003c")
_CLOSING_TAG: Final = (b"</", rb"<\/")
"""JSON's own other way to write it: the rest of a text stays as models were trained on it."""
_ROLES: Final = ("user", "assistant")
_COMPACT: Final = TurnStyle(
    b"[",
    {role: b'{"role":"%b","content":"' % role.encode() for role in _ROLES},
    b'"}',
    b",",
    b"]",
    _ANY_TAG,
)
STYLES: Final = {
    PromptFormat.JSON_LINES: _COMPACT,
    PromptFormat.ARCH_ROUTER: msgspec.structs.replace(_COMPACT, escapes=_CLOSING_TAG),
    PromptFormat.PLANO_ORCHESTRATOR: TurnStyle(
        b"[\n",
        {
            role: b'    {\n        "role": "%b",\n        "content": "' % role.encode()
            for role in _ROLES
        },
        b'"\n    }',
        b",\n",
        b"\n]",
        _CLOSING_TAG,
    ),
}


def routes_text(routes: Iterable[Route], form: PromptFormat) -> bytes:
    """Return the routes as a format writes them, in the order in which they are given."""
    quoted = STYLES[form].quoted
    if form is PromptFormat.JSON_LINES:
        return b"\n".join(_line(route, STYLES[form]) for route in routes)
    pairs = ((quoted(route.name), quoted(_described(route))) for route in routes)
    if form is PromptFormat.ARCH_ROUTER:
        return b"[" + b",".join(b'{"name":%b,"description":%b}' % pair for pair in pairs) + b"]"
    return b"\n".join(
        b'{"name": %b, "description": %b, "parameters": {"type": "object", "properties": {}, '
        b'"required": []}}' % pair
        for pair in pairs
    )


def without_wrappers(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns without what agents wrap around the words of their user. A turn that has
    nothing else is left out; a wrapper without an end goes to the end of its turn.
    """
    kept = []
    for turn in turns:
        if turn.role != "user" or _WRAPPER_SIGN.search(turn.text) is None:
            kept.append(turn)
            continue
        text = _WRAPPER.sub("", turn.text).strip()
        if text:
            kept.append(Turn(turn.role, text))
    return kept


def _line(route: Route, style: TurnStyle) -> bytes:
    name, description = style.quoted(route.name), style.quoted(route.description)
    if not route.examples:
        return b'{"name":%b,"description":%b}' % (name, description)
    examples = b",".join(map(style.quoted, route.examples))
    return b'{"name":%b,"description":%b,"examples":[%b]}' % (name, description, examples)


def _described(route: Route) -> str:
    """Return a route's description with its examples, for models that know no such member."""
    if not route.examples:
        return route.description
    return f"{route.description} (for example: {'; '.join(route.examples)})"
