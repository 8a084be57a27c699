"""Calls that are passed through: the config's entry, the session's, or the one that can be meant."""

from __future__ import annotations

import dataclasses

import pytest

from sidecar.domain.api_paths import api_path_of
from sidecar.domain.call import CHAT, RESPONSES, BodyFacts, Call, Endpoint, Operation
from sidecar.domain.decision import Decision, Source
from sidecar.domain.errors import PathNotFound
from sidecar.domain.events import PinRead
from sidecar.domain.vocabulary import PinOutcome
from sidecar.routing.table import ModelTable
from sidecar.selection.path_selector import UndecidedPath
from tests.selection.room import GPT, MINI, Room, a_pin
from tests.selection.test_selector import SlowStore, decide
from tests.support.providers import a_provider
from tests.support.values import a_call

TABLE = ModelTable(
    [a_provider(GPT, is_default=True), a_provider(MINI), a_provider("groq/llama")], {}
)


def passed(path: str = "/v1/responses/resp_1", model: str | None = None, **more: object) -> Call:
    endpoint = Endpoint(
        path,
        RESPONSES if "responses" in path else CHAT,
        Operation.PASSTHROUGH,
        api_path=api_path_of(path),
    )
    facts = BodyFacts(requested_model=model)
    return a_call(**{"endpoint": endpoint, "session_id": "s1", "facts": facts, "body": b"", **more})


@pytest.fixture
def room() -> Room:
    return Room(table=TABLE)


async def pinned(room: Room, model: str, lane: str = GPT) -> None:
    call = passed()
    session = room.session(a_call(session_id=call.session_id), lane)
    await room.store.claim(session, a_pin(model, lane, provider=model))
    room.events.clear()


def test_a_path_of_the_configs_is_decided_at_once(room):
    """Nothing is looked up for it."""
    found = room.selector.decide_nowait(passed(passthrough_provider="groq"))

    assert isinstance(found, Decision)
    assert ("groq/llama", []) == (found.candidates[0].provider, room.events)


@pytest.mark.parametrize(
    "changes",
    [{"session_id": None}, {"path": "/v1/files"}, {"path": "/v1/moderations", "model": "omni"}],
)
async def test_what_belongs_to_no_session_is_decided_at_once(room, changes):
    """The default entry, whatever the session is pinned to."""
    await pinned(room, MINI)
    found = room.selector.decide_nowait(passed(**changes))

    assert isinstance(found, Decision)
    assert (GPT, Source.DEFAULT, []) == (found.candidates[0].provider, found.source, room.events)


async def test_no_pin_is_read_where_only_one_entry_can_be_meant():
    """It would change nothing."""
    room = Room(table=ModelTable([a_provider(GPT), a_provider("groq/llama")], {}), routes=())
    found = room.selector.decide_nowait(passed())

    assert isinstance(found, Decision)
    assert (GPT, []) == (found.candidates[0].provider, room.events)


@pytest.mark.parametrize(
    "path", ["/v1/responses/r", "/v1/responses/r/cancel", "/v1/conversations/c"]
)
async def test_what_belongs_to_a_session_goes_where_its_first_lane_is_pinned(room, path):
    """No model is named there."""
    await pinned(room, MINI)
    found = room.selector.decide_nowait(passed(path))

    assert isinstance(found, Decision)
    assert (MINI, Source.PINNED) == (found.candidates[0].provider, found.source)


async def test_a_model_that_is_named_tells_the_lane(room):
    """As in calls of the session."""
    await pinned(room, MINI, lane=GPT)
    await pinned(room, GPT, lane=MINI)
    found = [
        await decide(room, passed("/v1/responses/compact", model))
        for model in (GPT, MINI, "groq/llama", None)
    ]

    assert [MINI, GPT, "groq/llama", MINI] == [each.candidates[0].provider for each in found]
    assert [Source.PINNED, Source.PINNED, Source.REQUESTED, Source.PINNED] == [
        each.source for each in found
    ]


async def test_a_pin_goes_before_a_model_of_another_kind():
    """The session asked for a model of Anthropic's, and is served by one of OpenAI's: what that one
    keeps is meant, whatever the body names.
    """
    table = ModelTable([a_provider(GPT), a_provider("anthropic/claude")], {})
    room = Room(table=table, routes=())
    await pinned(room, GPT, lane="anthropic/claude")
    call = passed("/v1/responses/compact", "anthropic/claude")
    found = await decide(room, call)

    assert (GPT, Source.PINNED) == (found.candidates[0].provider, found.source)
    with pytest.raises(PathNotFound):
        await decide(room, dataclasses.replace(call, session_id="another"))


async def test_a_pin_at_an_entry_that_does_not_serve_the_path_is_passed_by(room):
    """It stays as it is."""
    await pinned(room, "groq/llama")
    found = await decide(room, passed())

    assert (GPT, Source.DEFAULT) == (found.candidates[0].provider, found.source)


async def test_a_pin_that_is_not_at_hand_is_waited_for():
    """What came of it, and how long it took, is told; also that there is none."""
    room = Room(table=TABLE)
    room = Room(table=TABLE, store=SlowStore(room.clock, ttl_s=60, max_entries=9))
    undecided = room.selector.decide_nowait(passed())
    assert isinstance(undecided, UndecidedPath)
    found = await room.selector.decide(undecided)

    assert (GPT, PinOutcome.MISS, 0.25) == (
        found.candidates[0].provider,
        found.pin_outcome,
        found.affinity_s,
    )
    assert [False] == [each.is_found for each in room.events if isinstance(each, PinRead)]


@pytest.mark.parametrize(("model", "expected"), [(MINI, MINI), ("groq/llama", GPT)])
async def test_a_pin_of_another_pod_counts(model, expected):
    """Where its entry serves the path."""
    room = Room(table=TABLE, is_observed=False)
    await pinned(room, model)
    undecided = room.selector.decide_nowait(passed(session_id="s2"))
    assert isinstance(undecided, UndecidedPath)

    async def read(*_: object) -> object:
        return a_pin(model, GPT, provider=model)

    room.store.read = read  # type: ignore[assignment,method-assign]
    found = await room.selector.decide(undecided)

    assert (expected, PinOutcome.HIT) == (found.candidates[0].provider, found.pin_outcome)


def test_where_nothing_can_be_meant_that_is_said(room):
    """Also to a session."""
    with pytest.raises(PathNotFound):
        Room(table=ModelTable([a_provider("anthropic/c")], {}), routes=()).selector.decide_nowait(
            passed()
        )
