"""The near cache: when an entry is used, confirmed, kept for Redis, or dropped. No loop, no
socket.
"""

from __future__ import annotations

import pytest

from sidecar.affinity.near_cache import Entry, NearCache
from sidecar.affinity.session import make_session
from sidecar.affinity.value import encode
from sidecar.domain.decision import Binding
from tests.support.values import FakeClock

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
MAIN, SIDE = make_session("s1", None, GPT), make_session("s1", None, MINI)
PIN, SIDE_PIN = Binding(GPT, requested_model=GPT), Binding(MINI, requested_model=MINI)
ANY_LANE = Binding("openai/any")
TTL_S = 100.0


class Near(NearCache):
    """One with a Redis behind it, and a clock that a test moves."""

    def __init__(self, max_entries: int = 9) -> None:
        self.clock = FakeClock()
        super().__init__(max_entries, self.clock.monotonic_s)
        self.is_alone = False

    def read(self, key: str, binding: Binding, left_s: float = TTL_S) -> Entry:
        """As if it was read of Redis."""
        return self.put(key, binding, left_s, encode(binding))

    def binding(self, session: object = MAIN) -> Binding | None:
        found = self.find(session)  # type: ignore[arg-type]
        return None if found is None else found[1].binding


@pytest.fixture
def near() -> Near:
    return Near()


def test_what_was_read_is_at_hand(near):
    """Until its time is over."""
    near.read(MAIN.key, PIN)

    assert PIN == near.binding()
    near.clock.advance(TTL_S)
    assert (None, 0) == (near.binding(), len(near))


def test_a_pin_without_a_lane_is_every_lanes(near):
    """Plano writes such."""
    near.read(MAIN.key, ANY_LANE)

    assert [ANY_LANE] * 2 == [near.binding(MAIN), near.binding(SIDE)]


def test_a_lane_beside_the_first_has_its_own_entry(near):
    """Found where the plain key's owner is known, and is another."""
    near.read(MAIN.key, PIN)
    assert near.binding(SIDE) is None
    near.read(SIDE.lane_key, SIDE_PIN)

    assert SIDE_PIN == near.binding(SIDE)


def test_a_lane_alone_is_asked_for_unless_the_plain_key_is_known_to_hold_nothing(near):
    """Somebody may have put a pin for every lane there."""
    near.read(SIDE.lane_key, SIDE_PIN)
    assert near.binding(SIDE) is None
    near.mark_absent(SIDE.key)
    assert SIDE_PIN == near.binding(SIDE)
    near.on_invalidation(SIDE.key)
    assert near.binding(SIDE) is None


def test_an_entry_under_the_lanes_key_that_is_another_lanes_is_not_used(near):
    """Whoever wrote it."""
    near.read(MAIN.key, PIN)
    near.read(SIDE.lane_key, PIN)

    assert (None, (SIDE.lane_key, None)) == (near.binding(SIDE), near.place(SIDE))


def test_where_there_is_no_redis_what_is_known_is_used():
    """Also what was read over an earlier connection, and a lane alone."""
    near = Near()
    near.read(SIDE.lane_key, SIDE_PIN)
    near.epoch += 1
    near.is_alone = True

    assert SIDE_PIN == near.binding(SIDE)


@pytest.mark.parametrize("how", ["earlier connection", "not tracked"])
def test_what_is_unverified_is_not_used_without_asking(near, how):
    """Of an earlier connection it is confirmed; only old, it is read again."""
    entry = near.read(MAIN.key, PIN)
    if how == "earlier connection":
        near.epoch += 1
    else:
        entry.verified_until_s = near.clock.monotonic_s()

    assert (None, how == "earlier connection") == (near.binding(), near.is_in_doubt(entry))
    assert (entry if how == "earlier connection" else None) is near.unverified(MAIN.key)


