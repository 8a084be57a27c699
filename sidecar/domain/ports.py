"""The ports through which a call's rooms meet, and what is said through them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from sidecar.domain.call import RawHeaders


class StoreSnapshot(msgspec.Struct, frozen=True):
    """A shared affinity store at the moment of a scrape."""

    near_entries: int
    shadow_entries: int
    is_up: bool
    is_tracking: bool


class Reply(Protocol):
    """A provider's answer whose head has arrived. Whoever holds it closes it: `read` to its end, or
    `abort`.
    """

    status: int
    reason: bytes
    headers: RawHeaders
    content_length: int | None
    """As announced; None where the answer is chunked or ends with the connection."""

    def read_nowait(self) -> bytes | None:
        """The whole body if all of it has arrived, else None. Once taken, the reply is closed."""
        ...

    async def read(self) -> bytes:
        """The next bytes of the body, as they came; ``b""`` once it is complete, and the reply is
        closed then.

        Raises: UpstreamError subclasses where the provider dies, stalls or answers nonsense.
        """
        ...

    def abort(self) -> None:
        """Drop the connection at once, so that the provider stops generating. Idempotent; never
        raises.
        """
        ...


class Downstream(Protocol):
    """The app's end of a call."""

    def send_whole(self, status: int, reason: bytes, headers: list[bytes], body: bytes) -> None:
        r"""Answer at once: head lines (``Name: value\r\n``, no framing headers) and a complete
        body.
        """
        ...

    def start(
        self, status: int, reason: bytes, headers: list[bytes], content_length: int | None
    ) -> None:
        """Send the head; the body follows by `write`. With None the body is chunked."""
        ...

    async def write(self, data: bytes) -> None:
        """Send body bytes, waiting while the app reads more slowly than the provider sends.

        Raises: ConnectionError if the app is gone.
        """
        ...

    def finish(self) -> None:
        """The body is complete."""
        ...

    def end_broken(self, event: bytes) -> None:
        """Send a last event (may be empty), then close without finishing: the app's client must see
        a broken transfer. Does nothing if the app is gone.
        """
        ...

    def abort(self) -> None:
        """Close at once, without flushing."""
        ...
