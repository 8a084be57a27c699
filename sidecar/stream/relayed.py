"""What the way back of an answer came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.outcome import Served
from sidecar.domain.vocabulary import CallOutcome


@final
@dataclass(init=False, unsafe_hash=True)
class Relayed:
    """How the way back ended."""

    result: Final[CallOutcome]
    bytes_out: Final[int]
    first_byte_s: Final[float]
    """Monotonic clock: when the first byte went to the app."""
    waited_s: Final[float]
    """How long the relay waited for the provider after the head."""
    error_code: Final[str | None]
    first_piece_s: Final[float | None]
    """Monotonic clock: when the first bytes of the body were here; some servers send a head long
    before.
    """
    served: Final[Served | None]
    """What the answer said about itself; None for errors and for what is not understood here."""

    def __init__(
        self,
        result: CallOutcome,
        bytes_out: int,
        first_byte_s: float,
        waited_s: float = 0.0,
        error_code: str | None = None,
        first_piece_s: float | None = None,
        served: Served | None = None,
    ) -> None:
        self.result = result
        self.bytes_out = bytes_out
        self.first_byte_s = first_byte_s
        self.waited_s = waited_s
        self.error_code = error_code
        self.first_piece_s = first_piece_s
        self.served = served
