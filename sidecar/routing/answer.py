"""Reads what the router model said: the route that it named, or why there is none.

Pure, and never raises: any text of a model has a verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from sidecar.domain.vocabulary import RouterOutcome

NO_ROUTE: Final = "other"
"""What the router model says where no route fits; no route may have this name."""

_READ_AT_MOST: Final = 16 * 1024
"""Characters of a text that are read, from its end. 64 tokens have less than 1,000; a model that
reasons aloud writes more.
"""
_OBJECTS_AT_MOST: Final = 64
"""Braces in prose that are tried as the start of a JSON object."""

_FENCE: Final = re.compile(r"```[a-zA-Z0-9]*+\s*+(.*?)```", re.DOTALL)
_QUOTES: Final = "'\"`\u2018\u2019\u201c\u201d"
_LOOSE_ROUTE: Final = re.compile(rf"\{{\s*+[{_QUOTES}]?+route[{_QUOTES}]?+\s*+:\s*+([^{{}}]*+)\}}")
"""A ``route`` member in any quotes, or none. Quotes inside the value are kept, since names can have
apostrophes.
"""
_LOOSE_NULL: Final = frozenset(("", "null", "None", NO_ROUTE))

_decoder: Final = json.JSONDecoder(strict=False)


class RouterVerdict(msgspec.Struct, frozen=True):
    """What the router model's help came to for one call."""

    outcome: RouterOutcome
    route_name: str | None = None
    """The name of a known route; set exactly where ``outcome`` is MATCHED."""
    text: str | None = None
    """What the model said; None where it said nothing."""
    waited_s: float = 0.0
    """Seconds that the call waited for the model."""
    cause: str = ""
    """Why the model could not be asked, as a phrase for operators."""
    refusal: str = ""
    """What the model's server said when it refused the question. It may repeat the prompt."""
    confidence: float | None = None
    """How probable the model holds its choice, from 0 to 1; None where it does not say."""

    @property
    def is_fallback(self) -> bool:
        """Whether the model's opinion is not known, so that the call is served without it."""
        return self.outcome not in _OPINIONS


