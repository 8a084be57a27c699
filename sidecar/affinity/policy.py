"""Whether and how a pin steers a call, and what becomes of a pin whose model failed. Pure.

Home is the model that a session left when it failed; while it is served elsewhere it is away.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from sidecar.domain.decision import Binding, Candidate, Decision, Source

HOME_AFTER_S: Final = 5.0
"""A session stays away for at least so long; doubled by each return that failed."""
HOME_UNTIL_S: Final = 300.0
"""Providers keep a prompt's cache for about so long; after it the new model's is the warmer."""
FAILED_RETURNS: Final = 3
"""After so many failed returns a session stays where it is."""
UNKNOWN_MODEL_GRACE_S: Final = 600.0
"""A pin to a model that is not configured here is kept for so long: during a rollout other pods may
know the model."""


def keep_binding(
    binding: Binding, usable: tuple[Candidate, ...], followers: tuple[Candidate, ...] = ()
) -> Decision:
    """Return the decision that a pin makes for every session that has it.

    Args: ``usable`` are the pinned model's candidates that speak the call's dialect, at least one;
        ``followers`` are tried where they fail, in rank order: the rest of the pin's route.
    """
    rest = tuple(candidate for candidate in followers if candidate.model_name != binding.model_name)
    route_name = binding.route_name
    return Decision(
        source=Source.PINNED,
        candidates=(*usable, *rest),
        route_name=route_name,
        metric_route="none" if route_name is None else route_name if followers else "other",
    )


def home_first(
    candidates: tuple[Candidate, ...], homes: tuple[Candidate, ...]
) -> tuple[Candidate, ...]:
    """Return the candidates with those of the session's home first."""
    return (*homes, *(candidate for candidate in candidates if candidate not in homes))


def may_be_replaced(binding: Binding, now_unix_s: float) -> bool:
    """Return whether a pin to a model that is not configured here has outlived any rollout.

    A pin from a far future was written by a clock that cannot be trusted, and counts as old.
    """
    return abs(now_unix_s - binding.bound_at_unix_s) > UNKNOWN_MODEL_GRACE_S


def moved(binding: Binding, model_name: str, now_unix_s: float, *, is_for_good: bool) -> Binding:
    """Return the pin of a session that another model than the pinned one has served.

    The pin remembers its home, unless the home is gone (``is_for_good``) or was left too long ago:
    then the session belongs where it is now.
    """
    is_away = binding.home is not None and not _is_settled(binding, now_unix_s)
    home = None if is_for_good else binding.home if is_away else binding.model_name
    is_home = home is None or home == model_name
    return dataclasses.replace(
        binding,
        model_name=model_name,
        generation=binding.generation + 1,
        home=None if is_home else home,
        away_since_unix_s=None if is_home else binding.away_since_unix_s if is_away else now_unix_s,
        failed_returns=binding.failed_returns if is_away and not is_home else 0,
    )


def not_home(binding: Binding, *, is_gone: bool) -> Binding:
    """Return the pin of a session that was tried at home and could not be served there.

    After three times, or at once where the home is gone, the session stays where it is for good.
    """
    failed_returns = binding.failed_returns + 1
    is_settled = is_gone or failed_returns >= FAILED_RETURNS
    return dataclasses.replace(
        binding,
        generation=binding.generation + 1,
        home=None if is_settled else binding.home,
        away_since_unix_s=None if is_settled else binding.away_since_unix_s,
        failed_returns=0 if is_settled else failed_returns,
    )


def tries_home(binding: Binding, now_unix_s: float) -> bool:
    """Return whether a session that is away is tried at home first: after some seconds, and not for
    ever.

    A quick return finds the provider's prompt cache still warm; after minutes the new one is the
    warmer.
    """
    if (
        binding.home is None
        or binding.away_since_unix_s is None
        or _is_settled(binding, now_unix_s)
    ):
        return False
    return now_unix_s - binding.away_since_unix_s >= HOME_AFTER_S * 2.0 ** min(
        binding.failed_returns, FAILED_RETURNS
    )


def _is_settled(binding: Binding, now_unix_s: float) -> bool:
    # abs: a time in a far future comes from a clock that cannot be trusted, and must not keep the
    # session from home for ever.
    return (
        binding.away_since_unix_s is None
        or abs(now_unix_s - binding.away_since_unix_s) >= HOME_UNTIL_S
    )
