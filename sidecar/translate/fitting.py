"""How far a conversation's wishes fit a target: what is written of them, and which are lacking.

One place decides both, so that what is named as lost is what was left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import Conversation, OutputFormat, SamplingOptions, Thinking
from sidecar.translate.losses import Feature

_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""All words, the least first."""
_BUDGETS: Final = ((4_096, "low"), (16_384, "medium"))
"""Tokens to think with, below which a word stands for them; beyond it is ``high``. Claude Code's
own words for its budgets lie so.
"""
_USUAL_TIERS: Final = (None, "auto", "default")
_USUAL_VERBOSITY: Final = (None, "medium")


class Fitted(msgspec.Struct, frozen=True):
    """What is written of a conversation's wishes."""

    sampling: SamplingOptions
    max_tokens: int | None
    output: OutputFormat | None
    effort: str | None
    """In the target's words."""
    off: str | None
    """The target's word that turns reasoning off, where that has to be said."""
    service_tier: str | None
    calls_one_at_a_time: bool
    cannot_force: bool
    """Whether a tool must be called, which the target cannot be told."""
    lacking: frozenset[Feature]


def fit(conversation: Conversation, abilities: Abilities) -> Fitted:
    """Return what a target gets of a conversation's wishes, and what it does not."""
    output = conversation.output
    tier = conversation.service_tier
    can_output = _can_output(conversation, abilities)
    effort, off = _effort(conversation, abilities)
    return Fitted(
        _sampling(conversation.sampling, abilities),
        _max_tokens(conversation.max_tokens, abilities),
        output if can_output else None,
        effort,
        off,
        tier if tier in abilities.service_tiers else None,
        conversation.may_call_in_parallel is False and abilities.has_single_calls,
        Feature.FORCED_TOOLS in conversation.features and not abilities.has_forced_tools,
        frozenset(_lacking(conversation, abilities)),
    )


def _can_output(conversation: Conversation, abilities: Abilities) -> bool:
    output = conversation.output
    if output is None or output.schema is None:
        return output is None or abilities.has_json_object
    features = conversation.features
    is_bounded = abilities.refuses_bounds and Feature.OUTPUT_BOUNDS in features
    is_open = abilities.refuses_open and Feature.OUTPUT_OPEN in features
    return abilities.has_json_schema and not (is_bounded or is_open)


def can_be_strict(conversation: Conversation, abilities: Abilities) -> bool:
    """Return whether tools can be called by their schemas."""
    features = conversation.features
    is_bounded = abilities.refuses_bounds and Feature.STRICT_BOUNDS in features
    is_open = abilities.refuses_open and Feature.STRICT_OPEN in features
    return abilities.has_strict_tools and not (is_bounded or is_open)


def _sampling(wanted: SamplingOptions, abilities: Abilities) -> SamplingOptions:
    """Return the parameters that a target takes; 1 is what it does anyway."""
    most = abilities.max_temperature
    temperature = wanted.temperature
    if temperature is not None:
        temperature = None if most is None else min(temperature, most)
    is_alone = abilities.has_top_p_beside_temperature or temperature is None
    stop = [each for each in wanted.stop if abilities.has_blank_stops or not each.isspace()]
    return SamplingOptions(
        temperature,
        wanted.top_p if abilities.has_top_p and is_alone else None,
        wanted.top_k if abilities.has_top_k else None,
        tuple(stop[: abilities.stops_at_most]) if abilities.has_stop else (),
    )


def _max_tokens(wanted: int | None, abilities: Abilities) -> int | None:
    if wanted is None:
        return abilities.default_tokens or None
    most = wanted if abilities.max_tokens is None else min(wanted, abilities.max_tokens)
    return max(most, abilities.min_tokens)


def _effort(conversation: Conversation, abilities: Abilities) -> tuple[str | None, str | None]:
    """Return the target's word for how much to reason, and the one that turns it off."""
    thinking = conversation.thinking
    if abilities.calls_without_effort and conversation.tools:
        return None, abilities.off
    if thinking is None:
        return None, None
    if thinking.is_off and abilities.off is not None:
        return None, abilities.off or None
    wanted = _wanted_effort(thinking)
    return (None if wanted is None else _nearest(wanted, abilities.efforts)), None


