"""The near cache: what an entry is worth, by what has happened to it. No loop, no socket."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest

from sidecar.affinity import near_cache, near_memory
from sidecar.affinity.entry import TRANSITIONS, Entry, EntryEvent, EntryState
from sidecar.affinity.lanes import NO_LANES, Lanes, claim, release, replace
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.session import make_session
from sidecar.affinity.value import decode, encode
from sidecar.domain.decision import Binding
from sidecar.runtime.memory_budget import MemoryBudget, MemoryShare
from tests.support.values import FakeClock

KEY = "plano:affinity:s1"
A, A2 = Binding("ma", requested_model="a"), Binding("ma2", requested_model="a")
B, PLANOS = Binding("mb", requested_model="b"), Binding("plano")
TTL_S = 100.0


def of(*bindings: Binding) -> Lanes:
    return Lanes(bindings)


class Near(NearCache):
    """One with a Redis behind it, and a clock that a test moves."""

    def __init__(self, max_entries: int = 9, memory: MemoryShare | None = None) -> None:
        self.clock = FakeClock()
        super().__init__(max_entries, self.clock.monotonic_s, memory)
        self.is_alone = False

    def read(self, *bindings: Binding, key: str = KEY, left_s: float | None = TTL_S) -> Lanes:
        """As if Redis had said that these stand."""
        return self.heard(key, encode(Lanes(bindings)), left_s, TTL_S)

    def made(self, *bindings: Binding, key: str = KEY) -> None:
        """As if a call had changed the lanes to these."""
        self.change(key, Lanes(bindings), TTL_S)

    def lanes(self, key: str = KEY) -> Lanes | None:
        """What is at hand."""
        entry = self.find(key)
        return None if entry is None else self.lanes_of(entry)

    def state(self, key: str = KEY) -> EntryState | None:
        entry = self.known(key)
        return None if entry is None else entry.state

    def in_state(self, state: EntryState) -> Entry:
        """An entry in a state, with the lane A; without one where it is absent."""
        entry = self.put(KEY, b"" if state is EntryState.ABSENT else encode(of(A)), TTL_S)
        entry.state = state
        if state in (EntryState.PENDING, EntryState.DIRTY):
            self.owed[KEY] = entry
        return entry


@pytest.fixture
def near() -> Near:
    return Near()


ABSENT, VERIFIED, UNVERIFIED, LOST, PENDING, DIRTY = EntryState
CELLS: dict[EntryEvent, Sequence[EntryState | None]] = {
    EntryEvent.READ: [VERIFIED] * 6,
    EntryEvent.READ_NOTHING: [ABSENT] * 6,
    EntryEvent.READ_OTHER: [PENDING] * 5 + [DIRTY],
    EntryEvent.CHANGED: [PENDING] * 6,
    EntryEvent.KEPT: [ABSENT, VERIFIED, UNVERIFIED, LOST, DIRTY, DIRTY],
    EntryEvent.INVALIDATED: [None, UNVERIFIED, UNVERIFIED, UNVERIFIED, PENDING, DIRTY],
    EntryEvent.WENT_DOWN: [None, UNVERIFIED, UNVERIFIED, LOST, DIRTY, DIRTY],
    EntryEvent.CAME_BACK: [None, UNVERIFIED, UNVERIFIED, LOST, PENDING, PENDING],
    EntryEvent.CAME_UP: [None, LOST, LOST, LOST, PENDING, PENDING],
    EntryEvent.EXPIRED: [None] * 6,
}


@pytest.mark.parametrize(
    ("event", "state", "expected"),
    [
        (event, state, following)
        for event, row in CELLS.items()
        for state, following in zip(EntryState, row, strict=True)
    ],
)
def test_what_follows_from_what_happens(near, event, state, expected):
    """Each cell of the table; what is to be written is known as such."""
    near.in_state(state)
    near.happened(event, KEY)

    assert expected == near.state() == TRANSITIONS[event][state]
    assert (expected in (PENDING, DIRTY)) == (KEY in near.owed)


@pytest.mark.parametrize("state", EntryState)
@pytest.mark.parametrize("is_alone", [False, True])
def test_what_is_used_without_asking(near, state, is_alone):
    """What Redis would tell of, and what it does not take; all that is known where nobody can be
    asked.
    """
    near.in_state(state)
    near.is_alone = is_alone

    assert (is_alone or state in (VERIFIED, DIRTY)) == (near.find(KEY) is not None)


def test_what_was_read_is_at_hand_until_its_time_is_over(near):
    """All lanes of the session, with one look."""
    near.read(A, B, left_s=50.0)
    assert of(A, B) == near.lanes()
    near.clock.advance(50.0)

    assert (None, 0) == (near.lanes(), len(near))


def test_a_key_without_expiry_is_believed_for_one_time_to_live(near):
    """And is known to have none."""
    near.read(A, left_s=None)
    entry = near.find(KEY)

    assert (True, TTL_S) == (entry.is_lasting, near.left_s(entry))


def test_that_nothing_stands_is_known_too(near):
    """So that a session's first call does not ask twice."""
    assert NO_LANES == near.heard(KEY, b"", None, TTL_S)
    assert (ABSENT, False) == (near.state(), near.known(KEY).is_lasting)


