"""A call in the words of another API than the app's, as rooms hand it on: `translate` reads and
writes it, `selection` asks what it would lose, `upstream` sends it. This module is not compiled:
mypyc would drop what makes its classes frozen.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from sidecar.domain.call import DialectName

if TYPE_CHECKING:
    from sidecar.domain.decision import Candidate


class TranslationRule(msgspec.Struct, frozen=True):
    """Which APIs that a candidate does not speak it serves by translation."""

    targets: tuple[tuple[DialectName, tuple[DialectName, ...]], ...]
    """The caller's dialect, and those in which the candidate may be spoken to instead, the best
    one first.
    """
    is_strict: bool = False
    """Whether it serves no call that would lose anything but what is harmless to lose."""


class LostField(msgspec.Struct, frozen=True):
    """What of a call or its response had no place in the other API."""

    name: str
    """Its path as the caller's API spells it: ``response_format``, ``tools.strict``. Never a value.
    The names of unknown fields are the caller's to invent.
    """
    is_known: bool
    """Whether the caller's API has a field of that name."""


class Fit(msgspec.Struct, frozen=True):
    """How well a candidate can serve a call by translation."""

    dialect: DialectName
    """In what it would be spoken to."""
    lost: tuple[LostField, ...] = ()
    """What would be left out of the request."""
    decisive: tuple[LostField, ...] = ()
    """Those of it for which the candidate is not to serve the call."""
    goes_behind: bool = False
    """Whether a candidate that would lose nothing is to be tried before."""

    @property
    def is_left_out(self) -> bool:
        """Return whether the candidate is not to serve the call."""
        return bool(self.decisive)


class StreamTranslation(Protocol):
    """Translates one event stream. Its state is bounded."""

    @property
    def kept_bytes(self) -> int:
        """How much of the stream is kept, about."""
        ...

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes of the provider's stream, cut anywhere; yield what they complete of
        the app's, which may be nothing, in pieces, between which others may go on. All are to be
        read before more is fed. Raises: UpstreamMalformed.
        """
        ...

    def end(self) -> Iterator[bytes]:
        """Yield what is still owed once the provider's stream has ended properly, as `feed`."""
        ...


class AttemptTranslation(Protocol):
    """Translates what one attempt at a candidate is answered with."""

    dialect: DialectName
    """In what the candidate is spoken to."""
    way: str
    """From the caller's dialect to that: ``chat>messages``."""

    def whole_in_steps(
        self, body: bytes, *, is_stream_wanted: bool = False
    ) -> Generator[None, None, bytes]:
        """Translate a whole response; into a stream where the app wants one and the provider did
        not stream. Others go on wherever this yields.

        Raises: UpstreamMalformed.
        """
        ...

    def error(self, status: int, body: bytes) -> bytes:
        """Write an error body of the caller's API with the provider's text inside. Never raises."""
        ...

    def stream(self) -> StreamTranslation:
        """Return what translates the response's event stream."""
        ...

    def lost(self) -> Sequence[LostField]:
        """Return what was left out of the request, and of the response as far as it has come."""
        ...


class CallTranslation(Protocol):
    """A call that was read, to be written in other APIs."""

    def fit(self, candidate: Candidate) -> Fit:
        """Return how well a candidate that serves the call by translation can serve it."""
        ...

    def attempt(self, candidate: Candidate) -> AttemptTranslation:
        """Return what translates the response of such a candidate."""
        ...

    def body_in_steps(self, candidate: Candidate) -> Generator[None, None, bytes]:
        """Write the whole body of a request to such a candidate, its model included. Others go on
        wherever this yields.
        """
        ...
