"""The selector: what it reads, asks, writes and waits for."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.memory import MemoryStore
from sidecar.domain.call import Call
from sidecar.domain.decision import Binding, Decision, Source
from sidecar.domain.errors import DialectNotServed
from sidecar.domain.events import AffinityOperation, PinRead, RouterAsked
from sidecar.domain.ids import FLAG_SAMPLED, Session, TraceContext
from sidecar.domain.vocabulary import PinOperation, PinOutcome, RouterOutcome
from sidecar.routing.table import ModelTable
from sidecar.selection.selector import Undecided
from sidecar.selection.steps import Step
from tests.selection.room import (
    CLAUDE,
    COUNT_PATH,
    EU,
    GOES_ON,
    GPT,
    LLAMA,
    MESSAGES_PATH,
    MINI,
    US,
    Room,
    a_pin,
    asked,
    inline,
)
from tests.support.providers import a_provider
from tests.support.values import FakeClock


async def decide(room: Room, call: Call) -> Decision:
    found = room.selector.decide_nowait(call)
    return found if isinstance(found, Decision) else await room.selector.decide(found)


def model_of(decision: Decision) -> str:
    return decision.candidates[0].model_name


class RacedStore(MemoryStore):
    """A store in which another pod is first: ``winner`` stands there when the first claim comes."""

    def __init__(self, winner: Binding) -> None:
        super().__init__(FakeClock(), ttl_s=60, max_entries=9)
        self.winner = winner

    async def claim(
        self, session: Session, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        await super().claim(session, self.winner)
        return await super().claim(session, binding)


class SlowStore(MemoryStore):
    """A store whose every lookup takes a moment."""

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        assert budget is not None
        budget.waited_s += 0.25
        return await super().read(session, budget)


@pytest.fixture
def room() -> Room:
    return Room()


def test_without_routes_the_requested_model_is_decided_at_once():
    """No store is asked, and no router model."""
    room = Room(is_routed=False)
    found = room.selector.decide_nowait(asked())

    assert isinstance(found, Decision)
    assert (GPT, Source.REQUESTED, []) == (model_of(found), found.source, room.events)


async def test_a_pin_at_hand_is_decided_at_once(room):
    """The store is asked once, and the router model not at all."""
    call = asked()
    pin = await room.store.claim(room.session(call), a_pin(MINI))
    found = room.selector.decide_nowait(call)

    assert isinstance(found, Decision)
    assert (MINI, Source.PINNED, pin, 0) == (
        model_of(found),
        found.source,
        found.binding,
        room.questions,
    )


async def test_a_first_call_asks_and_claims(room):
    """Its route becomes the session's pin, which the next call finds."""
    call = asked(model=MINI)
    undecided = room.selector.decide_nowait(call)
    assert isinstance(undecided, Undecided)
    assert Step.READ_PIN is undecided.step
    decision = await room.selector.decide(undecided)

    assert (Source.ROUTED, GPT, True, 1) == (
        decision.source,
        model_of(decision),
        decision.is_claimed,
        room.questions,
    )
    assert decision.binding == room.store.get_nowait(room.session(call, MINI))
    now_s = room.clock.monotonic_s()
    assert RouterAsked(RouterOutcome.MATCHED, 0.0, call=call, began_s=now_s) in room.events
    assert PinRead(call, now_s, 0.0, False) in room.events


@pytest.mark.parametrize(("flags", "expected"), [(0, ""), (FLAG_SAMPLED, "a" * 32)])
async def test_the_trace_of_a_sampled_call_goes_with_what_it_waited_for(flags, expected):
    """To the store with its budget, and to what hears of the router model."""
    room = Room()
    budget = room.store.budget()
    room.store.budget = lambda: budget  # type: ignore[method-assign] # to look at it
    trace = TraceContext("a" * 32, "b" * 16, flags)
    await decide(room, dataclasses.replace(asked(), trace=trace))

    assert expected == budget.trace_id
    assert [expected] == [each.trace_id for each in room.events if isinstance(each, RouterAsked)]


async def test_what_nobody_listens_to_is_not_made():
    """A decision is the same without observers."""
    assert Source.ROUTED is (await decide(Room(is_observed=False), asked())).source


async def test_a_call_that_stands_alone_makes_no_pin(room):
    """It is routed, and that is all."""
    decision = await decide(room, asked(session_id=None))

    assert (Source.ROUTED, None, 0) == (decision.source, decision.binding, len(room.store))


