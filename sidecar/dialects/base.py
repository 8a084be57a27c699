"""The one interface to an API, and the error that every API can tell in its own words."""

from __future__ import annotations

from typing import Protocol

import msgspec

from sidecar.domain.call import DialectName, Endpoint


class Problem(msgspec.Struct, frozen=True):
    """An error as the app will read it, before a dialect puts it into its own words."""

    status: int
    code: str
    """One of the sidecar's error codes; also sent as ``x-plano-error``."""
    message: str
    param: str | None = None
    """The request body's member that is wrong, where one is."""
    request_id: str = ""


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

    def error_body(self, problem: Problem) -> bytes:
        """Write the JSON body of an error response."""
        ...

    def error_event(self, problem: Problem) -> bytes:
        """Write the server-sent event, blank line included, that ends a stream that has failed."""
        ...
