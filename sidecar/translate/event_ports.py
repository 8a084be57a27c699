"""What the door asks of those who read and write event streams, whatever the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sidecar.translate.completion import Event


class EventReading(Protocol):
    """Reads one event stream of a provider's API."""

    def read(self, name: bytes, data: bytes) -> Sequence[Event]:
        """Return what one event says; nothing once the stream is over.

        Args: ``name`` may be empty. Raises: Untranslatable.
        """
        ...

    def end(self) -> Sequence[Event]:
        """Return what is still owed where the stream ended without its last event, but has said
        before that the response is complete; else nothing. Raises: Untranslatable.
        """
        ...


class EventWriting(Protocol):
    """Writes one event stream of a caller's API."""

    @property
    def kept_bytes(self) -> int:
        """How much is kept, about, to be written later or once more."""
        ...

    def write(self, event: Event) -> bytes | Iterable[bytes]:
        """Return the events of the caller's API for one event; where they may be long, their pieces
        one by one, all to be read before more is written. Raises: Untranslatable.
        """
        ...
