"""What providers' answers say of themselves, as they write it. Only what is read; anything may be
of a wrong type.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Choice(msgspec.Struct):
    """An answer, or what a chunk adds to it."""

    finish_reason: Any = None


class OpenAiAnswer(msgspec.Struct):
    """Chat and embeddings, whole or one chunk of a stream."""

    model: Any = None
    usage: Any = None
    choices: list[Choice] = []


class Response(msgspec.Struct):
    """Of the responses API."""

    model: Any = None
    usage: Any = None
    status: Any = None


class Message(msgspec.Struct):
    """Of the messages API."""

    model: Any = None
    usage: Any = None
    stop_reason: Any = None


class ResponseEvent(msgspec.Struct):
    """An event of the responses API."""

    response: Response | None = None


class MessageEvent(msgspec.Struct):
    """An event of the messages API."""

    message: Message | None = None
    delta: Message | None = None
    usage: Any = None