class _ChatMessage(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _ChatMessage


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Choosing(msgspec.Struct):
    """One answer of a decision model."""

    choice: str
    name: str | None = None
    confidence: Any = None
    probabilities: Any = None
    """By label."""


class _Decision(msgspec.Struct):
    answers: dict[str, _Choosing] | list[_Choosing]


_decision_decoder: Final = msgspec.json.Decoder(_Decision)

_Chosen = tuple[RouterOutcome, str | None]
"""The outcome, and the route's name where it is MATCHED."""
_OPINIONS: Final = (RouterOutcome.MATCHED, RouterOutcome.OTHER, RouterOutcome.UNKNOWN_ROUTE)
_completion_decoder: Final = msgspec.json.Decoder(_Completion)


def read_completion(body: bytes, known: Collection[str]) -> RouterVerdict:
    """Read a chat completion's first choice as `read_answer` does. A body that is no completion,
    or has no text, is UNREADABLE.
    """
    try:
        choices = _completion_decoder.decode(body).choices
    except (ValueError, RecursionError):
        choices = []
    text = choices[0].message.content if choices else None
    return RouterVerdict(RouterOutcome.UNREADABLE) if text is None else read_answer(text, known)


def read_decision(
    body: bytes, question: str, known: Collection[str], min_confidence: float
) -> RouterVerdict:
    """Read what a decision model chose. A choice that it holds less probable than
    ``min_confidence`` matches no route; one without any figure counts as it is.

    Args: ``question`` is the name under which it was asked.
    """
    try:
        answers = _decision_decoder.decode(body).answers
    except (ValueError, RecursionError):
        return RouterVerdict(RouterOutcome.UNREADABLE)
    if isinstance(answers, list):
        answers = {each.name or question: each for each in answers}
    answer = answers.get(question)
    if answer is None:
        return RouterVerdict(RouterOutcome.UNREADABLE)
    outcome, route_name = _chosen(answer.choice, known)
    confidence = _confidence_of(answer)
    if confidence is not None and not 0 <= confidence <= 1:
        return RouterVerdict(RouterOutcome.UNREADABLE, text=answer.choice)
    if route_name is not None and confidence is not None and confidence < min_confidence:
        outcome, route_name = RouterOutcome.OTHER, None
    return RouterVerdict(outcome, route_name, answer.choice, confidence=confidence)


def _confidence_of(answer: _Choosing) -> float | None:
    """Return how probable a choice is said to be; None where nothing is said, and a number that is
    no probability for what cannot be read as one.
    """
    given = answer.probabilities if isinstance(answer.probabilities, dict) else {}
    figure = given.get(answer.choice, answer.confidence)
    if figure is None:
        return None
    is_number = isinstance(figure, int | float) and not isinstance(figure, bool)
    return float(figure) if is_number else -1.0


def read_answer(text: str, known: Collection[str]) -> RouterVerdict:
    """Read the router model's text.

    Accepted, in this order: a JSON object; one inside a code fence; one after or between text, the
    last that names a ``route`` where there are several; one whose quotes are wrong. ``route`` is a
    name or a list of which the first known name counts. ``other``, empty, null and missing mean no
    route.

    Args: ``known`` are the names of the routes that the model could choose from.
    """
    end = text[-_READ_AT_MOST:].strip()
    found = _as_object(end)
    if found is None:
        found = next((inner for inner in map(_as_object, _fenced(end)) if inner is not None), None)
    if found is None:
        found = _last_with_route(_objects(end))
    if found is None:
        outcome, route_name = _read_loosely(end, known)
    else:
        outcome, route_name = _chosen(found.get("route"), known)
    return RouterVerdict(outcome, route_name, text)


def _as_object(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _fenced(text: str) -> Iterator[str]:
    return (match[1].strip() for match in _FENCE.finditer(text))


def _objects(text: str) -> Iterator[dict[str, object]]:
    """The outermost JSON objects inside a text, in its order."""
    at = text.find("{")
    for _ in range(_OBJECTS_AT_MOST):
        if at < 0:
            return
        try:
            found, end = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield found
        at = text.find("{", end)


def _last_with_route(objects: Iterator[dict[str, object]]) -> dict[str, object] | None:
    """The last object that has a ``route``; where none has, the last one."""
    best: dict[str, object] | None = None
    for found in objects:
        if best is None or "route" in found or "route" not in best:
            best = found
    return best


def _chosen(route: object, known: Collection[str]) -> _Chosen:
    given = route if isinstance(route, list) else [route]
    names = [name or "" for name in given if isinstance(name, str) or name is None]
    if len(names) < len(given):
        return RouterOutcome.UNREADABLE, None
    # A name that is known as it is goes before one that is known without the blanks around it.
    for name in (*names, *map(str.strip, names)):
        if name in known:
            return RouterOutcome.MATCHED, name
    for name in names:
        if name.strip() not in ("", NO_ROUTE):
            return RouterOutcome.UNKNOWN_ROUTE, None
    return RouterOutcome.OTHER, None


def _read_loosely(text: str, known: Collection[str]) -> _Chosen:
    """Read an object whose quotes are wrong: single, typographic, escaped or missing."""
    matches = _LOOSE_ROUTE.findall(text.replace('\\"', '"').replace("\\'", "'"))
    if not matches:
        return RouterOutcome.UNREADABLE, None
    value = matches[-1].strip().rstrip(",").strip()
    is_list = value.startswith("[") and value.endswith("]")
    names = value[1:-1].split(",") if is_list else [value]
    bare = [name.strip().strip(_QUOTES).strip() for name in names]
    return _chosen([None if name in _LOOSE_NULL else name for name in bare], known)
