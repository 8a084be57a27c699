"""When Redis is left alone, when it is asked again, and what the log says."""

from __future__ import annotations

from math import inf

import pytest
from redis.exceptions import NoPermissionError, OutOfMemoryError, ResponseError

from sidecar.affinity.entry import EntryState
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.health import BREAKER, StoreHealth
from sidecar.affinity.session import make_session
from tests.support.values import FakeClock

SESSION = make_session("s1")


class Redis:
    """A store's health, with a near cache and a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.near = NearCache(9, self.clock.monotonic_s)
        self.health = StoreHealth(self.near, self.clock.monotonic_s, 1.0)


@pytest.fixture
def redis() -> Redis:
    redis = Redis()
    redis.health.came_up("r:6379", is_tracking=True, is_same_server=True)
    return redis


def test_a_connection_makes_redis_asked_and_a_lost_one_ends_it(redis, caplog):
    """A loss is told once."""
    assert (False, True) == (redis.near.is_alone, redis.health.is_asked.is_set())
    redis.health.went_down("r:6379", 12.34)
    redis.health.went_down("r:6379", 12.34)

    assert (True, False) == (redis.near.is_alone, redis.health.is_asked.is_set())
    gone = [each for each in caplog.records if "redis at r:6379 is gone" in each.message]
    assert [("redis_gone", {"place": "r:6379", "up_seconds": 12.3, "untold": 0})] == [
        (each.__dict__["event"], each.__dict__["fields"]) for each in gone
    ]


def test_a_second_connection_without_a_loss_between_is_not_told_again(redis, caplog):
    """A server that says goodbye and takes the next connection at once was never gone."""
    caplog.set_level("INFO")
    redis.health.came_up("r:6379", is_tracking=True, is_same_server=True)

    assert (False, True) == (redis.near.is_alone, redis.health.is_asked.is_set())
    assert [] == [each for each in caplog.records if "serves: pins are shared" in each.message]


def test_failures_in_a_row_leave_redis_alone_and_drop_the_connection_once(redis):
    """Replies between them begin the row anew."""
    dropped = []
    for is_served in (False, False, True, *[False] * (BREAKER.failures_in_a_row + 1)):
        redis.clock.advance(1.0)
        if is_served:
            redis.health.served()
        else:
            dropped.append(redis.health.failed())

    assert (1, True) == (dropped.count(True), redis.near.is_alone)
    redis.health.came_up("r:6379", is_tracking=False, is_same_server=False)
    assert not redis.near.is_alone


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (NoPermissionError("no permissions to run"), "does not let this user"),
        (OutOfMemoryError("command not allowed"), "takes no writes"),
    ],
)
def test_a_refusal_is_no_failure_and_is_said_once(redis, caplog, error, word):
    """Redis works, and will not do this."""
    assert [True, True] == [redis.health.is_refusal(error) for _ in range(2)]
    assert 1 == len([each for each in caplog.records if word in each.message])


def test_another_error_is_a_failure(redis):
    """It says nothing that a store can go on with."""
    assert not redis.health.is_refusal(ResponseError("ERR syntax"))


def test_that_redis_takes_writes_again_is_said_once(redis, caplog):
    """After it had refused them."""
    caplog.set_level("INFO")
    redis.health.wrote()
    redis.health.is_refusal(OutOfMemoryError("command not allowed"))
    redis.health.wrote()
    redis.health.wrote()

    assert 1 == len([each for each in caplog.records if "takes writes again" in each.message])


@pytest.mark.parametrize(
    ("is_same_server", "expected"), [(True, EntryState.UNVERIFIED), (False, EntryState.LOST)]
)
def test_what_was_read_of_the_same_server_is_read_again(redis, is_same_server, expected):
    """Another one, or one that does not say which it is, may have lost it."""
    redis.near.put(SESSION.key, b"raw", 60.0)
    redis.health.went_down("r:6379", 12.34)
    redis.health.came_up("r:6379", is_tracking=True, is_same_server=is_same_server)

    assert expected is redis.near.known(SESSION.key).state


@pytest.mark.parametrize(("is_tracking", "expected"), [(True, inf), (False, 1.0)])
def test_how_long_what_was_read_is_believed(redis, is_tracking, expected):
    """For ever where the server tells of changes."""
    redis.health.came_up("r:6379", is_tracking=is_tracking, is_same_server=True)

    assert expected == redis.near.believed_s


@pytest.mark.parametrize(
    "keys", [None, [SESSION.key.encode()], [f"{SESSION.key}~openai%2Fx".encode()]]
)
def test_an_invalidation_reaches_the_near_cache(redis, keys):
    """Of some keys, of all, or of one that the version before gave to a lane."""
    redis.near.put(SESSION.key, b"raw", 60.0)
    redis.health.invalidated(keys)

    assert redis.near.find(SESSION.key) is None
