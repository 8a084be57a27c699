"""The log's lines about what fails: one at its beginning, one a minute, one at its end.

What fails is a provider entry or the router model. One failure among calls that go well is no line:
an entry fails once several calls in a row did, or nothing has been served for a while. It serves
again once a call was served and a quiet time has passed, which is longer for one that comes and
goes. A call that is served where nothing has failed is not even heard of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec

from sidecar.domain.events import (
    CandidateFailed,
    CandidateServed,
    Listeners,
    RouterAsked,
)
from sidecar.domain.log_fields import event_fields
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.runtime.bounded import BoundedMap
from sidecar.telemetry.looks import CallLater, Looks

_log: Final = logging.getLogger("sidecar.edges")

IN_A_ROW: Final = 3
"""Failures without a call served between them."""
DOUBT_S: Final = 10.0
"""A failure after which nothing was served for so long is an edge too."""
SUMMARY_S: Final = 60.0
QUIET_S: Final = 5.0
"""What has not failed for so long serves again, if it has served since."""
QUIET_AT_MOST_S: Final = 60.0
REMEMBERED_S: Final = 300.0
"""What fails again within so long needs twice the quiet time to be told of as serving."""
_KEPT_AT_MOST: Final = 256
"""Entries are the config's, which may change."""

_ROUTER: Final = ""
"""The key of the router model; no entry has an empty name."""
_ROUTER_FAILS: Final = frozenset(
    (
        RouterOutcome.TIMEOUT,
        RouterOutcome.HTTP_ERROR,
        RouterOutcome.BREAKER_OPEN,
        RouterOutcome.UNREADABLE,
    )
)
_UNREADABLE: Final = "its replies cannot be read"


class Spell(msgspec.Struct):
    """The time in which something fails, on the monotonic clock."""

    what: dict[str, object]
    """Fields of the last failure that say what fails, and why."""
    began_s: float
    quiet_s: float
    needs_person: bool = False
    failed: int = 0
    in_a_row: int = 0
    failed_s: float = 0.0
    served_s: float | None = None
    """When a call was first served after the last failure."""
    served_by: str | None = None
    """The entry that newest served a call which failed here."""
    served_elsewhere: int = 0
    """Failed calls that another entry served, since the last line."""
    line_s: float | None = None
    """When the last line about it was written; None before the first."""
    failed_in_lines: int = 0
    """Failures that lines have told of."""
    untold_s: float = 0.0
    """When the first failure came that no line has told of."""


