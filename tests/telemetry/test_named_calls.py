"""Calls that an operator has named: for a while, a few, and by hashes."""

from __future__ import annotations

import pytest

from sidecar.domain.ids import shown_hash
from sidecar.telemetry.named_calls import NAMED_S, NAMES_AT_MOST, NamedCall, NamedCalls
from tests.support.values import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


@pytest.fixture
def named(clock: FakeClock) -> NamedCalls:
    return NamedCalls(clock.monotonic_s)


def test_a_call_is_named_by_its_request_id_or_its_session(named):
    """Of a session all calls are."""
    assert (False, False) == (bool(named.until_s), named.has("r1", None))
    named.name_request("r1")
    named.name_session("s1")

    assert (True, True, False, False) == (
        named.has("r1", None),
        named.has("r2", "s1"),
        named.has("r2", "s2"),
        named.has("r2", None),
    )


def test_a_sessions_own_name_is_not_kept(named):
    """Operators see what logs show."""
    named.name_session("s1", 60.0)
    named.name_request("r1")

    assert [
        NamedCall("session", shown_hash("s1"), 60.0),
        NamedCall("request", "r1", NAMED_S),
    ] == named.names()


@pytest.mark.parametrize(("for_s", "kept_s"), [(5.0, 5.0), (1e9, NAMED_S), (-1.0, 0.0)])
def test_a_name_is_forgotten_after_its_time(named, clock, for_s, kept_s):
    """Ten minutes at most."""
    named.name_request("r1", for_s)
    clock.advance(max(0.0, kept_s - 0.5))
    assert (kept_s > 0) == named.has("r1", None)
    clock.advance(0.5)

    assert (False, [], False) == (named.has("r1", None), named.names(), bool(named.until_s))


def test_there_are_so_many_names_at_most(named):
    """The oldest one is forgotten for a new one; all can be."""
    for number in range(NAMES_AT_MOST + 1):
        named.name_request(f"r{number}")

    assert (NAMES_AT_MOST, False, True) == (
        len(named.names()),
        named.has("r0", None),
        named.has("r100", None),
    )
    named.clear()
    assert not named.until_s


def test_a_session_is_named_as_logs_show_it_too(named):
    """An operator who reads logs knows no other name of it."""
    named.name_session(shown_hash("s1"))

    assert (True, False) == (named.has("r", "s1"), named.has("r", "s2"))
