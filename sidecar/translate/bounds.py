"""How much a provider's response may ask of the sidecar, and the error for one that asks more."""

from __future__ import annotations

from typing import Final

LINE_BYTES: Final = 3 * 1024 * 1024
"""The longest line, and the longest event, of a stream. The last event of the responses API brings
a response of 128,000 tokens once more, encrypted reasoning included.
"""
LINES_BYTES: Final = 64 * 1024
"""The longest event whose data stand in several lines; no provider writes any so."""
PIECE_CHARS: Final = 1024 * 1024
"""The longest text that one event may add. One that repeats all of them may be longer."""
VALUES_AT_MOST: Final = 50_000
"""Values of one event, or of one whole response: to make so many takes ten milliseconds. A response
repeats the request's tools in the responses API, a hundred of which are some thousands.
"""
CUSTOM_BYTES: Final = 1024 * 1024
"""The longest text of a call of a tool without a schema, which is written in one piece."""
KEPT_BYTES: Final = 8 * 1024 * 1024
"""As much of a response is kept at most where it has to be: parts that wait for their turn, and
what the responses API repeats at the end.
"""
PARTS_AT_MOST: Final = 4096
"""A response with more parts is refused. Texts with citations are made of hundreds."""
OPEN_AT_MOST: Final = 256
"""So many parts may be open side by side; no provider allows as many parallel tool calls."""
NAMES_AT_MOST: Final = 32
"""So many kinds of lost content are named."""


class Untranslatable(ValueError):
    """The provider's response is none of its API, or exceeds a bound."""
