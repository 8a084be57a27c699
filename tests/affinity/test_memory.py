"""Pins in one process: first writer wins, time ends them, lanes stay apart."""

import pytest

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.session import make_session
from sidecar.domain.decision import Binding
from tests.support.values import FakeClock

MAIN = make_session("s", None, "openai/gpt-4o")
SIDE = make_session("s", None, "openai/gpt-4o-mini")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock, ttl_s=100, max_entries=3)


def _pin(model: str) -> Binding:
    return Binding(model, requested_model=model)


async def test_the_first_claim_stands(store):
    """A second claim of the same lane gets the first one's binding back."""
    first = await store.claim(MAIN, _pin("openai/gpt-4o"))

    assert first == await store.claim(MAIN, Binding("other/model", requested_model="openai/gpt-4o"))
    assert first == await store.get(MAIN)


async def test_a_second_lane_has_a_pin_of_its_own(store):
    """A side call on another model does not share and does not evict the main loop's pin."""
    main = await store.claim(MAIN, _pin("openai/gpt-4o"))
    side = await store.claim(SIDE, _pin("openai/gpt-4o-mini"))

    assert main == await store.get(MAIN)
    assert side == await store.get(SIDE)
    assert side == await store.claim(SIDE, _pin("x"))


async def test_a_pin_is_its_lanes(store):
    """Whatever it names itself."""
    pin = await store.claim(MAIN, Binding("openai/gpt-4o"))

    assert (MAIN.lane, None) == (pin.requested_model, await store.get(SIDE))


async def test_a_fixed_time_to_live_is_that_of_the_first_lane(clock):
    """A lane that comes later, and a move, leave it as it is."""
    store = MemoryStore(clock, ttl_s=100, max_entries=3, is_sliding=False)
    pin = await store.claim(MAIN, _pin(MAIN.lane))
    clock.advance(60)
    await store.claim(SIDE, _pin(SIDE.lane))
    await store.replace(MAIN, pin, _pin("x"))
    await store.get(MAIN)
    clock.advance(40)

    assert [None, None] == [await store.get(MAIN), await store.get(SIDE)]


async def test_a_pin_ends_with_its_ttl(store, clock):
    """Not read for a whole TTL, it is gone."""
    await store.claim(MAIN, _pin(MAIN.lane))
    clock.advance(100)

    assert await store.get(MAIN) is None
    assert 0 == len(store)


async def test_use_in_the_second_half_renews(store, clock):
    """A session that goes on keeps its pin: reads after half the TTL start it anew."""
    pin = await store.claim(MAIN, _pin(MAIN.lane))
    for _ in range(5):
        clock.advance(60)
        assert pin == await store.get(MAIN)


async def test_the_least_recently_used_pin_makes_room(store):
    """At the limit, the session that was idle longest is forgotten."""
    for name in "abc":
        await store.claim(make_session(name), Binding("m"))
    await store.get(make_session("a"))
    await store.claim(make_session("d"), Binding("m"))

    assert await store.get(make_session("b")) is None
    assert await store.get(make_session("a")) is not None
    await store.aclose()


async def test_pins_come_in_pages_by_tenant(store):
    """Each once; a tenant whose name begins like another's is another."""
    for tenant, name in (("a", "1"), ("a", "2"), ("ab", "3"), (None, "4")):
        await store.claim(make_session(name, tenant), Binding("m"))
    first = await store.pins.page(None, None, 2)
    second = await store.pins.page(None, first.cursor, 2)

    assert ["2", "3", "4"] == [pin.session_id for page in (first, second) for pin in page.pins]
    assert (None, ["2"]) == (
        second.cursor,
        [pin.session_id for pin in (await store.pins.page("a", None, 9)).pins],
    )
    assert ["3"] == [pin.session_id for pin in await store.pins.of_session("ab", "3")]
    assert [1, 0] == [await store.pins.drop("ab", "3") for _ in range(2)]


async def test_all_pins_of_a_session_are_shown_and_dropped(store):
    """Those of its lanes, and of its agents."""
    agent = make_session("s", None, "openai/gpt-4o", "a7")
    for session in (MAIN, SIDE, agent):
        await store.claim(session, _pin("m"))
    shown = await store.pins.of_session(None, "s")

    assert [(None, None), (None, SIDE.lane), ("a7", None)] == [(p.agent, p.lane) for p in shown]
    assert ["a7"] == [pin.agent for pin in await store.pins.of_session(None, "s", "a7")]
    assert (1, 1) == (await store.pins.drop(None, "s", "a7"), len(store))
    assert (2, 0) == (await store.pins.drop(None, "s"), len(store))


async def test_a_session_that_is_used_for_ever_leaves_nothing_behind(store, clock):
    """Its time begins anew again and again, and there is no Redis to be told of that."""
    await store.claim(MAIN, _pin("openai/gpt-4o"))
    for _ in range(10):
        clock.advance(60)
        assert store.get_nowait(MAIN) is not None

    assert [] == store._near.renewed
