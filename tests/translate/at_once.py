"""The door for responses without its steps: what a test compares is all of it."""

from __future__ import annotations

from sidecar.domain.call import DialectName
from sidecar.translate import responses
from sidecar.translate.reply_context import ReplyContext


class ResponseTranslator:
    """As the door's, but whole responses come at once."""

    def __init__(self, source: DialectName, target: DialectName, context: ReplyContext) -> None:
        self._door = responses.ResponseTranslator(source, target, context)

    @property
    def lost(self) -> set[str]:
        """See the door's."""
        return self._door.lost

    def whole(self, body: bytes) -> bytes:
        """Translate a whole response."""
        steps = self._door.whole_in_steps(body)
        while True:
            try:
                next(steps)
            except StopIteration as ended:
                written: bytes = ended.value
                return written

    def error(self, status: int, body: bytes) -> bytes:
        """See the door's."""
        return self._door.error(status, body)

    def stream(self) -> StreamTranslator:
        """See the door's."""
        return StreamTranslator(self._door.stream())


class StreamTranslator:
    """As the door's, but what a chunk completes comes in one piece."""

    def __init__(self, stream: responses.StreamTranslator) -> None:
        self._stream = stream

    @property
    def kept_bytes(self) -> int:
        """See the door's."""
        return self._stream.kept_bytes

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes."""
        return b"".join(self._stream.feed(chunk))

    def end(self) -> bytes:
        """End the stream."""
        return b"".join(self._stream.end())
