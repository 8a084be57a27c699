"""By which sidecars a request has come, and which of them ends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import LoopDetected
from sidecar.wire.via import MEMBERS_AT_MOST, check_loop, members_of, mint_member, via_line

A, B = (b"1.1 plano-sidecar-" + digit * 32 for digit in (b"a", b"b"))


def test_no_two_processes_have_one_name():
    """It is a pseudonym: it tells nothing of the pod."""
    first, second = mint_member(), mint_member()

    assert first != second
    assert [first, second] == members_of([via_line([first, second])[5:-2]])


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], []),
        ([A], [A]),
        ([A + b", " + B, A], [A, B, A]),
        ([b"1.1 proxy.corp (Squid), " + A + b" ,\t1.0 fred"], [A]),
        ([b" \t" + A + b" \t"], [A]),
        ([A[:-1]], []),
        ([A + b"a"], []),
        ([b"x" + A], []),
        ([A.upper()], []),
        ([b"1.1 plano-sidecar"], []),
    ],
)
def test_only_what_sidecars_add_is_read(values, found):
    """Other members tell of the app's network: they go nowhere."""
    assert found == members_of(values)


@given(st.lists(st.binary(max_size=60)))
def test_nothing_that_is_sent_raises(values):
    """Nor grows on the way."""
    assert len(b"".join(members_of(values))) <= len(b"".join(values))


@pytest.mark.parametrize(
    ("members", "own", "is_loop"),
    [
        ([], A, False),
        ([B], A, False),
        ([B, A], A, True),
        ([B] * MEMBERS_AT_MOST, A, False),
        ([B] * (MEMBERS_AT_MOST + 1), A, True),
    ],
)
def test_one_that_meets_itself_is_in_a_loop(members, own, is_loop):
    """And one at the end of a chain without end. The call was sent to nobody here."""
    if not is_loop:
        check_loop(members, own)
        return
    with pytest.raises(LoopDetected) as raised:
        check_loop(members, own)

    assert (508, 0, False) == (
        raised.value.status,
        raised.value.attempts,
        raised.value.app_may_retry,
    )
