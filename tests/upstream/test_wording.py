"""A reason is recognised by a code, by the beginning of a message, or by a text anywhere in it."""

from __future__ import annotations

import pytest

from sidecar.upstream.error_body import ErrorBody
from sidecar.upstream.wording import Wording, codes, openings, pair, patterns, phrases

REASON = Wording(
    codes=codes("a_code b_code", "c_code"),
    openings=openings("the key @ is bad", "no money"),
    phrases=phrases("Far `Too` Long", "model's limit"),
    patterns=patterns(r"item \w{1,9} not found"),
    pairs=(pair("context (?:size|length)", "exceed|longer"),),
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ErrorBody(codes=frozenset(("x", "b_code"))), True),
        (ErrorBody(codes=frozenset(("c_code",))), True),
        (ErrorBody(openings=("x", "no money left")), True),
        (ErrorBody(openings=("the key sk-1 is bad",)), True),
        (ErrorBody(openings=("the key that you sent is bad",)), False),
        (ErrorBody(openings=("why no money",)), False),
        (ErrorBody(text="it is far too long."), True),
        (ErrorBody(text="over the models limit"), True),
        (ErrorBody(text="the item rs_1 not found"), True),
        (ErrorBody(text="it is longer than the context size"), True),
        (ErrorBody(text="the context length is odd, this is long"), False),
        (ErrorBody(text="no money, the key x is bad, a_code"), False),
        (ErrorBody(), False),
    ],
)
def test_each_kind_of_evidence_stands_in_its_own_place(error, expected):
    """A code in a text, or a beginning in its middle, is none."""
    assert expected is REASON.is_in(error)


def test_a_wording_may_lack_any_kind_of_evidence():
    """Then that kind is found nowhere."""
    error = ErrorBody(frozenset(("a",)), ("a",), "a")

    assert not Wording().is_in(error)
