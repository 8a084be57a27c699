"""The ports of a translation have what their implementers have, and no more."""

from __future__ import annotations

import pytest

from sidecar.domain.call import CHAT, MESSAGES
from sidecar.domain.decision import Candidate
from sidecar.domain.translation import (
    AttemptTranslation,
    CallTranslation,
    Fit,
    LostField,
    StreamTranslation,
    TranslationRule,
)
from sidecar.translate.calls import TranslatedAttempt, TranslatedCall, TranslatedEvents
from tests.domain.test_ports import _methods
from tests.support.translations import PlainAttempt, PlainEvents, PlainTranslation


@pytest.mark.parametrize(
    ("port", "implementer"),
    [
        (CallTranslation, TranslatedCall),
        (CallTranslation, PlainTranslation),
        (AttemptTranslation, TranslatedAttempt),
        (AttemptTranslation, PlainAttempt),
        (StreamTranslation, TranslatedEvents),
        (StreamTranslation, PlainEvents),
    ],
)
def test_an_implementer_has_the_ports_methods(port, implementer):
    """With the same parameters."""
    wanted = _methods(port)

    assert wanted
    assert wanted == {
        name: found for name, found in _methods(implementer).items() if name in wanted
    }


def test_a_candidate_serves_what_it_speaks_and_what_is_translated_for_it():
    """In the order of the rule."""
    rule = TranslationRule(((CHAT, (MESSAGES,)),))
    plain = Candidate("p", "m", "m", "m", frozenset({MESSAGES}))
    more = Candidate("p", "m", "m", "m", frozenset({MESSAGES}), translation=rule)

    assert (frozenset({MESSAGES}), frozenset({MESSAGES, CHAT})) == (plain.served, more.served)
    assert ((), (), (MESSAGES,), ()) == (
        plain.targets_of(CHAT),
        plain.targets_of(MESSAGES),
        more.targets_of(CHAT),
        more.targets_of(MESSAGES),
    )
    assert plain != more
    assert {hash(plain), hash(more)}


def test_a_fit_leaves_out_for_what_is_decisive():
    """And for nothing else."""
    lost = (LostField("seed", is_known=True),)

    assert [False, False, True] == [
        Fit(CHAT).is_left_out,
        Fit(CHAT, lost, goes_behind=True).is_left_out,
        Fit(CHAT, lost, lost).is_left_out,
    ]
