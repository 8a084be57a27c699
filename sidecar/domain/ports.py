"""The two ends of a call, as the rooms between them see them: provider and app."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from sidecar.domain.call import Edit, RawHeaders
from sidecar.domain.vocabulary import CandidateCondition, FailureClass


class StoreSnapshot(msgspec.Struct, frozen=True):
    """A shared affinity store at the moment of a scrape."""

    near_entries: int
    shadow_entries: int
    is_up: bool
    is_tracking: bool


class CandidateSnapshot(msgspec.Struct, frozen=True):
    """How one configured candidate stands at the moment of a scrape."""

    account: str
    """The provider entry's name."""
    model: str
    """As the config names it: ``prefix/*`` for all models of a wildcard entry."""
    condition: CandidateCondition = CandidateCondition.SERVING
    reason: FailureClass | None = None
    """Why it does not serve; None where it does."""
    left_s: float | None = None
    """Seconds until it has its usual place in plans again; None where it has."""


class Reply(Protocol):
    """Reads a provider's response whose head has arrived. Its holder must close it: by `read` to
    its end, or by `abort`.
    """

    status: int
    headers: RawHeaders
    content_length: int | None
    """As announced, in bytes; None where the body is chunked or ends with the connection."""
    sends: int
    """How often the request was sent until this came."""

    def read_nowait(self) -> bytes | None:
        """Return the whole body and close the reply, if all of it has arrived; else None."""
        ...

    async def read(self) -> bytes:
        """Return the next bytes of the body, as they came; ``b""`` once the body is complete, which
        closes the reply.

        Raises: UpstreamError subclasses where the provider dies, stalls or does not send HTTP.
        """
        ...

    def abort(self) -> None:
        """Drop the connection at once, so that the provider stops generating. Idempotent; never
        raises.
        """
        ...


class ArrivingReply(Reply, Protocol):
    """A reply whose body is still on its way, and can be looked at before it is read."""

    is_complete: bool
    """Whether all of the body is here."""
    pieces: list[bytes]
    """What has arrived of it and was not read yet."""

    async def begin(self) -> None:
        """Wait for the first bytes of the body. Raises: UpstreamError subclasses."""
        ...

    def peek(self) -> bytes:
        """Return what has arrived and was not read yet; it can still be read."""
        ...

    async def wait_for_more(self, seen_bytes: int, by_s: float) -> bool:
        """Wait for more than ``seen_bytes``, or the end, but no longer than until ``by_s``; return
        whether it came. Raises: UpstreamError subclasses.
        """
        ...

    def in_s(self, duration_s: float) -> float:
        """Return a point in time for `wait_for_more`, counted from now."""
        ...


class DownstreamIdle(ConnectionError):
    """The app has read nothing of its response for ``timeouts.downstream_idle_s``, and its
    connection is broken.
    """

    code: Final = "downstream_idle"


class Downstream(Protocol):
    """Writes the response to the app."""

    @property
    def is_open(self) -> bool:
        """Whether the app is still there."""
        ...

    def send_whole(self, status: int, headers: list[bytes], body: bytes) -> None:
        r"""Send head and complete body at once. The reason phrase is the status's own, here and in
        `start`.

        Args: ``headers`` are lines (``Name: value\r\n``) without framing headers, here and in
            `start`.
        """
        ...

    def start(self, status: int, headers: list[bytes], content_length: int | None) -> None:
        """Send the head; the body follows by `write`. Without a length the body is chunked."""
        ...

    async def write(self, data: bytes) -> None:
        """Send body bytes, waiting while the app reads more slowly than the provider sends.

        Raises: ConnectionError if the app is gone, DownstreamIdle if it has stopped reading.
        """
        ...

    def finish(self) -> None:
        """End the body, which is complete."""
        ...

    def end_broken(self, event: bytes) -> None:
        """Send a last event, which may be empty, and close the connection without ending the body,
        so that the app's client sees a broken transfer. Does nothing if the app is gone.
        """
        ...

    def abort(self) -> None:
        """Close the connection at once, without flushing."""
        ...


class Upload(Protocol):
    """A request body that is sent on to the provider while the app still sends it."""

    length: int | None
    """How many bytes are sent of it; None where the body is chunked."""
    received_bytes: int
    """What has come of it so far."""

    @property
    def is_begun(self) -> bool:
        """Whether any of it was read, so that it cannot be sent again."""
        ...

    def use(self, edit: Edit | None) -> None:
        """Have a piece of what has come sent otherwise, and ``length`` say so; None: as it came.
        Nothing was read of it yet.
        """
        ...

    async def read(self) -> bytes:
        """Return the next bytes, in chunks where it has no length; ``b""`` at its end. May be
        cancelled while it waits, and loses nothing then.

        Raises: RequestTimeout, MalformedRequest, BodyTooLarge.
        """
        ...
