"""What operators are told of a failed attempt. This module is not compiled: mypyc would drop what
makes the class frozen.
"""

from __future__ import annotations

import msgspec


class FailureReport(msgspec.Struct, frozen=True):
    """What an operator is told of a failed attempt. Nothing in it is an app's or a credential."""

    place: str
    """``host:port`` of the provider."""
    cause: str
    """Why, as a phrase that an operator can act on."""
    status: int | None = None
    """The provider's; None where no reply came."""
    code: str | None = None
    """The provider's own code for its error."""
    provider_request_id: str | None = None
    """The provider's own name for the request."""
    to_do: str | None = None
    """What a person has to do; None for what passes by itself."""
