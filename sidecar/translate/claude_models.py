"""What Claude models take, by their ids.

Source: https://platform.claude.com/docs/en/about-claude/models/overview, and the pages on thinking,
effort, structured outputs, mid-conversation system messages and migration beside it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from sidecar.translate.abilities import Abilities

_NAME: Final = re.compile(
    r"claude-(?:(opus|sonnet|haiku|fable|mythos)-(\d)(?:[-.](\d))?(?!\d)"
    r"|(\d)(?:[-.](\d))?(?!\d)(?:-(opus|sonnet|haiku))?)"
)
"""Both ways in which ids are made: ``claude-sonnet-4-5`` and, once, ``claude-3-7-sonnet``."""
_FIVE_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_DEFAULT_TOKENS: Final = 64_000
"""What Anthropic recommends for streams: a lower limit would cut long responses off."""
_ALWAYS_THINKING: Final = ("fable", "mythos")


class ClaudeModel(msgspec.Struct, frozen=True):
    """What a model's id says."""

    tier: str
    version: tuple[int, int]


UNKNOWN: Final = ClaudeModel("", (5, 0))
"""A model whose id says no more than Claude: what the newest ones refuse is not sent to it."""


def claude_of(model_id: str) -> ClaudeModel | None:
    """Read a model's id, with whatever stands before and behind it; None where it is no Claude."""
    name = model_id.lower()
    if "claude" not in name:
        return None
    found = _NAME.search(name)
    if found is None:
        return UNKNOWN
    major, minor = found[2] or found[4], found[3] or found[5] or "0"
    return ClaudeModel(found[1] or found[6] or "", (int(major), int(minor)))


def claude_abilities(model: ClaudeModel, family: str) -> Abilities:
    """Return what a model takes in the messages API.

    Args: ``family`` is its provider's: Anthropic alone has what is newest.
    """
    tier, version = model.tier, model.version
    is_anthropic = family == "anthropic"
    is_held = version >= (4, 5) or model == ClaudeModel("opus", (4, 1))
    takes_sampling = version <= (4, 6)
    most = _max_tokens(model)
    return Abilities(
        has_json_schema=is_held,
        has_json_object=False,
        has_strict_tools=is_held,
        refuses_bounds=True,
        has_forced_tools=not _refuses_forced_tools(model),
        has_other_documents=False,
        has_details=False,
        has_failed_results=True,
        has_output_descriptions=False,
        has_blank_stops=False,
        has_prefill=version <= (4, 5),
        max_temperature=1 if takes_sampling else None,
        has_top_p=takes_sampling,
        has_top_p_beside_temperature=False,
        has_top_k=takes_sampling,
        efforts=_efforts(model),
        off=_off(model),
        max_tokens=most,
        default_tokens=min(most, _DEFAULT_TOKENS),
        service_tiers=("auto", "default") if is_anthropic else (),
        has_users=True,
        has_cache_marks=True,
        has_cache_ttls=True,
        has_late_system=is_anthropic
        and version >= (4, 8)
        and (tier, version) != ("sonnet", (5, 0)),
    )


def _refuses_forced_tools(model: ClaudeModel) -> bool:
    """Newer models answer 400 where they must call a tool."""
    first = {"opus": (5, 5), "sonnet": (5, 5), "fable": (5, 1), "mythos": (5, 1)}.get(model.tier)
    return first is not None and model.version >= first


def _efforts(model: ClaudeModel) -> tuple[str, ...]:
    if model.version >= (4, 7):
        return _FIVE_EFFORTS if model.tier else ()
    if model.version == (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if model == ClaudeModel("opus", (4, 5)) else ()


def _off(model: ClaudeModel) -> str | None:
    """Return the ``thinking.type`` that turns thinking off, as `Abilities.off`."""
    if model.version < (5, 0):
        return ""
    if model.tier in ("", *_ALWAYS_THINKING) or (model.tier == "opus" and model.version >= (5, 5)):
        return None
    is_between = model.tier == "sonnet" and model.version >= (5, 5)
    return "between_tools" if is_between else "disabled"


def _max_tokens(model: ClaudeModel) -> int:
    version = model.version
    if version >= (4, 6):
        return 128_000
    if version >= (4, 5):
        return 64_000
    if version >= (4, 0):
        return 32_000 if model.tier == "opus" else 64_000
    if version >= (3, 7):
        return 64_000
    return 8_192 if version >= (3, 5) else 4_096
