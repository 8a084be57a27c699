"""The one interface to an API, and the values that are said through it."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Generator, Iterable
from typing import Final, Protocol

import msgspec

from sidecar.domain.call import BodyFacts, Call, DialectName, Endpoint
from sidecar.domain.outcome import Served, Usage


class Problem(msgspec.Struct, frozen=True):
    """An error as the app will read it, before a dialect puts it into its own words."""

    status: int
    code: str
    """One of the sidecar's error codes; also sent as ``x-plano-error``."""
    message: str
    param: str | None = None
    """The request body's member that is wrong, where one is."""
    request_id: str = ""


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation, as text."""

    role: str
    """``user`` or ``assistant``."""
    text: str


TurnsOf = Callable[[Call, int | None], Generator[None, None, tuple[Turn, ...]]]
"""Reads the newest turns of a call's conversation, oldest first, as `Dialect.turns` does for so
many bytes of room.
"""


class EventKind(enum.Enum):
    """What one event of a stream is, seen from its end."""

    PREAMBLE = "preamble"
    """It comes before the response itself: a ping, the response's id, a delta without content."""
    CONTENT = "content"
    """It belongs to the response. So does what cannot be read."""
    ERROR = "error"
    """The provider says that it failed, where the stream should have gone on."""
    FAILED = "failed"
    """The API's own last event of a stream, which says that the response failed."""


Choices = Iterable[tuple[int, bool]]
"""Of which of the choices that a stream brings side by side an event is, and whether it ends it."""

ERROR_EVENT_SIGNS: Final = (b'"error"', b"event: error", b"event:error")
"""An error event contains one of these, in whatever API. A model's own quotes are escaped."""
ERROR_NULLS: Final = (b'"error":null', b'"error": null')


def _content(name: bytes, data: bytes) -> EventKind:  # noqa: ARG001 - the signature of `kind_of_event`
    return EventKind.CONTENT


def _no_choices(data: bytes) -> Choices:  # noqa: ARG001 - the signature of `choices_of_event`
    return ()


class UsageOption(msgspec.Struct, frozen=True):
    """How an API is asked to tell the usage of a stream, and the event that the stream then brings
    beside: one with nothing but the usage.
    """

    ask: Callable[[bytes, BodyFacts], BodyFacts | None]
    """Returns a body's facts with the edit by which it asks; None where it says itself whether it
    wants its usage, or that cannot be told. Raises nothing.
    """
    names: tuple[bytes, ...]
    """Who refuses to be asked names one of these."""
    sign: re.Pattern[bytes]
    """The event beside matches this."""
    not_this: re.Pattern[bytes]
    """The beginning of most other events matches this, and none of the event beside does."""
    is_beside: Callable[[bytes], bool]
    """Tells whether the data of an event are those of the event beside. Raises nothing."""


class StreamRules(msgspec.Struct, frozen=True):
    """What an event stream of one API looks like, as far as the relay has to know.

    Everything is found in the stream's bytes, since decoding every event would cost more than all
    the rest of the relay. A model's own text cannot be mistaken for any of it: its quotes and line
    ends are escaped.
    """

    last_words: tuple[bytes, ...] = ()
    """The event that ends a stream contains one of these; empty for an API without such an event.
    """
    last_event: re.Pattern[bytes] = re.compile(rb"(?!)")
    """The beginning of the last event, line end before it included; at most 40 bytes. Searched for
    only where one of ``last_words`` has been seen.
    """
    is_last_event_whole: bool = False
    """Whether the last event counts only once all of it is here, since it brings the response once
    more. Otherwise it counts from its beginning on; some servers forget the empty line behind it.
    """
    telling: tuple[bytes, ...] = ()
    """Each event that says how many tokens, which model, or why it ended contains one of these."""
    nulls: tuple[bytes, ...] = ()
    """How the members of ``telling`` look with the value ``null``. An event that has as many of
    these as of ``telling`` says nothing, and is not decoded.
    """
    model_within: int = 0
    """As many first events are searched for the served model, whatever they hold."""
    kind_of_event: Callable[[bytes, bytes], EventKind] = _content
    """Tells what an event is by its name, which may be empty, and its data. Raises nothing."""
    choices_of_event: Callable[[bytes], Choices] = _no_choices
    """Reads the choices in the data of one event. Once each that appeared has ended, a stream that
    ends properly is complete, also without its last event. Raises nothing.
    """
    failing: tuple[bytes, ...] = ERROR_EVENT_SIGNS
    """Each event that is of kind ERROR or FAILED contains one of these."""
    usage_option: UsageOption | None = None
    """None where every stream tells its usage."""


