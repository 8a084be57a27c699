"""How the file descriptors that a process may have are divided among its listeners. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

_UNLIMITED: Final = 1 << 20
"""Linux's own limit of a process where none is set (fs.nr_open)."""
BESIDE: Final = 64
"""For all that is no listener's connection and no call's: the loop, the log, listening sockets,
stores, files that are read, names that are looked up.
"""
_PAGES_AT_MOST: Final = 64
_PAGES_AT_LEAST: Final = 8
_PAGES_PART: Final = 16
_CALLS_AT_LEAST: Final = 8


class DescriptorShares(msgspec.Struct, frozen=True):
    """How many connections each listener may have, so that no other one goes without."""

    pages: int
    """Of the admin port; as many again of the operators' listener."""
    calls: int
    """Of callers: each may need a second descriptor, on which its call goes on."""


def descriptor_shares(limit: int) -> DescriptorShares:
    """Divide RLIMIT_NOFILE, of which -1 is no limit.

    What is left once the pages and `BESIDE` have theirs is the calls'. With a limit so small that
    nothing is left, each listener has a handful all the same.
    """
    files = limit if 0 <= limit < _UNLIMITED else _UNLIMITED
    pages = min(_PAGES_AT_MOST, max(_PAGES_AT_LEAST, files // _PAGES_PART))
    return DescriptorShares(pages, max(_CALLS_AT_LEAST, (files - BESIDE - 2 * pages) // 2))
