"""Reads what responses say about themselves: tokens, the model that served, why it ended.

Whatever a provider sends, reading it never fails a call.

Each API's module knows what its responses look like; this one has what all have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

import msgspec

from sidecar.dialects.base import Dialect
from sidecar.domain.outcome import Served, Usage

WHOLE_BYTES: Final = 256 * 1024
"""Responses up to here are read whole. Of longer ones only the end is, since skipping 50 MB takes
50 ms of the loop.
"""
TAIL_BYTES: Final = 4096
_OBJECTS_AT_MOST: Final = 32
"""A ``usage`` object holds no more objects than this."""
_MAX_TOKENS: Final = 1 << 48
_MAX_NAME_CHARS: Final = 256

NOTHING: Final = Served()
"""What a response or an event says that cannot be read."""

_any: Final = msgspec.json.Decoder(dict[str, Any])

Path = tuple[str, ...]


@final
class UsageMembers:
    """The names of the counts in an API's ``usage`` object."""

    def __init__(
        self,
        input_tokens: str,
        output_tokens: str,
        cached_input_tokens: Path,
        cache_write_tokens: Path = (),
        reasoning_tokens: Path = (),
    ) -> None:
        """Args: a path names the objects on the way to a count; an empty one means that the API has
        no such count.
        """
        self._paths: Final[tuple[Path, ...]] = (
            (input_tokens,),
            (output_tokens,),
            cached_input_tokens,
            cache_write_tokens,
            reasoning_tokens,
        )

    def read(self, usage: object) -> Usage | None:
        """Read a decoded ``usage`` object; None where it is none. A count that is not there, or is
        none, is None.
        """
        if not isinstance(usage, dict):
            return None
        counts: list[int | None] = []
        for path in self._paths:
            value: Any = usage
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            counts.append(value if type(value) is int and 0 <= value <= _MAX_TOKENS else None)
        input_tokens, output_tokens, cached, cache_write, reasoning = counts
        return Usage(input_tokens, output_tokens, cached, cache_write, reasoning)


@final
class CompletionReader:
    """Reads chat completions and their events. Here, and not in the module of chat, since this one
    is compiled.
    """

    def __init__(self, decode: Callable[[bytes], Any], usage: UsageMembers) -> None:
        """Args: ``decode`` returns an object with ``model``, ``usage``, ``x_groq`` and a list
        ``choices`` of objects with ``finish_reason`` and ``usage``, or None. All but the list may
        be of a wrong type.
        """
        self._decode: Final = decode
        self._usage: Final = usage

    def read(self, body: bytes) -> Served:
        """Read a whole response, or one event. Raises: what ``decode`` raises."""
        completion = self._decode(body)
        finish: str | None = None
        usage, of_groq = completion.usage, completion.x_groq
        for choice in completion.choices or ():
            finish = text_of(choice.finish_reason) or finish
            if usage is None:
                usage = choice.usage
        if usage is None and isinstance(of_groq, dict):
            usage = of_groq.get("usage")
        return Served(self._usage.read(usage), text_of(completion.model), finish)


def text_of(value: object) -> str | None:
    """Return a text, cut to what a log line bears; None for what is none, or empty."""
    return value[:_MAX_NAME_CHARS] if isinstance(value, str) and value else None


def read_response(dialect: Dialect, body: bytes) -> Served:
    """Read a whole response. One that is no JSON, or of other types, says nothing.

    Of one longer than `WHOLE_BYTES` only a ``usage`` in its last bytes is read.
    """
    if len(body) > WHOLE_BYTES:
        return read_tail(dialect, body[-TAIL_BYTES:])
    try:
        return dialect.served_of_response(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING


def read_event(dialect: Dialect, data: bytes) -> Served:
    """Read the data of one event of a stream."""
    try:
        return dialect.served_of_event(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING


def read_tail(dialect: Dialect, tail: bytes) -> Served:
    """Read the last ``usage`` object in the last bytes of a response."""
    at = tail.rfind(b'"usage"')
    end = tail.find(b"}", at)
    for _ in range(_OBJECTS_AT_MOST):
        if at < 0 or end < 0:
            break
        try:
            usage = _any.decode(b"{" + tail[at : end + 1] + b"}")["usage"]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            end = tail.find(b"}", end + 1)  # the usage object has objects in it
        else:
            return Served(usage=dialect.usage_of(usage))
    return NOTHING


def merged(earlier: Served, later: Served) -> Served:
    """Join both; where both say something, the later one counts, token kind by token kind."""
    if later is NOTHING:
        return earlier
    if earlier is NOTHING:
        return later
    return Served(
        usage=_merged_usage(earlier.usage, later.usage),
        served_model=later.served_model or earlier.served_model,
        finish=later.finish or earlier.finish,
    )


def _merged_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    if earlier is None or later is None:
        return later or earlier
    return Usage(
        _latest(earlier.input_tokens, later.input_tokens),
        _latest(earlier.output_tokens, later.output_tokens),
        _latest(earlier.cached_input_tokens, later.cached_input_tokens),
        _latest(earlier.cache_write_tokens, later.cache_write_tokens),
        _latest(earlier.reasoning_tokens, later.reasoning_tokens),
    )


def _latest(earlier: int | None, later: int | None) -> int | None:
    return earlier if later is None else later