def test_what_is_verified_or_unknown_needs_no_confirmation(near):
    """Nor does what has expired."""
    near.read(MAIN.key, PIN)

    assert (None, None) == (near.unverified(MAIN.key), near.unverified("other"))
    near.epoch += 1
    near.clock.advance(TTL_S)
    assert near.unverified(MAIN.key) is None


@pytest.mark.parametrize(
    ("entries", "session", "expected"),
    [
        ({}, MAIN, (MAIN.key, None)),
        ({MAIN.key: PIN}, MAIN, (MAIN.key, PIN)),
        ({MAIN.key: PIN}, SIDE, (SIDE.lane_key, None)),
        ({MAIN.key: PIN, SIDE.lane_key: SIDE_PIN}, SIDE, (SIDE.lane_key, SIDE_PIN)),
        ({SIDE.lane_key: SIDE_PIN}, SIDE, (SIDE.lane_key, SIDE_PIN)),
        ({MAIN.key: ANY_LANE}, SIDE, (MAIN.key, ANY_LANE)),
    ],
)
def test_the_place_of_a_lane_is_known_verified_or_not(near, entries, session, expected):
    """Its key, and what was known of it."""
    for key, binding in entries.items():
        near.read(key, binding)
    near.epoch += 1
    key, entry = near.place(session)

    assert expected == (key, None if entry is None else entry.binding)


def test_bytes_that_were_decoded_before_are_not_decoded_again(near):
    """The very same ones."""
    near.read(MAIN.key, PIN)

    assert PIN == near.binding_of(MAIN.key, encode(PIN))
    assert near.binding_of(MAIN.key, b"?") is None
    assert near.binding_of("other", encode(PIN)) is None


def test_the_least_recently_used_entry_makes_room():
    """A dirty one too, which is then no longer counted."""
    near = Near(2)
    near.claim(make_session("a"), PIN, TTL_S)
    near.read("b", PIN)
    near.read("c", PIN)

    assert (["b", "c"], 0) == ([key for key, _ in near.items()], near.dirty_entries)


def test_the_place_of_what_has_expired_is_that_of_a_new_pin(near):
    """The entry is dropped when it is met; dropping it twice changes nothing."""
    near.read(MAIN.key, PIN)
    near.clock.advance(TTL_S)

    assert ((MAIN.key, None), 0) == (near.place(MAIN), len(near))
    near.forget(MAIN.key)
    assert 0 == near.dirty_entries


def test_a_claim_here_is_dirty_and_the_first_one_wins(near):
    """It is to be written to Redis in nobody's place."""
    assert PIN == near.claim(MAIN, PIN, TTL_S)
    assert PIN == near.claim(MAIN, SIDE_PIN, TTL_S)
    ((key, entry),) = near.dirty()

    assert (MAIN.key, PIN, b"", 1) == (key, entry.binding, entry.base, near.dirty_entries)


def test_a_move_here_replaces_what_it_saw(near):
    """The bytes that Redis has are those it goes out from, also after a second move."""
    near.read(MAIN.key, PIN)
    moved = Binding(MINI, requested_model=GPT, generation=2)
    again = Binding("openai/x", requested_model=GPT, generation=3)

    assert moved == near.replace(MAIN, PIN, moved, TTL_S)
    assert again == near.replace(MAIN, moved, again, TTL_S)
    assert again == near.replace(MAIN, PIN, moved, TTL_S)
    assert ([encode(PIN)], 1) == ([entry.base for _, entry in near.dirty()], near.dirty_entries)


def test_a_move_of_what_is_not_known_changes_nothing(near):
    """It is what the caller believes."""
    assert (PIN, 0) == (near.replace(MAIN, SIDE_PIN, PIN, TTL_S), len(near))


def test_a_release_drops_what_it_saw(near):
    """And nothing else."""
    near.claim(MAIN, PIN, TTL_S)
    near.release(MAIN, SIDE_PIN)
    assert 1 == len(near)
    near.release(MAIN, PIN)
    near.release(MAIN, PIN)

    assert (0, 0) == (len(near), near.dirty_entries)


