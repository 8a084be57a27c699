"""What the log says of a Redis that goes, comes back, or comes and goes."""

from __future__ import annotations

import pytest

from sidecar.affinity.redis.store_log import EACH, StoreLog
from tests.support.values import FakeClock

PLACE = "r:6379"


@pytest.fixture
def clock():
    """The log's clock."""
    return FakeClock()


@pytest.fixture
def log(clock, caplog):
    """A log of a Redis that is there."""
    caplog.set_level("INFO")
    log = StoreLog(clock.monotonic_s)
    log.came_up(PLACE, is_tracking=True)
    caplog.clear()
    return log


def _flap(log: StoreLog, clock: FakeClock, times: int) -> None:
    for _ in range(times):
        log.went_down(PLACE, 3.0)
        clock.advance(0.1)
        log.came_up(PLACE, is_tracking=True)
        clock.advance(3.0)


def test_a_loss_and_its_end_have_a_line_each(log, clock, caplog):
    """With address and durations."""
    log.went_down(PLACE, 12.34)
    clock.advance(8.0)
    log.came_up(PLACE, is_tracking=False)

    assert [
        ("redis_gone", {"place": PLACE, "up_seconds": 12.3, "untold": 0}),
        ("redis_serves", {"place": PLACE, "away_seconds": 8.0}),
    ] == [(each.event, each.fields) for each in caplog.records]
    assert "redis at r:6379 serves: pins are shared, without tracking" == caplog.messages[-1]


def test_what_comes_and_goes_has_few_lines(log, clock, caplog):
    """Forty losses in two minutes; their number is told."""
    _flap(log, clock, 40)
    clock.advance(60.0)
    _flap(log, clock, 1)

    gone = [each.fields["untold"] for each in caplog.records if each.event == "redis_gone"]
    assert 41 == len(gone) + sum(gone)
    assert len(gone) <= 3 * EACH + 1
    assert len(caplog.records) == 2 * len(gone)


def test_the_end_of_a_long_absence_is_told_in_any_case(log, clock, caplog):
    """Its beginning was one of too many, and `redis_fails` has told why it lasted."""
    _flap(log, clock, EACH)
    caplog.clear()
    log.went_down(PLACE, 3.0)
    clock.advance(20.0)
    log.came_up(PLACE, is_tracking=True)

    assert ["redis at r:6379 serves: pins are shared"] == caplog.messages


def test_silence_has_a_cause_and_an_end(log, clock, caplog):
    """As a connection that is refused has."""
    log.is_silent()
    clock.advance(1.0)
    log.came_up(PLACE, is_tracking=True)

    assert [
        ("redis_fails", {"place": PLACE, "cause": "no reply in time"}),
        ("redis_serves", {"place": PLACE, "away_seconds": 1.0}),
    ] == [(each.event, each.fields) for each in caplog.records]


def test_what_redis_refuses_is_said_once(log, clock, caplog):
    """Until a new connection, or until it is refused no more."""
    for _ in range(2):
        log.lacks_rights("NOPERM")
        log.takes_no_writes("READONLY")
    for _ in range(2):
        log.takes_writes()
    log.went_down(PLACE, 1.0)
    log.came_up(PLACE, is_tracking=True)
    log.lacks_rights("NOPERM")

    said = [each.split(" (")[0] for each in caplog.messages if "pins are shared" not in each]
    assert [
        "redis does not let this user do all that is asked",
        "redis takes no writes",
        "redis takes writes again",
        "redis at r:6379 is gone: pins are kept here until it is back",
        "redis does not let this user do all that is asked",
    ] == said
