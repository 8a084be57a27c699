"""Failures on demand: what a scripted provider does instead of replying properly, and how a test or
a request asks for it.
"""

from __future__ import annotations

import asyncio
import enum
import re
from collections import deque
from typing import Final

import msgspec


class Act(enum.StrEnum):
    """What happens to the reply. "Inside" means half-way through an event of a stream, or through
    the body of a reply that is no stream (a "whole" one).
    """

    PROPER = "proper"
    """The reply as it should be (or the error, if a status is set)."""
    SLOW = "slow"
    """As it should be, ``delay_s`` late."""
    HANG = "hang"
    """The request is read, and nothing ever comes."""
    HANG_STREAM = "hang-stream"
    """Nothing more comes after ``after_events`` events, or after half of a whole body."""
    CUT = "cut"
    """The connection is closed before a head."""
    CUT_HEAD = "cut-head"
    """The connection is closed inside the head."""
    CUT_STREAM = "cut-stream"
    """The connection is closed after ``after_events`` events, at an event boundary; a whole reply
    after its head.
    """
    CUT_INSIDE = "cut-inside"
    """The connection is closed inside the event that follows ``after_events`` events, or inside a
    whole body.
    """
    RESET = "reset"
    """TCP RST before a head."""
    RESET_STREAM = "reset-stream"
    """TCP RST after ``after_events`` events, or inside a whole body."""
    GARBAGE = "garbage"
    """Bytes that are not HTTP."""
    HUGE_HEAD = "huge-head"
    """A header field of 1 MiB."""
    HUGE_LINE = "huge-line"
    """The first event (or the whole body) is valid JSON with 4 MiB of blanks on one line."""
    BAD_CHUNK = "bad-chunk"
    """After ``after_events`` events, a chunk size that is no number."""
    NO_END = "no-end"
    """The last event is left out ([DONE], message_stop, response.completed); HTTP ends properly."""
    END_EARLY = "end-early"
    """HTTP ends properly after ``after_events`` events; a whole reply has an empty body."""
    ERROR_EVENT = "error-event"
    """After ``after_events`` events an error event of the dialect, then HTTP ends properly."""
    DRIBBLE = "dribble"
    """Every byte of the body is a chunk of its own."""
    GZIP = "gzip"
    """The reply is compressed, whatever was asked for; each event is flushed."""
    EOF = "eof"
    """Neither length nor chunks: the end of the connection ends the body."""
    CLOSE = "close"
    """As it should be, with ``connection: close``."""
    EARLY_HINTS = "early-hints"
    """A 103 before the reply."""
    HTML = "html"
    """200 and a web page, as a captive portal or a broken gateway has it."""


class Fault(msgspec.Struct, frozen=True):
    """What is to go wrong with one request. The default: nothing."""

    act: Act = Act.PROPER
    status: int = 0
    """An HTTP status from 400 on makes the reply an error; 0 leaves it. Others need a ``body``."""
    code: str | None = None
    """Which of the errors of that status: context_length_exceeded, insufficient_quota,
    credit_balance, ...
    """
    message: str | None = None
    retry_after: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Added to the reply."""
    body: bytes | None = None
    """Replaces the body of the reply or error; turns a stream into a whole reply."""
    after_events: int = 1
    delay_s: float = 0.0
    hold: asyncio.Event | None = None
    """The reply waits for it: before the head if ``hold_after_events`` is 0, else after that many
    events of a stream (and before it breaks there, if it is to). A whole reply waits before its
    head only."""
    hold_after_events: int = 0

    @property
    def is_proper(self) -> bool:
        """Whether the request is replied to as a real provider would."""
        return self.act is Act.PROPER and not self.status and self.body is None


NO_FAULT: Final = Fault()

_DIRECTIVE: Final = re.compile(r"\[\[([a-z-]+):([^\]]*)\]\]")
_STATUS_OF_CODE: Final = {
    "context_length_exceeded": 400,
    "content_policy_violation": 400,
    "credit_balance": 400,
    "insufficient_quota": 429,
    "model_not_found": 404,
}


def parse_fault(spec: str) -> Fault:
    """Read a wish: a status, an error code or an act, then ``key=value`` pairs.

    Examples: ``429 retry-after=7``, ``insufficient_quota``, ``cut-stream after=2``, ``slow
    delay=0.5``.
    Raises: ValueError for a word that means nothing.
    """
    words = spec.split()
    if not words:
        raise ValueError("an empty wish")
    fault, rest = _first_word(words[0]), words[1:]
    for word in rest:
        key, _, value = word.partition("=")
        if key == "retry-after":
            fault = msgspec.structs.replace(fault, retry_after=value)
        elif key == "code":
            fault = msgspec.structs.replace(fault, code=value)
        elif key == "after":
            fault = msgspec.structs.replace(fault, after_events=int(value))
        elif key == "delay":
            fault = msgspec.structs.replace(fault, delay_s=float(value))
        else:
            raise ValueError(f"{word!r} is none of retry-after=, code=, after=, delay=")
    return fault


def wished_fault(*, model: str, prompt: str, header: str | None, directive: str = "fail") -> Fault:
    """The wish that a request itself carries.

    Looked for in this order: its ``x-demo-fail`` header, the last ``[[fail:...]]`` in its newest
    user message, a model named ``error-429``, ``error-429-insufficient_quota`` or ``error-hang``.

    A wish that cannot be read becomes a 400 that says so.
    """
    wishes = [spec for name, spec in _DIRECTIVE.findall(prompt) if name == directive]
    spec = header or (wishes[-1] if wishes else None)
    if spec is None and model.startswith("error-"):
        first, _, code = model.removeprefix("error-").partition("-")
        spec = f"{first} code={code}" if first.isdigit() and code else model.removeprefix("error-")
    if spec is None:
        return NO_FAULT
    try:
        return parse_fault(spec)
    except ValueError as problem:
        return Fault(status=400, message=f"cannot read the wish {spec!r}: {problem}")


class Script:
    """What a provider is to do with the requests to come: first the queued faults, then the
    standing ones.
    """

    def __init__(self) -> None:
        self._queued: deque[tuple[str | None, Fault]] = deque()
        self._standing: dict[str | None, Fault] = {}

    def next(self, fault: Fault | str, *, model: str | None = None, times: int = 1) -> None:
        """Do this with the next ``times`` requests, or with the next ones for ``model`` (a bare
        id).
        """
        wish = parse_fault(fault) if isinstance(fault, str) else fault
        self._queued.extend([(model, wish)] * times)

    def always(self, fault: Fault | str, *, model: str | None = None) -> None:
        """Do this with every request (for ``model``) until `clear`."""
        self._standing[model] = parse_fault(fault) if isinstance(fault, str) else fault

    def clear(self) -> None:
        """Forget all wishes."""
        self._queued.clear()
        self._standing.clear()

    def take(self, model: str) -> Fault | None:
        """The wish for a request of ``model``, used up if it was queued; None if there is none."""
        for index, (wanted, fault) in enumerate(self._queued):
            if wanted in {None, model}:
                del self._queued[index]
                return fault
        return self._standing.get(model, self._standing.get(None))


def _first_word(word: str) -> Fault:
    if word.isdigit():
        status = int(word)
        if not 400 <= status <= 599:
            raise ValueError(f"{status} is not an error status")
        return Fault(status=status)
    if word in _STATUS_OF_CODE:
        return Fault(status=_STATUS_OF_CODE[word], code=word)
    try:
        return Fault(act=Act(word))
    except ValueError:
        raise ValueError(
            f"{word!r} is neither a status, an error code nor one of {', '.join(Act)}"
        ) from None
