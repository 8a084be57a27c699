"""What properties are made of: a decorator that counts examples, and strategies that damage bytes."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROFILE: Final = os.environ.get("SIDECAR_FUZZ_PROFILE", "bounded")
"""``bounded``: the same few examples each time; ``long``: new ones."""
settings.register_profile(
    "bounded", max_examples=40, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile(
    "long", settings.get_profile("bounded"), max_examples=500, derandomize=False, print_blob=True
)
EXAMPLES: Final[Counter[str]] = Counter()
"""How many examples each property was given in this process."""


def holds_for(
    *strategies: st.SearchStrategy[Any], share: float = 1.0
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """A property: a function that takes one value of each strategy, and asserts.

    Args: ``share`` of the usual number of examples, for what is slow.
    """

    def made(check: Callable[..., None]) -> Callable[[], None]:
        @functools.wraps(check)
        def counted(**values: Any) -> None:
            EXAMPLES[f"{check.__module__}.{check.__name__}"] += 1
            check(**values)

        profile = settings.get_profile(PROFILE)
        limited = settings(profile, max_examples=max(1, int(profile.max_examples * share)))
        return limited(given(*strategies)(counted))

    return made


def damaged(
    samples: Sequence[bytes], pieces: Sequence[bytes], at_most: int = 4
) -> st.SearchStrategy[bytes]:
    """One of the samples, with pieces put in, bytes left out, changed or repeated at some places."""
    edit = st.tuples(
        st.integers(0, 1 << 16),
        st.integers(0, 8),
        st.sampled_from([b"", *pieces]) | st.binary(max_size=4),
        st.booleans(),
    )
    return st.builds(
        functools.partial(functools.reduce, _edited),
        st.lists(edit, max_size=at_most),
        st.sampled_from(samples),
    )


def _edited(data: bytes, edit: tuple[int, int, bytes, bool]) -> bytes:
    place, length, piece, repeats = edit
    at = place % (len(data) + 1)
    rest = data[at:] if repeats else data[at + length :]
    return data[:at] + piece + (data[at : at + length] if repeats else b"") + rest


PLACES: Final = st.lists(st.integers(0, 1 << 16), max_size=6)
"""Where `cut` cuts."""
