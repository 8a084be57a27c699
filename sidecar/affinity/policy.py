"""Whether a binding steers a call. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.domain.call import Call, Operation
from sidecar.domain.decision import Binding, Candidate, Decision, Source
from sidecar.domain.ids import SessionKey

HOME_AFTER_S: Final = 5.0
HOME_UNTIL_S: Final = 300.0


def session_key_of(call: Call, requested_model: str) -> SessionKey | None:
    """Name the session and lane this call belongs to, or None if it stands alone.

    ``requested_model`` is what the app asked for after alias: the lane.
    """
    if call.session_id is None or call.endpoint.operation not in (Operation.GENERATE, Operation.COUNT_TOKENS):
        return None
    return SessionKey(session_id=call.session_id, tenant=call.tenant, requested_model=requested_model)


def keep_binding(
    binding: Binding, usable: tuple[Candidate, ...], followers: tuple[Candidate, ...] = ()
) -> Decision | None:
    """The decision that the pin makes, or None where the pinned model cannot serve the call.

    ``usable`` are the pinned model's candidates that speak the call's dialect: none where it is not configured here.
    ``followers`` are the candidates of its route, which come after it where it fails.
    """
    if not usable:
        return None
    rest = tuple(candidate for candidate in followers if candidate.model_name != binding.model_name)
    return Decision(
        source=Source.PINNED,
        candidates=(*usable, *rest),
        route_name=binding.route_name,
        metric_route="none" if binding.route_name is None else binding.route_name if followers else "other",
    )


def moved(binding: Binding, model_name: str, now_unix_s: float, *, is_for_good: bool) -> Binding:
    """The pin of a session that another model than the pinned one has served.

    It remembers its home, unless the home is gone: then ``is_for_good``, and the session belongs where it is.
    """
    home = None if is_for_good else binding.home or binding.model_name
    is_home = home == model_name
    return msgspec.structs.replace(
        binding,
        model_name=model_name,
        generation=binding.generation + 1,
        home=None if is_home else home,
        away_since_unix_s=None if is_home or home is None else binding.away_since_unix_s or now_unix_s,
    )


def tries_home(binding: Binding, now_unix_s: float) -> bool:
    """Whether a session that is away is tried at home first: after some seconds, and not for ever.

    A quick return finds the provider's prompt cache still warm; after minutes the new one is the warmer.
    """
    if binding.home is None or binding.away_since_unix_s is None:
        return False
    return HOME_AFTER_S <= now_unix_s - binding.away_since_unix_s < HOME_UNTIL_S
