"""Whether a binding steers a call. Pure."""

from __future__ import annotations

import dataclasses
from typing import Final

from sidecar.domain.decision import Binding, Candidate, Decision, Source

HOME_AFTER_S: Final = 5.0
"""How long a session stays away at least; doubled by each return that failed."""
HOME_UNTIL_S: Final = 300.0
"""Providers keep a prompt's cache for about so long: after it the new home is the warmer."""
FAILED_RETURNS: Final = 3
UNKNOWN_MODEL_GRACE_S: Final = 600.0
"""How long a pin whose model is not configured here is left alone: longer than a rollout takes, in
which other pods know it."""


def keep_binding(
    binding: Binding, usable: tuple[Candidate, ...], followers: tuple[Candidate, ...] = ()
) -> Decision | None:
    """The decision that the pin makes, or None where the pinned model cannot serve the call.

    ``usable`` are the pinned model's candidates that speak the call's dialect: none where it is not
    configured here. ``followers`` are the candidates that come after it where it fails, in rank
    order.
    """
    if not usable:
        return None
    rest = tuple(candidate for candidate in followers if candidate.model_name != binding.model_name)
    return Decision(
        source=Source.PINNED,
        candidates=(*usable, *rest),
        route_name=binding.route_name,
        metric_route="none"
        if binding.route_name is None
        else binding.route_name
        if followers
        else "other",
        pinned_model=binding.model_name,
    )


def sent_home(decision: Decision, homes: tuple[Candidate, ...]) -> Decision:
    """A pinned decision that tries the session's home first."""
    rest = tuple(candidate for candidate in decision.candidates if candidate not in homes)
    return dataclasses.replace(decision, candidates=(*homes, *rest), returns_home=True)


def may_be_replaced(binding: Binding, now_unix_s: float) -> bool:
    """Whether a pin to a model that is not configured here has outlived any rollout.

    One from a far future was written by no clock that can be trusted.
    """
    return abs(now_unix_s - binding.bound_at_unix_s) > UNKNOWN_MODEL_GRACE_S


def moved(binding: Binding, model_name: str, now_unix_s: float, *, is_for_good: bool) -> Binding:
    """The pin of a session that another model than the pinned one has served.

    It remembers its home, unless the home is gone (``is_for_good``) or was left too long ago: then
    the session belongs where it is now.
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
    """The pin of a session that was tried at home and could not be served there; after three times
    it settles.
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
    """Whether a session that is away is tried at home first: after some seconds, and not for ever.

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
    # From a far future: no clock that can be trusted, and it must not keep the session from home
    # for ever.
    return (
        binding.away_since_unix_s is None
        or abs(now_unix_s - binding.away_since_unix_s) >= HOME_UNTIL_S
    )
