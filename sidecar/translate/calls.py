"""The door for calls: a call that was read once, and is written for each candidate that is tried.

It says what the doors `requests` and `responses` do in the words of the rooms around this one:
`domain.translation`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import UpstreamMalformed
from sidecar.domain.translation import Fit, LostField
from sidecar.translate.conversation import Conversation
from sidecar.translate.fields import TABLES, spelled
from sidecar.translate.losses import Loss, Weight, gravest
from sidecar.translate.lost_content import KNOWN_CONTENT
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.requests import losses_of, read_in_steps, reply_context, write_in_steps
from sidecar.translate.responses import ResponseTranslator, StreamTranslator, Untranslatable
from sidecar.translate.targets import Target

_MALFORMED: Final = "the provider's response is none of its API"
_KNOWN: Final = frozenset(
    spelled(path) for table in TABLES.values() for path in (*table.rows, *table.kinds)
).union(
    f"{spelled(holder)}.{label}"
    for table in TABLES.values()
    for holder, labels in table.labels.items()
    for label in labels
)
"""The names of all fields, as losses spell them."""


def translation_in_steps(call: Call, now_unix_s: float) -> Generator[None, None, TranslatedCall]:
    """Read a call, to be written in other APIs. Others go on wherever this yields.

    Raises: InvalidBody, in the words of the caller's API.
    """
    source = call.endpoint.dialect
    conversation = yield from read_in_steps(source, call.body)
    context = reply_context(conversation, call.body, source, int(now_unix_s), call.request_id)
    return TranslatedCall(source, conversation, context)


class TranslatedCall:
    """Implements `domain.translation.CallTranslation`."""

    def __init__(
        self, source: DialectName, conversation: Conversation, context: ReplyContext
    ) -> None:
        self._source = source
        self._conversation = conversation
        self._context = context
        self._fits: dict[tuple[str, str, bool], Fit] = {}
        """By family, model and strictness: what a call would lose does not depend on the account.
        """

    def fit(self, candidate: Candidate) -> Fit:
        """See `CallTranslation.fit`. Of several APIs that the candidate speaks the first one counts
        by which the least would be lost.
        """
        rule = candidate.translation
        is_strict = rule is not None and rule.is_strict
        key = candidate.family, candidate.upstream_model, is_strict
        found = self._fits.get(key)
        if found is None:
            targets = [_target(candidate, each) for each in candidate.targets_of(self._source)]
            losses = [(each, self._losses_of(each)) for each in targets]
            target, lost = min(losses, key=lambda each: _weight(each[1]))
            found = self._fits[key] = _fit(target, lost, is_strict=is_strict)
        return found

    def attempt(self, candidate: Candidate) -> TranslatedAttempt:
        """See `CallTranslation.attempt`."""
        fit = self.fit(candidate)
        translator = ResponseTranslator(self._source, fit.dialect, self._context)
        return TranslatedAttempt(self._source, fit, translator)

    def body_in_steps(self, candidate: Candidate) -> Generator[None, None, bytes]:
        """See `CallTranslation.body_in_steps`."""
        target = _target(candidate, self.fit(candidate).dialect)
        return (yield from write_in_steps(self._conversation, target))

    def _losses_of(self, target: Target) -> tuple[Loss, ...]:
        return losses_of(self._conversation, self._source, target)


class TranslatedAttempt:
    """Implements `domain.translation.AttemptTranslation`."""

    def __init__(self, source: DialectName, fit: Fit, translator: ResponseTranslator) -> None:
        self.dialect = fit.dialect
        self.way = f"{source}>{fit.dialect}"
        self._fit = fit
        self._translator = translator

    def whole_in_steps(
        self, body: bytes, *, is_stream_wanted: bool = False
    ) -> Generator[None, None, bytes]:
        """See `AttemptTranslation.whole_in_steps`."""
        steps = self._translator.whole_in_steps(body, is_stream_wanted=is_stream_wanted)
        try:
            return (yield from steps)
        except Untranslatable as error:
            raise UpstreamMalformed(_MALFORMED) from error

    def error(self, status: int, body: bytes) -> bytes:
        """See `AttemptTranslation.error`."""
        return self._translator.error(status, body)

    def stream(self) -> TranslatedEvents:
        """See `AttemptTranslation.stream`."""
        return TranslatedEvents(self._translator.stream())

    def lost(self) -> tuple[LostField, ...]:
        """See `AttemptTranslation.lost`."""
        names = sorted(self._translator.lost)
        content = (LostField(name, is_known=name in KNOWN_CONTENT) for name in names)
        return (*self._fit.lost, *content)


class TranslatedEvents:
    """Implements `domain.translation.StreamTranslation`."""

    def __init__(self, translator: StreamTranslator) -> None:
        self._translator = translator

    @property
    def kept_bytes(self) -> int:
        """See `StreamTranslation.kept_bytes`."""
        return self._translator.kept_bytes

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """See `StreamTranslation.feed`."""
        try:
            yield from self._translator.feed(chunk)
        except Untranslatable as error:
            raise UpstreamMalformed(_MALFORMED) from error

    def end(self) -> Iterator[bytes]:
        """See `StreamTranslation.end`."""
        return self._translator.end()


def _target(candidate: Candidate, dialect: DialectName) -> Target:
    return Target(dialect, candidate.family, candidate.upstream_model)


def _weight(losses: tuple[Loss, ...]) -> int:
    """Return how grave losses are, where some that are harmless are as good as none."""
    weight = gravest(losses)
    return 0 if weight is None else weight


def _fit(target: Target, losses: tuple[Loss, ...], *, is_strict: bool) -> Fit:
    refused = Weight.AVOIDABLE if is_strict else Weight.DECISIVE
    return Fit(
        target.dialect,
        tuple(map(_lost, losses)),
        tuple(_lost(loss) for loss in losses if loss.weight >= refused),
        goes_behind=any(loss.weight is Weight.AVOIDABLE for loss in losses),
    )


def _lost(loss: Loss) -> LostField:
    return LostField(loss.field, is_known=loss.field in _KNOWN)