@pytest.mark.parametrize("changes", [{"path": COUNT_PATH}, {"holds_provider_state": True}])
async def test_a_call_that_may_not_be_routed_goes_to_the_requested_model(room, changes):
    """Once the store has said that there is no pin."""
    model = CLAUDE if "path" in changes else GPT
    decision = await decide(room, asked(model=model, **changes))

    assert (model, Source.REQUESTED, 0) == (model_of(decision), decision.source, room.questions)


async def test_a_pin_that_only_the_store_knows_is_used(room):
    """After one look."""

    class Shared(SlowStore):
        async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
            await super().read(session, budget)
            return a_pin(MINI)

    room = Room(store=Shared(FakeClock(), ttl_s=60, max_entries=9))
    decision = await decide(room, asked())

    assert (MINI, Source.PINNED, 0.25) == (model_of(decision), decision.source, decision.affinity_s)


async def test_what_a_call_waited_for_the_store_is_told(room):
    """For its timing header."""
    room = Room(store=SlowStore(FakeClock(), ttl_s=60, max_entries=9))

    assert 0.25 == (await decide(room, asked())).affinity_s


async def test_a_decision_says_what_came_of_reading_the_pin(room):
    """A pin at hand says so by deciding."""
    first, second = await decide(room, asked()), await decide(room, asked())

    assert (PinOutcome.MISS, None) == (first.pin_outcome, second.pin_outcome)
    assert (Source.ROUTED, Source.PINNED) == (first.source, second.source)


async def test_a_decision_says_that_the_store_was_in_trouble():
    """The call was served all the same."""

    class Broken(MemoryStore):
        async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
            assert budget is not None
            budget.trouble = PinOutcome.TIMEOUT
            return None

    room = Room(store=Broken(FakeClock(), ttl_s=60, max_entries=9))

    assert PinOutcome.TIMEOUT is (await decide(room, asked())).pin_outcome


async def test_a_pin_from_the_shared_store_is_a_hit():
    """Or the reason for which it is passed by."""

    class Shared(MemoryStore):
        async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
            return a_pin(MINI)

    room = Room(store=Shared(FakeClock(), ttl_s=60, max_entries=9))
    passed_by = asked(routing_preferences=inline(GPT))
    counted = asked(path=COUNT_PATH, model=CLAUDE)

    assert PinOutcome.HIT is (await decide(room, asked())).pin_outcome
    room.route = "own"
    assert PinOutcome.INLINE_LIST is (await decide(room, passed_by)).pin_outcome
    assert PinOutcome.DIALECT is (await decide(room, counted)).pin_outcome


async def test_first_calls_that_come_together_ask_once_and_agree(room):
    """All but the first adopt the pin; a caller that goes away ends it for nobody."""
    undecided = [room.selector.decide_nowait(asked()) for _ in range(5)]
    tasks = [
        asyncio.get_running_loop().create_task(room.selector.decide(each), name="a call")
        for each in undecided
        if isinstance(each, Undecided)
    ]
    await asyncio.sleep(0)
    tasks[0].cancel()
    decisions = await asyncio.gather(*tasks[1:])

    assert ([GPT] * 4, 1) == ([model_of(each) for each in decisions], room.questions)
    assert {Source.PINNED} == {each.source for each in decisions}
    assert {False} == {each.is_claimed for each in decisions}


async def test_a_first_call_that_fails_does_not_fail_the_others(room):
    """Its route does not speak its dialect; another call's dialect is another matter."""
    room.route = "talk"
    chat, messages = asked(), asked(path=MESSAGES_PATH)
    outcomes = await asyncio.gather(
        decide(room, chat), decide(room, messages), return_exceptions=True
    )

    assert isinstance(outcomes[0], DialectNotServed)
    assert isinstance(outcomes[1], Decision)
    assert (CLAUDE, None) == (model_of(outcomes[1]), outcomes[1].binding)


async def test_a_pin_that_a_joining_call_cannot_use_is_not_adopted(room):
    """It asks for itself, and leaves the pin alone."""
    plain, own_list = asked(), asked(routing_preferences=inline(MINI))
    room.route = ["code", "own"]
    first, second = await asyncio.gather(decide(room, plain), decide(room, own_list))

    assert (GPT, MINI) == (model_of(first), model_of(second))
    assert (first.binding, None) == (room.store.get_nowait(room.session(plain)), second.binding)


