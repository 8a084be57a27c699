"""Whether and how a pin steers a call, and what becomes of a pin whose candidate failed. Pure.

A pin is at a model and at one provider entry of it, which is an account. Home is what a session
left when it failed: a model and its entry, too. While it is served elsewhere it is away.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from sidecar.domain.decision import Binding, Candidate, Decision, Source

HOME_AFTER_S: Final = 5.0
"""A session stays away for at least so long; doubled by each return that failed."""
HOME_UNTIL_S: Final = 300.0
"""Providers keep a prompt's cache for about so long; after it the new one is the warmer."""
_DOUBLED_AT_MOST: Final = 6
"""`HOME_AFTER_S` doubled so often is longer than `HOME_UNTIL_S`: the count comes from a value that
anybody may have written.
"""
UNKNOWN_MODEL_GRACE_S: Final = 600.0
"""A pin to a model that is not configured here is kept for so long: during a rollout other pods may
know the model."""


def keep_binding(
    binding: Binding,
    usable: tuple[Candidate, ...],
    followers: tuple[Candidate, ...] = (),
    metric_route: str = "none",
) -> Decision:
    """Return the decision that a pin makes for every session that has it.

    The pinned entry goes first, then the model's other entries, then other models. Where the pinned
    entry is not configured here, or does not speak the call's dialect, the others serve.

    Args: ``usable`` are the pinned model's candidates that speak the call's dialect, at least one;
        ``followers`` are those among which the pinned one was chosen, in the order in which they
        are tried: of a route, or of the requested model. Where they hold some entries of the pinned
        model, only these follow.
    """
    pinned = [each for each in usable if each.provider == binding.provider]
    siblings = [each for each in followers if each.model_name == binding.model_name] or usable
    return Decision(
        source=Source.PINNED,
        candidates=tuple(dict.fromkeys((*pinned, *siblings, *followers))),
        route_name=binding.route_name,
        metric_route=metric_route,
    )


def home_first(
    candidates: tuple[Candidate, ...], homes: tuple[Candidate, ...]
) -> tuple[Candidate, ...]:
    """Return the candidates with those of the session's home first."""
    return (*homes, *(candidate for candidate in candidates if candidate not in homes))


def is_pinned(binding: Binding, candidate: Candidate) -> bool:
    """Return whether a candidate is one that a pin names."""
    return candidate.model_name == binding.model_name and (
        binding.provider is None or candidate.provider == binding.provider
    )


def is_home(binding: Binding, candidate: Candidate) -> bool:
    """Return whether a candidate is one that a session has left and may return to."""
    return candidate.model_name == binding.home and (
        binding.home_provider is None or candidate.provider == binding.home_provider
    )


def may_be_replaced(binding: Binding, now_unix_s: float) -> bool:
    """Return whether a pin to a model that is not configured here has outlived any rollout.

    A pin from a far future was written by a clock that cannot be trusted, and counts as old.
    """
    return abs(now_unix_s - binding.bound_at_unix_s) > UNKNOWN_MODEL_GRACE_S


def moved(
    binding: Binding,
    left: str | None,
    served_by: Candidate,
    now_unix_s: float,
    *,
    is_for_good: bool,
) -> Binding:
    """Return the pin of a session that another candidate than the pinned one has served.

    The pin remembers its home, unless it was left for good, or too long ago: then the session
    belongs where it is now. A session that is away keeps its home, whatever else it leaves.

    Args: ``left`` is the pinned candidate's entry; ``is_for_good`` whether it is no place to come
        back to.
    """
    home, home_provider = binding.home, binding.home_provider
    since_s, failed_returns = binding.away_since_unix_s, binding.failed_returns
    if home is None or _is_settled(binding, now_unix_s):
        home, home_provider = (None, None) if is_for_good else (binding.model_name, left)
        since_s, failed_returns = now_unix_s, 0
    elif is_home(binding, served_by):
        home = None
    is_away = home is not None
    return dataclasses.replace(
        binding,
        model_name=served_by.model_name,
        provider=served_by.provider,
        generation=binding.generation + 1,
        bound_at_unix_s=now_unix_s,
        home=home,
        home_provider=home_provider if is_away else None,
        away_since_unix_s=since_s if is_away else None,
        failed_returns=failed_returns if is_away else 0,
    )


def return_failed(binding: Binding, now_unix_s: float, *, is_gone: bool) -> Binding:
    """Return the pin of a session that was tried at home and could not be served there.

    The next return is due later. Where the home is gone, the session stays where it is.
    """
    return dataclasses.replace(
        binding,
        generation=binding.generation + 1,
        bound_at_unix_s=now_unix_s,
        home=None if is_gone else binding.home,
        home_provider=None if is_gone else binding.home_provider,
        away_since_unix_s=None if is_gone else binding.away_since_unix_s,
        failed_returns=0 if is_gone else binding.failed_returns + 1,
    )


def tries_home(binding: Binding, now_unix_s: float) -> bool:
    """Return whether the next return of a session that is away is due.

    It is due some seconds after the last try, or after the session left: the binding was written
    then. A quick return finds the provider's prompt cache still warm; after minutes the new one is
    the warmer, and the session stays.
    """
    since_s = binding.away_since_unix_s
    if binding.home is None or since_s is None or _is_settled(binding, now_unix_s):
        return False
    wait_s = HOME_AFTER_S * 2.0 ** min(binding.failed_returns, _DOUBLED_AT_MOST)
    # abs: a time in the future comes from another clock, which must not keep the session from home.
    return abs(now_unix_s - max(binding.bound_at_unix_s, since_s)) >= wait_s


def _is_settled(binding: Binding, now_unix_s: float) -> bool:
    # abs: a time in a far future comes from a clock that cannot be trusted, and must not keep the
    # session from home for ever.
    return (
        binding.away_since_unix_s is None
        or abs(now_unix_s - binding.away_since_unix_s) >= HOME_UNTIL_S
    )
