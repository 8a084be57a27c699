"""By which sidecars a request has come. One that finds its own token there is a provider of its
own, directly or around a ring of sidecars.

Source: RFC 9110, 7.6.3 (Via).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

from sidecar.domain.errors import LoopDetected

MEMBERS_AT_MOST: Final = 16
"""More sidecars than that in a row are no arrangement that anybody wants."""
_MEMBER: Final = re.compile(rb"(?:^|,)[ \t]*(1\.1 plano-sidecar-[0-9a-f]{32})(?=[ \t]*(?:,|$))")


def mint_member() -> bytes:
    """Return what a sidecar adds to Via: a pseudonym that no other process has."""
    return b"1.1 plano-sidecar-" + os.urandom(16).hex().encode()


def via_line(members: Sequence[bytes]) -> bytes:
    """Return the header line of some members."""
    return b"Via: " + b", ".join(members) + b"\r\n"


def members_of(values: Sequence[bytes]) -> list[bytes]:
    """Return the members of the Via headers' values that sidecars have added; no others, since they
    tell of the app's network.
    """
    return [member for value in values for member in _MEMBER.findall(value)]


def check_loop(members: Sequence[bytes], own: bytes) -> None:
    """Raises: LoopDetected where ``own`` is one of the members, or they are too many."""
    if own in members or len(members) > MEMBERS_AT_MOST:
        error = LoopDetected(
            "the request has come through this sidecar before: a base_url of its config, or of "
            "another sidecar's, is its own address"
        )
        error.attempts = 0
        raise error
