"""Numbers the parts of a response."""

from __future__ import annotations

from sidecar.translate.bounds import PARTS_AT_MOST, Untranslatable


class PartCount:
    """Counts the parts in the order in which they begin."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = 0

    def next(self) -> int:
        """Return the number of the part that begins. Raises: Untranslatable for one too many."""
        if self.begun >= PARTS_AT_MOST:
            raise Untranslatable("the provider's response has too many parts")
        self.begun += 1
        return self.begun - 1
