"""Makes up what the demo provider says: the same words for the same request."""

from __future__ import annotations

import msgspec

from sidecar.demo.request import DemoRequest, Json, Tool

_FRAGMENT_CHARACTERS = 6
_QUOTED_CHARACTERS = 60


class DemoCompletion(msgspec.Struct, frozen=True):
    """Words in pieces of one token each, or one call of a function."""

    pieces: tuple[str, ...]
    tool: Tool | None = None
    arguments: tuple[str, ...] = ()
    """The arguments' JSON text, in fragments."""
    is_cut_off: bool = False
    """The request's output limit was reached."""

    @property
    def text(self) -> str:
        """All the words."""
        return "".join(self.pieces)

    @property
    def arguments_text(self) -> str:
        """The arguments' whole JSON text."""
        return "".join(self.arguments)

    @property
    def output_tokens(self) -> int:
        """One token for each piece or fragment."""
        return max(1, len(self.pieces) + len(self.arguments))


def make_completion(request: DemoRequest, *, provider: str) -> DemoCompletion:
    """Call the offered function, if there is one; else repeat the question in a sentence.

    Args: ``provider`` is the name that the sentence gives to the provider.
    """
    if request.tool is not None:
        return _tool_call(request.tool)
    said = " ".join(request.prompt.split())
    if len(said) > _QUOTED_CHARACTERS:
        said = said[: _QUOTED_CHARACTERS - 3] + "..."
    seen = f" and sent {request.images} image{'s' * (request.images > 1)}" if request.images else ""
    text = (
        f'This is {request.model} at the {provider} provider. You said "{said}"{seen}. '
        "Nothing here was thought up."
    )
    words = text.split(" ")
    pieces = (words[0], *(" " + word for word in words[1:]))
    limit = request.output_limit
    if limit is not None and limit < len(pieces):
        return DemoCompletion(pieces[:limit], is_cut_off=True)
    return DemoCompletion(pieces)


def _tool_call(tool: Tool) -> DemoCompletion:
    text = msgspec.json.encode(_example(tool.schema)).decode()
    starts = range(0, len(text), _FRAGMENT_CHARACTERS)
    return DemoCompletion((), tool, tuple(text[at : at + _FRAGMENT_CHARACTERS] for at in starts))


def _example(schema: Json) -> object:
    """Return the plainest value that a JSON Schema allows."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: _example(inner) for name, inner in (schema.get("properties") or {}).items()}
    plain: Json = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "null": None}
    return plain.get(kind, "demo")