class EdgeLog:
    """Hears of failures and of their ends, and writes the lines.

    Args: ``call_later`` is the event loop's.
    """

    def __init__(
        self, monotonic_s: Callable[[], float], call_later: CallLater | None = None
    ) -> None:
        self._monotonic_s = monotonic_s
        self._looks = Looks(self._look, call_later)
        self._spells: BoundedMap[str, Spell] = BoundedMap(_KEPT_AT_MOST)
        self._ended: BoundedMap[str, tuple[float, float]] = BoundedMap(_KEPT_AT_MOST)
        """When a spell ended, and its quiet time."""
        self._is_breaker_told = False

    def listeners(self) -> Listeners:
        """See `Observer.listeners`."""
        return {
            CandidateFailed: self._candidate_failed,
            CandidateServed: self._candidate_served,
            RouterAsked: self._router_asked,
        }

    def _candidate_failed(self, event: CandidateFailed) -> None:
        report = event.report
        what: dict[str, object] = {
            "account": event.candidate.provider,
            "model": event.candidate.metric_model,
            "reason": event.reason.value,
            "request_id": event.call.request_id,
            **msgspec.structs.asdict(report),
        }
        self._failed(event.candidate.provider, what, needs_person=report.to_do is not None)

    def _candidate_served(self, event: CandidateServed) -> None:
        provider = event.candidate.provider
        for key in event.instead_of:
            if key in self._spells:
                self._spells[key].served_by = provider
                self._spells[key].served_elsewhere += 1
        if provider in self._spells:
            self._served(provider, event.sent_s)

    def _router_asked(self, event: RouterAsked) -> None:
        if event.outcome not in _ROUTER_FAILS:
            if _ROUTER in self._spells and event.outcome is not RouterOutcome.BUSY:
                self._served(_ROUTER, self._monotonic_s())
            return
        if event.outcome is RouterOutcome.BREAKER_OPEN and not self._is_breaker_told:
            self._is_breaker_told = True
            _log.warning(
                "the router model's breaker opened: calls go to the requested or default model",
                extra=event_fields("router_breaker_opened"),
            )
        spell = self._spells.get(_ROUTER)
        before = "no answer in time" if spell is None else str(spell.what["cause"])
        is_unreadable = event.outcome is RouterOutcome.UNREADABLE
        cause = event.cause or (_UNREADABLE if is_unreadable else before)
        self._failed(_ROUTER, {"cause": cause}, needs_person=False)

    def _tell_breaker_closed(self) -> None:
        """It may have opened and closed many times while the router model failed."""
        if self._is_breaker_told:
            self._is_breaker_told = False
            extra = event_fields("router_breaker_closed")
            _log.info("the router model's breaker closed", extra=extra)

    def _failed(self, key: str, what: dict[str, object], *, needs_person: bool) -> None:
        now_s = self._monotonic_s()
        spell = self._spells.get(key)
        if spell is None:
            spell = Spell(what, now_s, self._quiet_s(key, now_s))
            self._spells.add(key, spell)
        spell.what = what
        spell.needs_person = needs_person
        if spell.failed == spell.failed_in_lines:
            spell.untold_s = now_s
        spell.failed += 1
        spell.in_a_row += 1
        spell.failed_s = now_s
        self._looks.begin()

    def _served(self, key: str, sent_s: float) -> None:
        spell = self._spells[key]
        if sent_s >= spell.failed_s:
            if spell.served_s is None or spell.served_s < spell.failed_s:
                spell.served_s = self._monotonic_s()
            spell.in_a_row = 0

    def _quiet_s(self, key: str, now_s: float) -> float:
        ended_s, quiet_s = self._ended.get(key, (-REMEMBERED_S, 0.0))
        if now_s - ended_s >= REMEMBERED_S:
            return QUIET_S
        return min(2 * quiet_s, QUIET_AT_MOST_S)

    def _look(self) -> bool:
        """Write the lines that are due. Return whether anything still fails."""
        now_s = self._monotonic_s()
        for key, spell in list(self._spells.items()):
            if self._is_over(key, spell, now_s):
                del self._spells[key]
                if key == _ROUTER:
                    self._tell_breaker_closed()
        return bool(self._spells)

    def _is_over(self, key: str, spell: Spell, now_s: float) -> bool:
        """Write the line of a spell that is due. Return whether the spell has ended."""
        has_served = spell.served_s is not None and spell.served_s >= spell.failed_s
        if spell.line_s is None:
            if spell.needs_person or spell.in_a_row >= IN_A_ROW:
                self._tell(key, spell, now_s)
            elif has_served:
                return now_s - spell.failed_s >= spell.quiet_s
            elif now_s - spell.failed_s >= DOUBT_S:
                self._tell(key, spell, now_s)
        elif has_served and now_s - spell.failed_s >= spell.quiet_s:
            self._ended.add(key, (now_s, spell.quiet_s))
            _tell_end(key, spell)
            return True
        elif now_s - spell.line_s >= SUMMARY_S and spell.failed > spell.failed_in_lines:
            self._tell(key, spell, now_s)
        return False

    def _tell(self, key: str, spell: Spell, now_s: float) -> None:
        calls = spell.failed - spell.failed_in_lines
        fields = spell.what | {
            "calls": calls,
            "seconds": round(spell.failed_s - spell.untold_s, 1),
            "served": spell.served_elsewhere,
            "served_by": spell.served_by,
        }
        words = _how_often(calls, spell.failed_s - spell.untold_s)
        log = _log.error if spell.needs_person else _log.warning
        is_first = spell.line_s is None
        if key == _ROUTER:
            del fields["served"], fields["served_by"]
            name = "router_fails" if is_first else "router_still_fails"
            text = "the router model %s: %s, %s; calls are served without it"
            log(text, _verb(spell), fields["cause"], words, extra=event_fields(name, **fields))
        else:
            name = "provider_fails" if is_first else "provider_still_fails"
            text = f"%s at %s {_verb(spell)}: %s, %s, %s"
            values = (*_who(fields), _cause(fields), words, _served_by(spell, calls))
            log(text, *values, extra=event_fields(name, **fields))
        spell.line_s, spell.failed_in_lines, spell.served_elsewhere = now_s, spell.failed, 0


def _tell_end(key: str, spell: Spell) -> None:
    assert spell.served_s is not None
    lasted_s = spell.served_s - spell.began_s
    counts = {"calls": spell.failed, "seconds": round(lasted_s, 1)}
    words = in_words(lasted_s), _counted(spell.failed)
    if key == _ROUTER:
        extra = event_fields("router_serves_again", **counts)
        _log.info("the router model answers again after %s, %s failed", *words, extra=extra)
        return
    what = {name: spell.what[name] for name in ("account", "model", "place")}
    extra = event_fields("provider_serves_again", **what, **counts)
    _log.info("%s at %s serves again after %s, %s failed", *_who(what), *words, extra=extra)


def _who(fields: dict[str, Any]) -> tuple[object, object]:
    return fields["account"], fields["place"]


def _verb(spell: Spell) -> str:
    if spell.line_s is None:
        return "fails"
    has_served = spell.served_s is not None and spell.served_s > spell.line_s
    return "comes and goes" if has_served else "still fails"


def _cause(fields: dict[str, Any]) -> str:
    """Return the cause, and for what a person has to mend: status, code and what to do."""
    if fields["to_do"] is None:
        return str(fields["cause"])
    code = "" if fields["code"] is None else f" {fields['code']}"
    return f"{fields['cause']} ({fields['status']}{code}): {fields['to_do']}"


def _served_by(spell: Spell, calls: int) -> str:
    if not spell.served_elsewhere:
        return "not served elsewhere"
    part = "" if spell.served_elsewhere >= calls else f"{spell.served_elsewhere} of them "
    return f"{part}served by {spell.served_by}"


def _how_often(calls: int, seconds: float) -> str:
    if calls == 1:
        return "1 call"
    return f"{calls} calls in {in_words(seconds) if seconds >= 1 else 'under 1 s'}"


def _counted(calls: int) -> str:
    return "1 call" if calls == 1 else f"{calls} calls"


def in_words(seconds: float) -> str:
    """Return a duration as a person says it: seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