def test_what_cannot_be_read_is_known_by_its_bytes(near):
    """It is replaced if it still is that."""
    assert NO_LANES == near.heard(KEY, b"?", TTL_S, TTL_S)
    near.made(A)

    assert b"?" == near.known(KEY).raw


def test_where_nobody_tells_of_changes_what_was_read_is_believed_for_a_moment(near):
    """Then it is read again; but on another server it is still claimed anew."""
    near.believed_s = 1.0
    near.read(A)
    near.heard("other", b"", None, TTL_S)
    assert of(A) == near.lanes()
    near.clock.advance(1.0)

    assert (None, UNVERIFIED, None) == (near.lanes(), near.state(), near.state("other"))
    near.happened(EntryEvent.CAME_UP)
    assert LOST == near.state()


def test_bytes_are_decoded_once(near, monkeypatch):
    """The very same ones are not decoded again, nor are those that this process has written."""
    near.read(A)
    near.made(A, B)
    sent = near.known(KEY).lanes
    monkeypatch.setattr(near_cache, "decode", None)
    near.heard(KEY, encode(of(A, B)), TTL_S, TTL_S, sent)

    assert (of(A, B), VERIFIED) == (near.lanes(), near.state())
    near.read(A, B)
    assert of(A, B) == near.lanes()


def test_lanes_of_sessions_that_are_not_used_are_not_kept_decoded(near, monkeypatch):
    """Those that are to be written are, since they stand nowhere else."""
    monkeypatch.setattr(near_memory, "DECODED", 1)
    near = Near()
    near.read(A)
    near.made(A, key="made")
    near.read(A, key="third")
    near.read(A, key="fourth")

    assert [None, of(A), None] == [near.known(each).lanes for each in (KEY, "made", "third")]
    assert of(A) == near.lanes()


def test_a_change_is_to_be_written_in_the_place_of_what_stood(near):
    """The bytes that Redis has are those it goes out from, also after a second change."""
    near.read(A)
    near.made(A2)
    near.made(A2, B)
    entry = near.known(KEY)

    assert (PENDING, encode(of(A)), of(A2, B)) == (entry.state, entry.raw, entry.lanes)
    assert [KEY] == list(near.owed)


def test_a_change_may_leave_the_time_as_it_is(near):
    """Or begin it anew; a new session has none to keep."""
    near.read(A, left_s=7.0)
    near.change(KEY, of(A2), None)
    kept_s = near.left_s(near.known(KEY))
    near.change(KEY, of(A), TTL_S)

    assert (7.0, TTL_S) == (kept_s, near.left_s(near.known(KEY)))


def test_what_changed_while_it_was_written_is_still_to_be_written(near):
    """In the place of what has just been written."""
    near.made(A)
    sent = near.known(KEY).lanes
    near.made(A2, B)
    assert of(A2, B) == near.heard(KEY, encode(of(A)), TTL_S, TTL_S, sent)
    entry = near.known(KEY)

    assert (PENDING, encode(of(A))) == (entry.state, entry.raw)


@pytest.mark.parametrize(
    ("read", "changed", "standing", "expected", "state"),
    [
        ((), (A,), (A2,), (A2,), VERIFIED),
        ((), (A,), (B,), (B, A), PENDING),
        ((A,), (A2,), (A,), (A2,), PENDING),
        ((A,), (A2,), (), (), ABSENT),
        ((A,), (A2,), (A, B), (A2, B), PENDING),
        ((A,), (), (A, B), (B,), PENDING),
        ((), (A,), (PLANOS,), (Binding("plano", requested_model="a"),), PENDING),
    ],
)
def test_a_change_meets_what_stands_now(near, read, changed, standing, expected, state):
    """Adopted where the same lane has changed; else made again on it."""
    near.heard(KEY, encode(Lanes(read)), TTL_S, TTL_S)
    near.made(*changed)

    assert Lanes(expected) == near.heard(KEY, encode(Lanes(standing)), TTL_S, TTL_S)
    assert (state, encode(Lanes(standing))) == (near.state(), near.known(KEY).raw)


