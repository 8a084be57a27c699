"""How long the app says, in its request's headers, that it will wait for a response."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_NUMBER: Final = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{0,12})?")
PLANO_TIMEOUT: Final = "x-plano-timeout-ms"
_SECONDS_PER_UNIT: Final = {
    PLANO_TIMEOUT: 0.001,
    "x-stainless-timeout": 1.0,
    "x-stainless-read-timeout": 1.0,
}
_BLANKS: Final = b" \t"


def timeouts_of(
    given: Sequence[tuple[str, bytes]],
) -> tuple[float | None, float | None]:
    """Return how long the app says it will wait, in seconds: the least that its headers say, and
    the least that `PLANO_TIMEOUT` says; None where they say nothing. Nonsense and zero are ignored.

    Args: lower-case names and values of the headers.
    """
    least: float | None = None
    least_of_plano: float | None = None
    for name, value in given:
        text = value.strip(_BLANKS)
        if _NUMBER.fullmatch(text) is None:
            continue
        seconds = float(text) * _SECONDS_PER_UNIT[name]
        if seconds <= 0:
            continue
        if least is None or seconds < least:
            least = seconds
        if name == PLANO_TIMEOUT and (least_of_plano is None or seconds < least_of_plano):
            least_of_plano = seconds
    return least, least_of_plano