async def test_the_loser_of_a_race_adopts(room):
    """Another pod has pinned the session to another model meanwhile."""
    room = Room(store=RacedStore(a_pin(MINI)))
    decision = await decide(room, asked())

    assert (MINI, Source.PINNED, False) == (
        model_of(decision),
        decision.source,
        decision.is_claimed,
    )


async def test_the_loser_of_a_race_tells_how_long_it_waited_for_the_router_model():
    """Else that time would count as what the sidecar itself added to the call."""
    room = Room(store=RacedStore(a_pin(MINI)))
    room.reply_takes_s = 0.25
    decision = await decide(room, asked())

    assert (Source.PINNED, 0.25) == (decision.source, decision.router_s)


async def test_the_loser_of_a_race_against_a_pin_of_no_use_serves_its_own(room):
    """The other pod's model does not speak this call's dialect: served without a pin."""
    room = Room(store=RacedStore(a_pin(CLAUDE)))
    decision = await decide(room, asked())

    assert (GPT, Source.ROUTED, None) == (model_of(decision), decision.source, decision.binding)


async def test_a_provisional_winner_gives_way_to_what_the_router_model_said(room):
    """At a conversation's start; later on it holds."""
    fresh = Room(store=RacedStore(a_pin(MINI, provisional=True)))
    later = Room(store=RacedStore(a_pin(MINI, provisional=True)))
    decisions = await decide(fresh, asked()), await decide(later, asked(messages=GOES_ON))

    assert [(GPT, True), (MINI, False)] == [(model_of(each), each.is_claimed) for each in decisions]


async def test_a_router_model_that_fails_makes_a_provisional_pin_that_is_replaced_later(room):
    """Once it can be asked again, by the next conversation; a second failure keeps it."""
    room.status = 500
    first = await decide(room, asked())
    second = await decide(room, asked())
    room.status = 200
    third = await decide(room, asked(messages=GOES_ON))
    fourth = await decide(room, asked())

    assert [(Source.FALLBACK, 1), (Source.PINNED, 1), (Source.PINNED, 1), (Source.ROUTED, 2)] == [
        (each.source, each.binding.generation if each.binding else 0)
        for each in (first, second, third, fourth)
    ]


async def test_a_pin_that_is_passed_over_is_counted_and_stays(room):
    """Served without it."""
    call = asked(routing_preferences=inline(MINI))
    room.route = "own"
    pin = await room.store.claim(room.session(call), a_pin())
    decision = await decide(room, call)

    assert (MINI, None) == (model_of(decision), decision.binding)
    assert PinOutcome.INLINE_LIST is decision.pin_outcome
    assert AffinityOperation(PinOperation.BYPASS, PinOutcome.INLINE_LIST) in room.events
    assert pin == room.store.get_nowait(room.session(call))


async def test_a_call_that_passes_its_pin_by_writes_nothing(monkeypatch, room):
    """What its own list came to is no pin of the session, not even one that loses a race."""
    call = asked(routing_preferences=inline(MINI))
    room.route = "own"
    await room.store.claim(room.session(call), a_pin())
    for operation in ("claim", "replace"):
        monkeypatch.setattr(room.store, operation, None)

    assert MINI == model_of(await decide(room, call))


async def test_a_pin_that_cannot_be_written_is_not_made(monkeypatch, room):
    """The call is served by its own decision."""
    monkeypatch.setattr(type(room.decisions), "pin_of", lambda *_: None)
    decision = await decide(room, asked())

    assert (GPT, None, 0) == (model_of(decision), decision.binding, len(room.store))


async def test_a_look_changes_nothing(room):
    """The router model is asked, the pin is shown, and none is made."""
    none = await room.selector.look(asked())
    assert 0 == len(room.store)
    await room.store.claim(room.session(asked()), a_pin(MINI))
    pinned = await room.selector.look(asked())
    alone = await room.selector.look(asked(session_id=None))

    assert [(Source.ROUTED, GPT), (Source.PINNED, MINI), (Source.ROUTED, GPT)] == [
        (look.decision.source, model_of(look.decision)) for look in (none, pinned, alone)
    ]
    assert none.verdict is not None
    assert none.ranked is not None
    assert "hello" in none.prompt


async def test_a_look_without_routes_shows_the_requested_model():
    """There is nobody to ask."""
    look = await Room(is_routed=False).selector.look(asked())

    assert (GPT, None, "") == (model_of(look.decision), look.verdict, look.prompt)