def test_a_change_that_was_kept_stays_at_hand_until_redis_has_it(near):
    """The session's calls are served by it; a reply that lacks it takes it from nobody."""
    near.made(A)
    near.happened(EntryEvent.KEPT, KEY)
    near.heard(KEY, b"", None, TTL_S)
    assert (of(A), DIRTY) == (near.lanes(), near.state())
    near.read(A2)

    assert (of(A2), VERIFIED) == (near.lanes(), near.state())


def test_plano_s_value_puts_the_lanes_that_are_known_beside_it(near):
    """They are to be written."""
    near.read(A, B)

    assert of(Binding("plano", requested_model="a"), B) == near.read(PLANOS)
    assert PENDING == near.state()


@pytest.mark.parametrize(
    ("event", "expected", "state"),
    [(EntryEvent.CAME_UP, of(A, B), PENDING), (EntryEvent.CAME_BACK, NO_LANES, ABSENT)],
)
def test_what_a_server_does_not_have_any_more(near, event, expected, state):
    """The same one has dropped it, and it stays dropped; another one may have lost it."""
    near.read(A, B)
    near.happened(EntryEvent.WENT_DOWN)
    near.happened(event)

    assert (expected, state) == (near.heard(KEY, b"", None, TTL_S), near.state())


def test_what_was_changed_while_redis_was_gone_takes_the_other_lanes_back_with_it(near):
    """To a server that may have lost them; once it has them, nothing more is put back."""
    near.read(A, B)
    near.happened(EntryEvent.WENT_DOWN)
    near.made(A2, B)
    near.happened(EntryEvent.KEPT, KEY)
    near.happened(EntryEvent.CAME_UP)
    assert of(A2, B) == near.heard(KEY, b"", None, TTL_S)
    near.heard(KEY, encode(of(A2, B)), TTL_S, TTL_S, of(A2, B))

    assert (VERIFIED, False) == (near.state(), near.known(KEY).revives)


def test_what_was_put_back_once_is_not_put_back_again(near):
    """What is dropped after that stays dropped."""
    near.made(A)
    near.happened(EntryEvent.CAME_UP)
    near.heard(KEY, encode(of(A)), TTL_S, TTL_S, near.known(KEY).lanes)
    near.happened(EntryEvent.INVALIDATED)

    assert (NO_LANES, ABSENT) == (near.heard(KEY, b"", None, TTL_S), near.state())


def test_what_happens_to_an_unknown_session_changes_nothing(near):
    """Nor is it forgotten twice."""
    near.happened(EntryEvent.INVALIDATED, "unknown")
    near.forget("unknown")

    assert 0 == len(near)


def test_the_least_recently_used_session_makes_room():
    """One that is to be written too."""
    near = Near(2)
    near.made(A)
    near.read(A, key="b")
    near.read(A, key="c")
    near.find("b")
    near.read(A, key="d")

    assert (["b", "d"], {}) == ([key for key, _ in near.items()], near.owed)


def a_share(limit_bytes: int) -> MemoryShare:
    """Of memory, for pins alone."""
    return MemoryBudget(limit_bytes).share("pins", keeps=1.0, is_cache=True)


def test_the_cache_is_bounded_in_bytes_too():
    """The least recently used sessions make room for one with long names."""
    near = Near(9, a_share(2600))
    for key in "abc":
        near.read(A, key=key)
    near.read(Binding("m" * 500, requested_model="a"), key="long")

    assert ["c", "long"] == [key for key, _ in near.items()]


def test_all_that_was_taken_is_given_back():
    """Whatever happens to sessions on the way: read, changed, written, decoded, forgotten."""
    share = a_share(1 << 20)
    near = Near(9, share)
    for key in (KEY, "b"):
        near.read(A, key=key)
        near.made(A, B, key=key)
        near.read(A, B, key=key)
        near.read(B, key=key)
        near.put(key, encode(of(A)), TTL_S)
        near.lanes(key)
        near.read(key=key)
    used = share.used_bytes
    for key in (KEY, "b"):
        near.forget(key)

    assert (True, 0) == (used > 0, share.used_bytes)


def test_a_session_that_was_dropped_takes_nothing_any_more():
    """A call that knew it before may still tell what was written of it."""
    share = a_share(1 << 20)
    near = Near(9, share)
    near.read(A)
    entry = near.known(KEY)
    assert entry is not None
    near.forget(KEY)
    near.keep_lanes(entry, of(A, B))

    assert 0 == share.used_bytes


