"""Whether a binding steers a call. Pure."""

from __future__ import annotations

from sidecar.domain.call import Call, Operation
from sidecar.domain.decision import Binding, Candidate, Decision, Source
from sidecar.domain.ids import SessionKey


def session_key_of(call: Call, requested_model: str) -> SessionKey | None:
    """Name the session and lane this call belongs to, or None if it stands alone.

    ``requested_model`` is what the app asked for after alias: the lane.
    """
    if call.session_id is None or call.endpoint.operation not in (Operation.GENERATE, Operation.COUNT_TOKENS):
        return None
    return SessionKey(session_id=call.session_id, tenant=call.tenant, requested_model=requested_model)


def keep_binding(binding: Binding, usable: tuple[Candidate, ...]) -> Decision | None:
    """The decision that the pin makes, or None where the pinned model cannot serve the call.

    ``usable`` are the pinned model's candidates that speak the call's dialect: none where it is not configured here.
    """
    if not usable:
        return None
    return Decision(source=Source.PINNED, candidates=usable, route_name=binding.route_name)
