"""What was special about a call, in letters: Envoy's where it has some, and the sidecar's own for
its pins and its router model. Pure.
"""

from __future__ import annotations

from typing import Final

from sidecar.domain.decision import Decision, Source
from sidecar.domain.events import CallEnded
from sidecar.domain.outcome import Outcome
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, PinOutcome, RouterOutcome

FLAGS: Final = {
    "AH": "affinity hit: the session's pin decided",
    "AM": "affinity miss: the session had no pin",
    "AB": "affinity bypassed: the pin was of no use to this call, and stays",
    "AE": "affinity error: Redis did not say, or was not asked",
    "RT": "the router model timed out",
    "RX": "the router model failed, could not be read, or named no route that exists",
    "RD": "the router model was not asked: its breaker is open, or too many questions were asked",
    "DC": "the app left before its response was complete",
    "SI": "the app stopped reading its response, and was let go",
    "DPE": "what the app sent cannot be served as HTTP, or as a request of its API",
    "NR": "no model or path of that name, or no candidate that speaks the API",
    "OM": "refused: too many calls or bytes in flight, or draining",
    "UF": "an attempt found no connection to the provider",
    "UC": "a provider closed its connection before a response was complete",
    "UT": "an attempt timed out",
    "UPE": "what a provider sent was not HTTP, or a page for a browser",
    "URX": "all candidates were tried, and none served",
    "SX": "the response broke off after its beginning, or held an error under a status of success",
}
"""Flag -> its meaning, in the order in which a line has them."""

_OF_PIN: Final = {
    PinOutcome.HIT: "AH",
    PinOutcome.NEAR_HIT: "AH",
    PinOutcome.MISS: "AM",
    PinOutcome.DIALECT: "AB",
    PinOutcome.INLINE_LIST: "AB",
    PinOutcome.UNKNOWN_MODEL: "AB",
    PinOutcome.ERROR: "AE",
    PinOutcome.TIMEOUT: "AE",
    PinOutcome.SKIPPED: "AE",
}
_OF_ROUTER: Final = {
    RouterOutcome.TIMEOUT: "RT",
    RouterOutcome.HTTP_ERROR: "RX",
    RouterOutcome.UNREADABLE: "RX",
    RouterOutcome.UNKNOWN_ROUTE: "RX",
    RouterOutcome.BREAKER_OPEN: "RD",
    RouterOutcome.BUSY: "RD",
}
_OF_ATTEMPT: Final = {
    AttemptOutcome.CONNECT_FAILED: "UF",
    AttemptOutcome.TIMEOUT: "UT",
    AttemptOutcome.MALFORMED: "UPE",
    AttemptOutcome.CUT: "UC",
}
_OF_ERROR: Final = {
    "model_not_found": "NR",
    "path_not_found": "NR",
    "dialect_not_served": "NR",
    "overloaded": "OM",
    "draining": "OM",
    "invalid_body": "DPE",
    "invalid_header": "DPE",
    "invalid_request": "DPE",
    "headers_too_large": "DPE",
    "body_too_large": "DPE",
    "unsupported_encoding": "DPE",
    "request_timeout": "DPE",
    "upgrade_not_served": "DPE",
    "method_not_allowed": "DPE",
    "invalid_routing_preferences": "DPE",
}


def flags_of(event: CallEnded) -> list[str]:
    """Return the flags of a call that has ended, each once, in the order of `FLAGS`."""
    outcome, found = event.outcome, set[str]()
    if event.decision is not None:
        found |= _flags_of_decision(event.decision)
    for attempt in outcome.attempts:
        flag = _OF_ATTEMPT.get(attempt.outcome)
        if flag is not None:
            found.add(flag)
    failed = [each for each in outcome.attempts if each.reason is not None]
    if outcome.result is CallOutcome.CANCELLED:
        found.add("DC")
    elif outcome.result is CallOutcome.DOWNSTREAM_IDLE:
        found.add("SI")
    elif len(failed) > 1 and len(failed) == len(outcome.attempts):
        found.add("URX")
    if outcome.result is CallOutcome.INCOMPLETE or _held_error(outcome):
        found.add("SX")
    if outcome.error_code in _OF_ERROR:
        found.add(_OF_ERROR[outcome.error_code])
    return [flag for flag in FLAGS if flag in found]


def flags_of_refused(code: str) -> list[str]:
    """Return the flags of a request that never became a call, by the code of its error."""
    return [_OF_ERROR[code]] if code in _OF_ERROR else []


def _flags_of_decision(decision: Decision) -> set[str]:
    found = set[str]()
    if decision.pin_outcome is not None:
        found.add(_OF_PIN.get(decision.pin_outcome, "AE"))
    elif decision.source is Source.PINNED:
        found.add("AH")
    if decision.routing is not None and decision.routing.outcome in _OF_ROUTER:
        found.add(_OF_ROUTER[decision.routing.outcome])
    return found


def _held_error(outcome: Outcome) -> bool:
    """Return whether the app got an error under a status of success."""
    if outcome.result is not CallOutcome.UPSTREAM_ERROR or not outcome.attempts:
        return False
    return outcome.attempts[-1].outcome is AttemptOutcome.ERROR_BODY