def test_one_session_stays_though_it_be_alone_too_large():
    """Else no call of it would ever be pinned; nor is more given back than it has taken."""
    share = a_share(100)
    near = Near(9, share)
    near.read(A)
    near.read(A, key="other")
    used = share.used_bytes
    near.forget("other")

    assert (True, 0, 0) == (used > 100, share.used_bytes, len(near))


def test_sessions_that_were_written_are_not_kept_decoded(near, monkeypatch):
    """After an outage all that it brought would stay decoded, several times as large."""
    monkeypatch.setattr(near_memory, "DECODED", 2)
    near = Near()
    for key in "abcd":
        near.made(A, key=key)
    for key in "abcd":
        near.read(A, key=key)

    assert [None, None, of(A), of(A)] == [near.known(key).lanes for key in "abcd"]


@pytest.mark.parametrize("how", ["read", "made", "put"])
def test_a_hundred_thousand_sessions_take_no_more_than_they_may(how):
    """Of two lanes each; what they take is measured, not believed. A tenth of them, and of the
    memory.
    """
    two = of(*(Binding(f"p/model-{lane}", "code", lane, 1, 1.7e9, provider="p") for lane in "ab"))
    raw, share = encode(two), a_share(2_400_000)
    tracemalloc.start()
    try:
        near = Near(10_000, share)
        for number in range(10_000):
            key = f"plano:affinity:tenant:session-{number:024}"
            if how == "put":
                near.put(key, bytes(bytearray(raw)), TTL_S)
            elif how == "read":
                near.heard(key, bytes(bytearray(raw)), TTL_S, TTL_S)
            else:
                near.change(key, decode(raw) or NO_LANES, TTL_S)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(near) > 1500
    assert 0.7 * share.used_bytes < taken < 1.1 * share.at_most_bytes


LANE_A, LANE_C = make_session("s1", None, "a"), make_session("s1", None, "c")


@pytest.mark.parametrize(
    ("after_s", "renews_s", "left_s", "renewed"),
    [(50.0, TTL_S, 50.0, []), (51.0, TTL_S, TTL_S, [KEY]), (51.0, 0.0, 49.0, [])],
)
def test_use_in_the_second_half_begins_the_time_anew(near, after_s, renews_s, left_s, renewed):
    """Redis is to be told; a lane that is not bound uses nothing."""
    near.read(A)
    near.clock.advance(after_s)
    assert near.binding_at_hand(LANE_C, renews_s) is None

    assert A == near.binding_at_hand(LANE_A, renews_s)
    assert (left_s, renewed) == (near.left_s(near.find(KEY)), near.renewed)


@pytest.mark.parametrize("why", ["lasting", "dirty"])
def test_redis_is_not_told_of_what_it_does_not_time(near, why):
    """A key without expiry keeps none, and what is to be written brings its time along."""
    near.read(A, left_s=None if why == "lasting" else TTL_S)
    if why == "dirty":
        near.made(A2)
        near.happened(EntryEvent.KEPT, KEY)
    near.clock.advance(51.0)
    near.binding_at_hand(LANE_A, TTL_S)

    assert (TTL_S, []) == (near.left_s(near.find(KEY)), near.renewed)


def test_a_session_that_is_not_known_has_no_binding_at_hand(near):
    """It is to be read; one whose lanes are not decoded is decoded."""
    assert near.binding_at_hand(LANE_A, TTL_S) is None
    near.put(KEY, encode(of(A)), TTL_S)
    assert A == near.binding_at_hand(LANE_A, TTL_S)


def test_what_has_expired_is_not_shown(near):
    """It is dropped when it is met."""
    near.read(A)
    near.clock.advance(TTL_S)

    assert ([], 1, None, 0) == (list(near.items()), len(near), near.known(KEY), len(near))


def test_changes_of_two_lanes_come_together(near):
    """As calls make them."""
    near.read()
    near.change(KEY, claim(NO_LANES, "a", A), TTL_S)
    near.change(KEY, claim(near.known(KEY).lanes, "b", B), TTL_S)
    near.change(KEY, replace(near.known(KEY).lanes, "a", A, A2), TTL_S)
    near.change(KEY, release(near.known(KEY).lanes, "b", B), TTL_S)

    assert of(A2) == near.known(KEY).lanes


def test_it_may_be_made_smaller_and_larger():
    """The least recently used entries make room at once; more fit from then on."""
    near = Near()
    for name in "abcd":
        near.read(A, key=name)
    near.find("a")
    near.resize(2)
    left = [key for key, _ in near.items()]
    near.resize(3)
    for name in "efg":
        near.read(A, key=name)

    assert (["d", "a"], 3) == (left, len(near))
