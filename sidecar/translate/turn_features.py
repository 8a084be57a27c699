"""What the turns of a conversation ask of a target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidecar.translate.conversation import (
    ConversationTurn,
    DocumentPart,
    ImagePart,
    Part,
    Role,
    ToolResult,
)
from sidecar.translate.data_urls import PDF
from sidecar.translate.losses import Feature


class TurnFeatures:
    """Finds what not every target can take of turns, one after another; marks for caching are not
    looked for.
    """

    def __init__(self, found: set[Feature]) -> None:
        self._found = found
        self._has_begun = False
        self._last: Role | None = None

    def add(self, turn: ConversationTurn) -> None:
        """Take the next turn."""
        self._last = turn.role
        if turn.role is Role.USER:
            self._found.update(_features_of(turn.parts))
            self._has_begun = True
        elif turn.role is Role.ASSISTANT:
            self._has_begun = True
        elif self._has_begun:
            self._found.add(Feature.LATE_SYSTEM)

    def end(self) -> None:
        """Find what the end of the conversation asks for."""
        if self._last is Role.ASSISTANT:
            self._found.add(Feature.PREFILL)


def _features_of(parts: Iterable[Part]) -> Iterator[Feature]:
    for part in parts:
        if isinstance(part, ToolResult):
            if part.is_error:
                yield Feature.IS_ERROR
            yield from _features_of(part.parts)
        elif isinstance(part, ImagePart):
            yield Feature.IMAGES
            if part.detail not in (None, "auto"):
                yield Feature.DETAIL
        elif isinstance(part, DocumentPart):
            if part.url is not None:
                yield Feature.DOCUMENT_URLS
            elif part.data is not None:
                is_pdf = part.media_type == PDF
                yield Feature.DOCUMENTS if is_pdf else Feature.OTHER_DOCUMENTS