def _wanted_effort(thinking: Thinking) -> str | None:
    """Return the caller's word; a budget stands for one."""
    if thinking.is_off:
        return "none"
    if thinking.effort is not None or thinking.budget_tokens is None:
        return thinking.effort
    budget = thinking.budget_tokens
    return next((word for below, word in _BUDGETS if budget < below), "high")


def _nearest(wanted: str, words: tuple[str, ...]) -> str | None:
    """Return the word that is nearest to the one that is wanted, of two the lesser."""
    if wanted in words or not words:
        return wanted if words else None
    known = [word for word in words if word != "none"]
    if wanted not in _EFFORTS:
        return None
    place = _EFFORTS.index(wanted)
    return min(known, key=lambda word: abs(_EFFORTS.index(word) - place))


def _lacking(conversation: Conversation, abilities: Abilities) -> Iterator[Feature]:
    """Yield what a target does not get."""
    lacks = {
        Feature.TOOLS: not abilities.has_tools,
        Feature.FORCED_TOOLS: not abilities.has_forced_tools,
        Feature.STRICT_TOOLS: not abilities.has_strict_tools,
        Feature.STRICT_BOUNDS: abilities.refuses_bounds,
        Feature.STRICT_OPEN: abilities.refuses_open,
        Feature.IMAGES: not abilities.has_images,
        Feature.DOCUMENTS: not abilities.has_documents,
        Feature.OTHER_DOCUMENTS: not abilities.has_other_documents,
        Feature.DOCUMENT_URLS: not abilities.has_document_urls,
        Feature.PREFILL: not abilities.has_prefill,
        Feature.CACHE: not abilities.has_cache_marks,
        Feature.CACHE_TTL: not abilities.has_cache_ttls,
        Feature.DETAIL: not abilities.has_details,
        Feature.IS_ERROR: not abilities.has_failed_results,
        Feature.LATE_SYSTEM: not abilities.has_late_system,
    }
    for feature in conversation.features:
        if lacks.get(feature):
            yield feature
    if not _can_output(conversation, abilities):
        yield Feature.OUTPUT
    described = conversation.output is not None and conversation.output.description
    if described and not abilities.has_output_descriptions:
        yield Feature.OUTPUT_DESCRIPTION
    if conversation.may_call_in_parallel is False and not abilities.has_single_calls:
        yield Feature.PARALLEL
    yield from _lacking_numbers(conversation, abilities)
    yield from _lacking_words(conversation, abilities)


def _lacking_numbers(conversation: Conversation, abilities: Abilities) -> Iterator[Feature]:
    wanted = conversation.sampling
    written = _sampling(wanted, abilities)
    if written.stop != wanted.stop:
        yield Feature.STOP
    if written.temperature != wanted.temperature != 1:
        yield Feature.TEMPERATURE
    if written.top_p != wanted.top_p != 1:
        yield Feature.TOP_P
    if written.top_k != wanted.top_k:
        yield Feature.TOP_K
    most = conversation.max_tokens
    if most is not None and most != _max_tokens(most, abilities):
        yield Feature.MAX_TOKENS


def _lacking_words(conversation: Conversation, abilities: Abilities) -> Iterator[Feature]:
    thinking = conversation.thinking
    effort, off = _effort(conversation, abilities)
    is_off = thinking is not None and thinking.is_off
    if abilities.calls_without_effort and conversation.tools:
        if not is_off:
            yield Feature.REASONING
    elif thinking is not None and off is None:
        wanted = _wanted_effort(thinking)
        if wanted != effort and not (is_off and abilities.off == ""):
            yield Feature.EFFORT
    tier = conversation.service_tier
    if tier not in _USUAL_TIERS and tier not in abilities.service_tiers:
        yield Feature.SERVICE_TIER
    if conversation.user and not abilities.has_users:
        yield Feature.USER
    if conversation.cache_key and not abilities.has_openai_members:
        yield Feature.CACHE_KEY
    if conversation.verbosity not in _USUAL_VERBOSITY and not abilities.has_verbosity:
        yield Feature.VERBOSITY
