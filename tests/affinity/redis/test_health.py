"""Whether Redis is asked: the edges between a Redis that serves, refuses, and is gone."""

from __future__ import annotations

import logging

import pytest
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError

from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.health import BREAKER, StoreHealth
from sidecar.affinity.redis.scripts import SCRIPTS, SHAS
from tests.support.values import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def near(clock: FakeClock) -> NearCache:
    return NearCache(10, clock.monotonic_s)


@pytest.fixture
def health(near: NearCache, clock: FakeClock) -> StoreHealth:
    return StoreHealth(near, clock.monotonic_s)


def test_a_connection_is_a_new_epoch(health, near):
    """What was read before it is verified again."""
    before = near.epoch
    health.came_up(is_tracking=True)

    assert (before + 1, False, True) == (near.epoch, near.is_alone, health.is_asked.is_set())


def test_a_connection_that_is_lost_is_one_too(health, near):
    """Its tracking is lost with it."""
    health.came_up(is_tracking=True)
    before = near.epoch
    health.went_down()

    assert (before + 1, True, False) == (near.epoch, near.is_alone, health.is_asked.is_set())


def test_redis_is_given_up_once_after_failures_in_a_row(health, near, clock):
    """The connection is to be dropped then, and not again by the calls that fail behind it."""
    health.came_up(is_tracking=True)
    dropped = []
    for _ in range(2 * BREAKER.failures_in_a_row):
        dropped.append(health.failed())
        clock.advance(2 * BREAKER.window_s)

    assert 1 == dropped.count(True)
    assert near.is_alone


def test_failures_of_one_moment_count_as_one(health, near):
    """A Redis that forks is late for every call of that moment."""
    health.came_up(is_tracking=True)

    assert not any(health.failed() for _ in range(4 * BREAKER.failures_in_a_row))
    assert not near.is_alone


@pytest.mark.parametrize(
    "error", [NoPermissionError("NOPERM no"), ReadOnlyError("You can't write against a replica")]
)
def test_a_refusal_is_no_failure_and_is_logged_once(health, error, caplog):
    """Redis works: only this user may not, or this server takes no writes."""
    caplog.set_level(logging.WARNING)

    assert [True, True] == [health.is_refusal(error) for _ in range(2)]
    assert 1 == len(caplog.records)


def test_any_other_error_is_a_failure(health):
    """It says nothing of rights or of writes."""
    assert not health.is_refusal(ResponseError("WRONGTYPE"))


def test_every_script_is_known_by_its_hash():
    """As EVALSHA names it: 40 hexadecimal digits, one for each script."""
    assert set(SCRIPTS) == set(SHAS)
    assert [40] * len(SHAS) == [len(sha) for sha in SHAS.values()]
    assert len(SHAS) == len(set(SHAS.values()))
