"""Reads a request body of any of the four APIs into what the demo provider needs to know of it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

Json = dict[str, Any]

IMAGE_TOKENS: Final = 85
"""Tokens that one image costs; OpenAI bills its low-detail images so."""

_CACHED_FROM_TOKENS: Final = 1024
"""Prompts of at least so many tokens are reported as partly cached, in steps of 128, as OpenAI's
guide to prompt caching describes.
"""
_LIMIT_KEYS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_IMAGE_TYPES: Final = frozenset({"image_url", "input_image", "image"})
_TEXT_KEYS: Final = ("content", "text", "output", "arguments", "input")


class Tool(msgspec.Struct, frozen=True):
    """A function that the caller offers: its name and the JSON Schema of its arguments."""

    name: str
    schema: Json


class DemoRequest(msgspec.Struct, frozen=True):
    """One request body as the demo provider understands it, whatever the API."""

    model: str
    prompt: str
    """The text of the newest user message; empty if there is none."""
    wants_stream: bool = False
    wants_usage: bool = False
    """``stream_options.include_usage`` of a streamed chat completion."""
    wants_thinking: bool = False
    tool: Tool | None = None
    """The function to call; None if none is offered or its result is there already."""
    input_tokens: int = 1
    images: int = 0
    output_limit: int | None = None
    """The most tokens that the completion may have; None: no limit."""

    @property
    def cached_tokens(self) -> int:
        """How many of the input tokens are reported as read from the provider's prompt cache."""
        return 0 if self.input_tokens < _CACHED_FROM_TOKENS else self.input_tokens // 2 // 128 * 128


def read_request(body: Json) -> DemoRequest:
    """Read a chat, responses, messages, embeddings or count_tokens body.

    Args: ``body`` is the decoded JSON object. A member that is missing or has the wrong type counts
        as absent.
    """
    turns = body.get("messages", body.get("input", ""))
    turns = turns if isinstance(turns, list) else [{"role": "user", "content": turns}]
    texts, images = _texts_and_images([turns, body.get("system"), body.get("instructions")])
    tools_text = msgspec.json.encode(body["tools"]) if body.get("tools") else b""
    text_bytes = sum(len(text.encode()) for text in texts) + len(tools_text)
    options, thinking = body.get("stream_options"), body.get("thinking")
    limit = next((body[key] for key in _LIMIT_KEYS if body.get(key)), None)
    return DemoRequest(
        model=str(body.get("model") or ""),
        prompt=_newest_user_text(turns),
        wants_stream=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        wants_thinking=(
            isinstance(thinking, dict) and thinking.get("type") in {"enabled", "adaptive"}
        ),
        tool=None if _ends_with_tool_result(turns) else _offered_tool(body),
        input_tokens=max(1, text_bytes // 4 + images * IMAGE_TOKENS),
        images=images,
        output_limit=limit if isinstance(limit, int) else None,
    )


def _texts_and_images(value: object) -> tuple[list[str], int]:
    """Collect all text below a message list and count its images; image data is not text."""
    if isinstance(value, str):
        return [value], 0
    if isinstance(value, list):
        found = [_texts_and_images(item) for item in value]
        return [text for texts, _ in found for text in texts], sum(images for _, images in found)
    if isinstance(value, dict):
        if value.get("type") in _IMAGE_TYPES:
            return [], 1
        return _texts_and_images([value[key] for key in _TEXT_KEYS if key in value])
    return [], 0


def _newest_user_text(turns: list[Any]) -> str:
    for turn in reversed(turns):
        if isinstance(turn, str):
            return turn
        if isinstance(turn, dict) and turn.get("role") == "user":
            text = _text_of(turn.get("content"))
            if text:
                return text
    return ""


def _text_of(content: object) -> str:
    """Join the text of a message's content, which is a string or a list of parts."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str))


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
    """Return the function that ``tool_choice`` names, else the first one; None if there is none or
    ``tool_choice`` forbids calls.
    """
    choice, listed = body.get("tool_choice"), body.get("tools")
    chosen = choice if isinstance(choice, dict) else {"type": choice}
    if chosen.get("type") == "none" or not isinstance(listed, list):
        return None
    wanted = _function_of(chosen).get("name")
    tools = [_tool_of(_function_of(entry)) for entry in listed if isinstance(entry, dict)]
    return next((tool for tool in tools if tool and wanted in {None, tool.name}), None)


def _tool_of(function: Json) -> Tool | None:
    name = function.get("name")
    schema = function.get("parameters") or function.get("input_schema") or {}
    return Tool(name, schema) if isinstance(name, str) else None


def _function_of(entry: Json) -> Json:
    """Chat completions wrap a tool and a choice in ``function``; the other APIs do not."""
    inner = entry.get("function")
    return inner if isinstance(inner, dict) else entry