def test_an_invalidation_drops_what_was_read(near):
    """And leaves what was made here, and what is not known at all."""
    near.read(MAIN.key, PIN)
    near.claim(make_session("other"), PIN, TTL_S)
    for key in (MAIN.key, make_session("other").key, "unknown"):
        near.on_invalidation(key)

    assert [make_session("other").key] == [key for key, _ in near.items()]


def test_our_own_writes_invalidation_leaves_the_entry_for_an_outage(near):
    """It is not used before it was read again; the next invalidation is another client's."""
    near.read(MAIN.key, PIN)
    near.mark_own_write(MAIN.key)
    near.mark_own_write("unknown")
    near.on_invalidation(MAIN.key)
    assert (None, 1) == (near.binding(), len(near))
    near.is_alone = True
    assert PIN == near.binding()
    near.on_invalidation(MAIN.key)
    assert 0 == len(near)


def test_all_that_redis_has_can_be_dropped(near):
    """What was made here exists nowhere else."""
    near.read("read", PIN)
    near.claim(MAIN, PIN, TTL_S)
    near.mark_absent(SIDE.key)
    near.forget_all()

    assert [MAIN.key] == [key for key, _ in near.items()]


@pytest.mark.parametrize(
    ("raw", "expected"), [(b"", True), (b"base", True), (b"other", False), (None, True)]
)
def test_what_is_still_to_be_written_gives_way_to_a_foreign_value_only(near, raw, expected):
    """Not to nothing, and not to the bytes that it replaces."""
    near.claim(MAIN, PIN, TTL_S)
    near.place(MAIN)[1].base = b"base"

    assert expected == near.is_pending_write(MAIN.key, raw)
    near.read("read", PIN)
    assert [False, False] == [near.is_pending_write(key, raw) for key in ("read", "unknown")]


@pytest.mark.parametrize(
    ("key", "lane", "left"), [(MAIN.key, GPT, 0), (MAIN.key, MINI, 1), ("unknown", GPT, 1)]
)
def test_a_lane_that_has_its_pin_elsewhere_is_not_written_here(near, key, lane, left):
    """Another lane's stays."""
    near.claim(MAIN, PIN, TTL_S)
    near.yield_to_lane(key, lane)

    assert left == near.dirty_entries


def test_what_was_read_does_not_yield(near):
    """It is not ours to write."""
    near.read(MAIN.key, PIN)
    near.yield_to_lane(MAIN.key, GPT)

    assert 1 == len(near)


def test_what_may_not_be_written_is_held_back(near):
    """For some seconds; expired entries are dropped."""
    near.claim(MAIN, PIN, TTL_S)
    near.hold_back(MAIN.key, 30.0)
    near.hold_back("unknown", 30.0)
    assert [] == near.dirty()
    near.clock.advance(30.0)
    assert 1 == len(near.dirty())
    near.clock.advance(TTL_S)
    assert ([], 0, []) == (near.dirty(), near.dirty_entries, near.dirty())


def test_use_in_the_second_half_begins_the_time_anew(near):
    """Not before."""
    entry = near.read(MAIN.key, PIN)
    assert (False, TTL_S) == (near.renew(entry, TTL_S), near.left_s(entry))
    near.clock.advance(51.0)

    assert (True, TTL_S) == (near.renew(entry, TTL_S), near.left_s(entry))


def test_an_entry_that_was_replaced_is_not_held_any_more(near):
    """Who waits to write it must not."""
    first = near.read(MAIN.key, PIN)
    assert near.holds(MAIN.key, first)
    near.read(MAIN.key, PIN)

    assert not near.holds(MAIN.key, first)


def test_keys_known_to_hold_nothing_are_bounded():
    """Sessions come and go; at the limit the oldest is forgotten."""
    near = Near(1)
    near.read(SIDE.lane_key, SIDE_PIN)
    near.mark_absent(SIDE.key)
    near.mark_absent("other")

    assert near.binding(SIDE) is None
