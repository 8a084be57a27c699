"""All patches, and which of them a call needs. Pure.

Only what is sure stands in the table: what it does not know goes on as it is, and a refusal moves
the call on. What an app reads in a response (``n``, ``logprobs``, ``response_format``, ``stop``,
tools) is never left out: a model that refuses it does not do for the call.
"""

from __future__ import annotations

from typing import Final

from sidecar.config.conventions import family_of
from sidecar.config.patches import Patch
from sidecar.config.patches_claude import CLAUDE
from sidecar.config.patches_openai import OPENAI
from sidecar.config.patches_servers import SERVERS
from sidecar.domain.call import DialectName
from sidecar.wire.changes import Change

PATCHES: Final[tuple[Patch, ...]] = (*OPENAI, *CLAUDE, *SERVERS)
PATCHED_FAMILIES: Final = frozenset(family for each in PATCHES for family in each.families)


def _by_family() -> dict[tuple[str, DialectName], list[Patch]]:
    found: dict[tuple[str, DialectName], list[Patch]] = {}
    for each in PATCHES:
        for family in each.families:
            found.setdefault((family, each.dialect), []).append(each)
    return found


_BY_FAMILY: Final = _by_family()


def changes_for(
    family: str, dialect: DialectName, model_id: str, asked: str = ""
) -> tuple[Change, ...]:
    """Return the changes that a call of a dialect needs for a model of a family; none for what the
    table does not know.

    Args: ``asked`` is the model that the app wrote it for, ``prefix/model``: what that one refuses
        as well, the app did not mean to be heard.
    """
    needed: list[Change] = []
    for each in _BY_FAMILY.get((family, dialect), ()):
        if each.models.ids.search(model_id) is not None:
            needed += each.changes
    if not needed or not asked:
        return tuple(needed)
    wanted = family_of(asked)
    taken = changes_for(wanted, dialect, asked[len(wanted) + 1 :])
    return tuple(each for each in needed if each not in taken)
