"""What a demo provider reads in a request body, and the answer it makes up: the same words for the
same request.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

Json = dict[str, Any]

IMAGE_TOKENS: Final = 85
"""What one image costs; OpenAI bills its low-detail images so."""

_CACHED_FROM_TOKENS: Final = 1024
"""Prompts from this length on are reported as partly cached, in steps of 128, as OpenAI's caching
guide has it.
"""


class Tool(msgspec.Struct, frozen=True):
    """A function that the caller offers: its name and the JSON Schema of its arguments."""

    name: str
    schema: Json


class Ask(msgspec.Struct, frozen=True):
    """One request as the demo provider understands it, whatever the dialect."""

    model: str
    prompt: str
    """The text of the newest user message; empty where it has none."""
    wants_stream: bool = False
    wants_usage: bool = False
    """``stream_options.include_usage`` of a streamed chat completion."""
    wants_thinking: bool = False
    tool: Tool | None = None
    """The function to call, None where none is offered or its result is already there."""
    input_tokens: int = 1
    images: int = 0
    output_limit: int | None = None

    @property
    def cached_tokens(self) -> int:
        """How many of the input tokens are said to come from the provider's prompt cache."""
        return 0 if self.input_tokens < _CACHED_FROM_TOKENS else self.input_tokens // 2 // 128 * 128


class Answer(msgspec.Struct, frozen=True):
    """What the demo provider says: words in pieces of one token each, or one call of a function."""

    pieces: tuple[str, ...]
    tool: Tool | None = None
    arguments: tuple[str, ...] = ()
    """The arguments' JSON text, in fragments."""
    is_cut_off: bool = False
    """The output limit was reached."""

    @property
    def text(self) -> str:
        """All the words."""
        return "".join(self.pieces)

    @property
    def arguments_text(self) -> str:
        """All of the arguments' JSON text."""
        return "".join(self.arguments)

    @property
    def output_tokens(self) -> int:
        """One token a piece or fragment."""
        return max(1, len(self.pieces) + len(self.arguments))


def read_ask(body: Json) -> Ask:
    """Read a chat, responses, messages, embeddings or count_tokens body.

    Args: the decoded JSON object. Lenient: what is missing or of a wrong type counts as absent.
    """
    turns = body.get("messages", body.get("input", ""))
    turns = turns if isinstance(turns, list) else [{"role": "user", "content": turns}]
    texts, images = _texts_and_images([turns, body.get("system"), body.get("instructions")])
    tools_text = msgspec.json.encode(body["tools"]) if body.get("tools") else b""
    options, thinking = body.get("stream_options"), body.get("thinking")
    limit = next(
        (
            body[k]
            for k in ("max_completion_tokens", "max_output_tokens", "max_tokens")
            if body.get(k)
        ),
        None,
    )
    return Ask(
        model=str(body.get("model") or ""),
        prompt=_newest_user_text(turns),
        wants_stream=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        wants_thinking=isinstance(thinking, dict)
        and thinking.get("type") in {"enabled", "adaptive"},
        tool=None if _ends_with_tool_result(turns) else _offered_tool(body),
        input_tokens=max(
            1, (sum(len(t.encode()) for t in texts) + len(tools_text)) // 4 + images * IMAGE_TOKENS
        ),
        images=images,
        output_limit=limit if isinstance(limit, int) else None,
    )


def make_answer(ask: Ask, *, provider: str) -> Answer:
    """Make up the answer to a request: a call of the offered function, else a sentence that repeats
    the question.
    """
    if ask.tool is not None:
        text = msgspec.json.encode(_example(ask.tool.schema)).decode()
        return Answer((), ask.tool, tuple(text[i : i + 6] for i in range(0, len(text), 6)))
    asked = " ".join(ask.prompt.split())
    asked = asked if len(asked) <= 60 else asked[:57] + "..."
    seen = f" and sent {ask.images} image{'s' * (ask.images > 1)}" if ask.images else ""
    text = (
        f'This is {ask.model} at the {provider} provider. You said "{asked}"{seen}. '
        "Nothing here was thought up."
    )
    words = text.split(" ")
    pieces = tuple(word if i == 0 else " " + word for i, word in enumerate(words))
    if ask.output_limit is not None and ask.output_limit < len(pieces):
        return Answer(pieces[: ask.output_limit], is_cut_off=True)
    return Answer(pieces)


def _texts_and_images(value: object) -> tuple[list[str], int]:
    """All text below a message list, and how many images; image data and ids are not text."""
    if isinstance(value, str):
        return [value], 0
    if isinstance(value, list):
        found = [_texts_and_images(item) for item in value]
        return [text for texts, _ in found for text in texts], sum(images for _, images in found)
    if isinstance(value, dict):
        if value.get("type") in {"image_url", "input_image", "image"}:
            return [], 1
        held = [
            value[key]
            for key in ("content", "text", "output", "arguments", "input")
            if key in value
        ]
        return _texts_and_images(held)
    return [], 0


def _newest_user_text(turns: list[Any]) -> str:
    for turn in reversed(turns):
        if isinstance(turn, str):
            return turn
        if isinstance(turn, dict) and turn.get("role") == "user":
            content = turn.get("content")
            parts = content if isinstance(content, list) else [content]
            texts = [
                p if isinstance(p, str) else p.get("text")
                for p in parts
                if isinstance(p, str | dict)
            ]
            said = "\n".join(text for text in texts if isinstance(text, str))
            if said:
                return said
    return ""


def _ends_with_tool_result(turns: list[Any]) -> bool:
    last = turns[-1] if turns else None
    if not isinstance(last, dict):
        return False
    content = last.get("content")
    blocks = content if isinstance(content, list) else []
    return (
        last.get("role") == "tool"
        or last.get("type") == "function_call_output"
        or any(isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks)
    )


def _offered_tool(body: Json) -> Tool | None:
    """The function that ``tool_choice`` names, else the first; None where there is none or it is
    forbidden.
    """
    choice, listed = body.get("tool_choice"), body.get("tools")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind == "none" or not isinstance(listed, list):
        return None
    tools = []
    for entry in listed:
        inner = entry.get("function") if isinstance(entry, dict) else None
        spec = inner if isinstance(inner, dict) else entry
        if isinstance(spec, dict) and isinstance(spec.get("name"), str):
            tools.append(
                Tool(spec["name"], spec.get("parameters") or spec.get("input_schema") or {})
            )
    inner = choice.get("function") if isinstance(choice, dict) else None
    wanted = (
        inner.get("name")
        if isinstance(inner, dict)
        else choice.get("name")
        if isinstance(choice, dict)
        else None
    )
    return next((tool for tool in tools if wanted in {None, tool.name}), None)


def _example(schema: Json) -> object:
    """The plainest value that a JSON Schema allows."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: _example(inner) for name, inner in (schema.get("properties") or {}).items()}
    plain: Json = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "null": None}
    return plain.get(kind, "demo")
