"""A whole response as the events of a stream, for a caller that asked a server for a stream and was
given none: some servers cannot stream where tools are offered.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.translate.completion import (
    ArgumentsDelta,
    Completion,
    Event,
    PartEnded,
    ResponseFinished,
    Started,
    TextDelta,
    TextStarted,
    ToolCallStarted,
)
from sidecar.translate.conversation import RefusalPart, ToolCall


def events_of(completion: Completion) -> Iterator[Event]:
    """Yield what a stream of that response would have said."""
    usage, tier = completion.usage, completion.service_tier
    yield Started(completion.id, completion.model, usage, tier)
    for index, part in enumerate(completion.parts):
        if isinstance(part, ToolCall):
            yield ToolCallStarted(index, part.id, part.name)
            yield ArgumentsDelta(index, part.arguments)
        else:
            yield TextStarted(index, is_refusal=isinstance(part, RefusalPart))
            yield TextDelta(index, part.text)
        yield PartEnded(index)
    yield ResponseFinished(completion.finish, completion.stop_sequence, usage, tier)
