"""What the way back of an answer came to."""

from __future__ import annotations

import msgspec

from sidecar.domain.outcome import CallOutcome, Served


class Relayed(msgspec.Struct, frozen=True, gc=False):
    """How the way back ended."""

    result: CallOutcome
    bytes_out: int
    first_byte_s: float
    """Monotonic clock: when the first byte went to the app."""
    waited_s: float = 0.0
    """How long the relay waited for the provider after the head."""
    error_code: str | None = None
    first_piece_s: float | None = None
    """Monotonic clock: when the first bytes of the body were here; some servers send a head long before."""
    served: Served | None = None
    """What the answer said about itself; None for errors and for what is not understood here."""