async def test_a_look_without_routes_shows_the_entry_that_is_pinned():
    """A group's account."""
    room = Room(routes=())
    call = asked(model=LLAMA)
    await room.store.claim(room.session(call, LLAMA), a_pin(LLAMA, LLAMA, provider="us"))
    look = await room.selector.look(call)

    assert ("us", Source.PINNED) == (look.decision.candidates[0].provider, look.decision.source)


async def test_closing_gives_up_what_is_under_way(room):
    """First calls end with the sidecar."""
    undecided = room.selector.decide_nowait(asked())
    assert isinstance(undecided, Undecided)
    task = asyncio.get_running_loop().create_task(room.selector.decide(undecided), name="a call")
    await asyncio.sleep(0)
    await room.selector.aclose()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_without_routes_a_session_stays_at_an_entry():
    """No router model is asked; the pin names the account, and no route."""
    room = Room(routes=())
    first = await decide(room, asked(model=LLAMA))
    second = await decide(room, asked(model=LLAMA, messages=GOES_ON))

    assert [(Source.REQUESTED, True), (Source.PINNED, False)] == [
        (each.source, each.is_claimed) for each in (first, second)
    ]
    pin = room.store.get_nowait(room.session(asked(), LLAMA))
    assert pin == first.binding == second.binding
    assert pin is not None
    assert (LLAMA, "eu", None, False) == (
        pin.model_name,
        pin.provider,
        pin.route_name,
        pin.provisional,
    )
    assert 0 == room.questions


async def test_a_session_that_begins_while_an_account_cools_belongs_to_another():
    """It has nothing at the first one to come back to; another model is no account of the same."""
    room = Room(routes=())
    room.cooling.add(EU)
    begins, goes_on = [await decide(room, asked(model=LLAMA)) for _ in range(2)]
    assert begins.binding is not None
    assert ("us", None) == (begins.binding.provider, begins.binding.home)
    for decision in (begins, goes_on):
        assert ["us", "eu", MINI] == [each.provider for each in decision.candidates]

    room.cooling.add(US)
    other = await decide(room, asked(model=LLAMA, session_id="s2"))
    assert other.binding is not None
    assert (LLAMA, "eu") == (other.binding.model_name, other.binding.provider)


async def test_an_account_is_not_changed_for_one_that_is_sent_the_callers_own_credential():
    """It may be good for one of them alone."""
    own = ModelTable(
        tuple(a_provider(LLAMA, name=name, passthrough_auth=True) for name in ("eu", "us")), {}
    )
    room = Room(routes=(), table=own)
    room.cooling.add(own.entries_of(LLAMA)[0])
    decision = await decide(room, asked(model=LLAMA))

    assert decision.binding is not None
    assert "eu" == decision.binding.provider


async def test_without_routes_the_loser_of_a_race_adopts_the_entry():
    """Two pods agree on an account, as they agree on a model."""
    room = Room(routes=(), store=RacedStore(a_pin(LLAMA, LLAMA, provider="us")))
    decision = await decide(room, asked(model=LLAMA))

    assert ("us", Source.PINNED) == (decision.candidates[0].provider, decision.source)


async def test_without_routes_a_pin_of_a_model_that_is_gone_makes_room():
    """Once it is older than any rollout."""
    room = Room(routes=())
    call = asked(model=LLAMA)
    session = room.session(call, LLAMA)
    await room.store.claim(session, a_pin("openai/gone", LLAMA, bound_at_unix_s=1.0))
    decision = await decide(room, call)

    assert (LLAMA, "eu", 2) == (
        decision.binding.model_name if decision.binding else None,
        decision.candidates[0].provider,
        decision.binding.generation if decision.binding else 0,
    )


async def test_a_call_without_its_routes_leaves_the_next_conversation_to_the_router_model(room):
    """It pins its account for the conversation that it stands in."""
    alone = await decide(room, asked(model=LLAMA, routing_preferences=b"[]"))
    goes_on = await decide(room, asked(model=LLAMA, messages=GOES_ON))
    begins = await decide(room, asked(model=LLAMA))

    assert [Source.REQUESTED, Source.PINNED, Source.ROUTED] == [
        each.source for each in (alone, goes_on, begins)
    ]


async def test_what_no_route_fits_is_pinned_as_requested(room):
    """With the entry, and without a route."""
    room.route = "other"
    decision = await decide(room, asked(model=LLAMA))

    assert decision.binding is not None
    assert (LLAMA, "eu", None, False) == (
        decision.binding.model_name,
        decision.binding.provider,
        decision.binding.route_name,
        decision.binding.provisional,
    )