def named_last_event(*types: bytes) -> re.Pattern[bytes]:
    """Match the beginning of an event of one of these types, by its name, or by the ``type`` in its
    data, for providers that leave the name out.
    """
    either = b"|".join(map(re.escape, types))
    return re.compile(rb'[\r\n]event: ?(?:%b)|"type": ?"(?:%b)"' % (either, either))


class Dialect(Protocol):
    """All that is true of one API. Stateless: one object serves all calls."""

    @property
    def name(self) -> DialectName:
        """The value of the config's ``dialects`` and of the ``dialect`` label."""
        ...

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The POST paths at which apps call this API."""
        ...

    @property
    def sdk_header(self) -> str:
        """A header field, in lower case, that this API's SDKs always send and others never do.

        It chooses the shape of an error on a path that belongs to no API. Empty: there is none.
        """
        ...

    @property
    def home_prefix(self) -> str:
        """The provider prefix that serves a bare model id where no config file says otherwise."""
        ...

    @property
    def is_cache_apart(self) -> bool:
        """Whether its usage figures count input tokens that were read from the cache, or written to
        it, apart from the other ones.
        """
        ...

    def least_request(self) -> bytes:
        """Return the body of the cheapest request that there is, without its model: `patch` adds
        that.
        """
        ...

    @property
    def stream(self) -> StreamRules:
        """What this API's event streams look like."""
        ...

    def peek(self, body: bytes, session_members: frozenset[bytes] = frozenset()) -> BodyFacts:
        """Read what lookup, routing and `patch` need of a request body.

        Args: ``session_members`` are top-level members that may name the session; the facts tell
            where their values are.
        Raises: InvalidBody.
        """
        ...

    def peek_in_steps(
        self, body: bytes, session_members: frozenset[bytes] = frozenset()
    ) -> Generator[None, None, BodyFacts]:
        """Do as `peek`, for a body that is longer than `wire.body.AT_ONCE_BYTES`: others go on
        wherever this yields.
        """
        ...

    def patch(self, body: bytes, facts: BodyFacts, upstream_model: str) -> list[bytes | memoryview]:
        """Return the pieces to send: the body with another model's name and without our own fields.

        Args: ``facts`` are what `peek` returned for this very body.
        """
        ...

    def turns(
        self, body: bytes, facts: BodyFacts, room_bytes: int | None
    ) -> Generator[None, None, tuple[Turn, ...]]:
        """Read the newest turns of the conversation in a request body, oldest first. Others go on
        wherever this yields.

        Args: ``facts`` are what `peek` returned for this very body. Once the turns are longer than
            ``room_bytes`` no older ones are read; of a text that is much longer alone only
            beginning and end are. None: only who spoke is asked for.
        Raises: nothing; a body without a readable conversation has no turns.
        """
        ...

    def is_newest_turn_signed(self, body: bytes, facts: BodyFacts) -> bool:
        """Return whether the newest assistant turn in a request body carries state that only its
        maker can read: a thinking block's signature, encrypted reasoning.

        Args: ``facts`` are what `peek` returned for this very body.
        Raises: nothing; a body without a readable conversation has no such turn.
        """
        ...

    def without_signed_state(
        self, body: bytes, facts: BodyFacts, refusal: bytes
    ) -> Generator[None, None, bytes | None]:
        """Return a request body without the state that only its maker can read, every other byte as
        it came; None where none can be left out. Others go on wherever this yields.

        The open tool loop keeps its state: the turn whose tool results are being sent.

        Args: ``facts`` are what `peek` returned for this very body. ``refusal`` is the error body,
            or its beginning, of the provider that cannot read the state. Where it names the first
            place that it cannot read, what stands before it stays.
        Raises: nothing.
        """
        ...

    def served_of_response(self, body: bytes) -> Served:
        """Read what a whole response says about itself.

        Raises: msgspec.DecodeError, UnicodeDecodeError, RecursionError; `usage.read_response`
            handles them.
        """
        ...

    def served_of_event(self, data: bytes) -> Served:
        """Read what the data of one event says. Raises: as `served_of_response`."""
        ...

    @property
    def error_signs(self) -> tuple[bytes, ...]:
        """Every whole body of status 200 that is an error contains one of these."""
        ...

    def is_error_response(self, body: bytes) -> bool:
        """Tell whether a whole body of status 200 is an error in the place of a response.

        Raises: nothing; what cannot be read is no error.
        """
        ...

    def usage_of(self, usage: object) -> Usage | None:
        """Read a decoded ``usage`` member; None where it is no object."""
        ...

    def error_body(self, problem: Problem) -> bytes:
        """Write the JSON body of an error response."""
        ...

    def error_event(self, problem: Problem) -> bytes:
        """Write the server-sent event, blank line included, that ends a stream that has failed."""
        ...
