"""Which candidates can serve a call in full."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.domain.call import MESSAGES, Call
from sidecar.domain.decision import Binding, Candidate, Decision, Route, Source
from sidecar.domain.errors import (
    BodyTooLarge,
    DialectNotServed,
    InvalidBody,
    Overloaded,
    PathNotFound,
)
from sidecar.domain.translation import Fit
from sidecar.routing.table import ModelTable
from sidecar.selection.fitting import Fitting, usable
from tests.selection.room import CHAT_PATH, COUNT_PATH, GPT, MESSAGES_PATH, Room, asked
from tests.support.providers import a_provider
from tests.support.translations import KNOWN, UNKNOWN, BodyRoomOf, PlainReader
from tests.support.values import a_call

CLAUDE, OTHER = "anthropic/claude", "anthropic/other"
TABLE = ModelTable(
    (
        a_provider(GPT, is_default=True),
        a_provider(CLAUDE, translate=True, fallbacks=(GPT,)),
        a_provider(OTHER, translate=True, name="strict"),
    ),
    {},
)
(NATIVE,), (LOSSLESS,), (OTHER_ONE,) = map(TABLE.entries_of, (GPT, CLAUDE, OTHER))
DECISIVE = Fit(MESSAGES, (KNOWN, UNKNOWN), (KNOWN,))
AVOIDABLE = Fit(MESSAGES, (UNKNOWN,), goes_behind=True)
CALL = {"endpoint": asked(CHAT_PATH).endpoint}


Fits = dict[str, Fit]
NONE: Fits = {}


def _fitting(fits: Fits = NONE, room: BodyRoomOf | None = None) -> tuple[Fitting, PlainReader]:
    reader = PlainReader(**fits)
    return Fitting(reader.load, room or BodyRoomOf()), reader


def _decision(*candidates: Candidate) -> Decision:
    return Decision(Source.REQUESTED, candidates, requested=candidates)


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ({}, [LOSSLESS, NATIVE, OTHER_ONE]),
        ({CLAUDE: DECISIVE}, [NATIVE, OTHER_ONE]),
        ({CLAUDE: AVOIDABLE}, [NATIVE, OTHER_ONE, LOSSLESS]),
        ({CLAUDE: AVOIDABLE, "strict": DECISIVE}, [NATIVE, LOSSLESS]),
    ],
)
async def test_who_would_lose_something_goes_behind_or_is_left_out(fits, expected):
    """What others need not lose is as good as decisive, as long as they are there."""
    fitting, reader = _fitting(fits)
    call = asked()
    found = await fitting.decision(call, _decision(LOSSLESS, NATIVE, OTHER_ONE))

    assert expected == list(found.candidates)
    assert [each for each in (LOSSLESS, NATIVE, OTHER_ONE) if each in expected] == list(
        found.requested
    )
    assert found.candidates == await fitting.candidates(call, found.candidates)
    assert 1 == reader.reads


async def test_where_none_is_left_the_error_names_them_and_their_fields():
    """In the caller's dialect, by the handler."""
    fitting, _ = _fitting({CLAUDE: DECISIVE, "strict": DECISIVE})
    with pytest.raises(DialectNotServed) as raised:
        await fitting.decision(asked(), _decision(LOSSLESS, OTHER_ONE))

    assert "logprobs" == raised.value.param
    assert (
        "no model that may serve this request speaks 'chat', and translation would lose what it "
        "relies on: anthropic/claude (anthropic/claude), asked in 'messages', would lose logprobs; "
        "anthropic/other (strict), asked in 'messages', would lose logprobs"
    ) == raised.value.message
    assert () == await fitting.candidates(asked(), (LOSSLESS, OTHER_ONE))


async def test_many_fields_are_cut_short():
    """A caller may invent thousands, of any length."""
    many = tuple(type(KNOWN)(f"{number}" * 99, is_known=False) for number in range(9))
    fitting, _ = _fitting({CLAUDE: Fit(MESSAGES, many, many)})
    with pytest.raises(DialectNotServed) as raised:
        await fitting.decision(asked(), _decision(LOSSLESS))

    assert raised.value.message.endswith(f"{'7' * 64}, ...")
    assert len(raised.value.message) < 1000


async def test_candidates_that_speak_the_dialect_are_not_looked_at():
    """The body is not read for them."""
    fitting, reader = _fitting()

    assert (NATIVE,) == await fitting.candidates(asked(), (NATIVE,))
    assert (None,) == await fitting.fits(asked(), (NATIVE,))
    assert 0 == reader.reads


async def test_each_candidates_fit_can_be_looked_at():
    """For a person to read."""
    fitting, _ = _fitting({CLAUDE: DECISIVE})

    assert (None, DECISIVE) == await fitting.fits(asked(), (NATIVE, LOSSLESS))


async def test_what_is_read_takes_memory_until_the_body_is_let_go():
    """Once more than the body itself, and what is written of it."""
    room = BodyRoomOf()
    fitting, _ = _fitting(room=room)
    call = a_call(**CALL, give_back=room.give_back)
    room.taken_bytes = len(call.body)
    await fitting.candidates(call, (LOSSLESS,))

    assert 3 * call.body_bytes == room.taken_bytes
    assert call.translation is not None

    call.release_body()
    call.release_body()

    assert [0, None] == [room.taken_bytes, call.translation]


async def test_a_body_without_an_owner_is_let_go_all_the_same():
    """Calls that a command makes take no memory."""
    fitting, _ = _fitting()
    call = asked()
    await fitting.candidates(call, (LOSSLESS,))
    call.release_body()

    assert (b"", None) == (call.body, call.translation)


async def test_a_body_that_cannot_be_read_goes_to_those_that_speak_its_dialect():
    """What the sidecar does not understand they may; where there are none the app learns why."""
    room = BodyRoomOf()
    fitting, reader = _fitting(room=room)
    reader.is_refusing = True

    assert (NATIVE,) == (await fitting.decision(asked(), _decision(LOSSLESS, NATIVE))).candidates
    with pytest.raises(InvalidBody):
        await fitting.decision(asked(), _decision(LOSSLESS))
    assert () == await fitting.candidates(asked(), (LOSSLESS,))
    assert 0 == room.taken_bytes


async def test_a_body_that_memory_has_no_room_for_is_not_translated():
    """Said at once where there never can be, and otherwise after a wait."""

    class Full(BodyRoomOf):
        async def take(self, size: int) -> None:
            raise Overloaded("full")

    for room, error in ((BodyRoomOf(9), BodyTooLarge), (Full(), Overloaded)):
        fitting, _ = _fitting(room=room)
        with pytest.raises(error):
            await fitting.decision(asked(), _decision(LOSSLESS))
        assert (NATIVE,) == await fitting.candidates(asked(), (LOSSLESS, NATIVE))


async def test_a_call_that_is_given_up_meanwhile_takes_no_memory():
    """The app may leave while its body is read."""
    room = BodyRoomOf()

    class Unending(PlainReader):
        def __call__(self, call):
            while True:
                yield

    fitting = Fitting(Unending().load, room)
    task = asyncio.create_task(fitting.decision(asked(), _decision(LOSSLESS)))  # noqa: TID251
    while not room.taken_bytes:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert 0 == room.taken_bytes


async def test_what_reads_calls_is_loaded_once_for_calls_that_come_together():
    """One that is given up meanwhile leaves it to the others."""
    loads, go_on = [], asyncio.Event()

    class Slow(PlainReader):
        async def load(self):
            loads.append(self)
            await go_on.wait()
            return self

    fitting = Fitting(Slow().load, BodyRoomOf())
    waiting = [asyncio.ensure_future(fitting.load()) for _ in range(3)]  # noqa: TID251
    while not loads:
        await asyncio.sleep(0)
    waiting[0].cancel()
    go_on.set()

    assert loads == list(dict.fromkeys(await asyncio.gather(*waiting[1:])))
    assert loads == [await fitting.load()]


async def test_a_load_that_cannot_be_done_now_is_an_overload():
    """The next call tries again."""

    class Failing(PlainReader):
        async def load(self):
            self.reads += 1
            if self.reads == 1:
                raise OSError("no thread can be had")
            return self

    fitting = Fitting(Failing().load, BodyRoomOf())
    with pytest.raises(Overloaded):
        await fitting.decision(asked(), _decision(LOSSLESS))

    assert (LOSSLESS,) == (await fitting.decision(asked(), _decision(LOSSLESS))).candidates
    await fitting.aclose()


async def test_a_count_of_tokens_is_never_translated():
    """No other API has it; those that speak messages have it anyway."""
    gpt = a_provider(GPT, translate=True)
    table = ModelTable((gpt, a_provider(CLAUDE)), {})
    (translated,), (native,) = map(table.entries_of, (GPT, CLAUDE))
    fitting, reader = _fitting()
    call = asked(COUNT_PATH)
    with pytest.raises(PathNotFound, match="has no counter of tokens"):
        await fitting.decision(call, _decision(translated, native))

    assert (native,) == await fitting.candidates(call, (translated, native))
    assert 0 == reader.reads


def test_of_a_call_that_was_not_read_those_are_usable_that_speak_its_dialect():
    """Nothing is known of the others."""
    assert (NATIVE,) == usable(asked(), (LOSSLESS, NATIVE))


async def test_a_home_that_cannot_serve_the_call_is_not_returned_to():
    """The session goes home with another call."""
    pin = Binding(GPT, provider=GPT, home=CLAUDE, home_provider=CLAUDE)
    decision = Decision(Source.PINNED, (LOSSLESS, NATIVE), returns_home=True, binding=pin)
    fitting, _ = _fitting({CLAUDE: DECISIVE})
    found = await fitting.decision(asked(), decision)

    assert ((NATIVE,), False) == (found.candidates, found.returns_home)
    assert (await _fitting()[0].decision(asked(), decision)).returns_home


class TestSelector:
    """Where the selector asks: before a pin is made, and for a pin that stands."""

    def _room(self, fits: Fits = NONE) -> Room:
        room = Room(table=TABLE, routes=(Route("code", "writing code", (LOSSLESS, NATIVE)),))
        room.reader.fits = fits
        return room

    async def _decide(self, room: Room, call: Call) -> Decision:
        found = room.selector.decide_nowait(call)
        return found if isinstance(found, Decision) else await room.selector.decide(found)

    async def test_a_session_is_pinned_to_who_can_serve_its_first_call(self):
        """So that its next call goes there too."""
        room = self._room({CLAUDE: DECISIVE})
        call = asked()
        decision = await self._decide(room, call)

        assert [NATIVE] == list(decision.candidates)
        assert (GPT, True) == (
            decision.binding and decision.binding.model_name,
            decision.is_claimed,
        )

    async def test_a_pinned_session_keeps_its_pin_where_one_call_cannot_be_served_there(self):
        """The next candidate serves it."""
        room = self._room()
        first = await self._decide(room, asked())
        room.reader.fits = {CLAUDE: DECISIVE}
        second = await self._decide(room, asked())

        assert (CLAUDE, CLAUDE) == (
            first.binding and first.binding.model_name,
            second.binding and second.binding.model_name,
        )
        assert ([LOSSLESS, NATIVE], [NATIVE]) == (list(first.candidates), list(second.candidates))

    async def test_a_call_without_a_session_is_looked_at_too(self):
        """There is no pin to make."""
        room = self._room({CLAUDE: DECISIVE})
        decision = await self._decide(room, asked(session_id=None))

        assert [NATIVE] == list(decision.candidates)

    async def test_a_call_whose_model_speaks_its_dialect_waits_for_nothing(self):
        """Its body is not read, whatever follows."""
        room = Room(table=TABLE, routes=())
        call = asked(MESSAGES_PATH, CLAUDE, session_id=None)

        assert isinstance(room.selector.decide_nowait(call), Decision)
        assert 0 == room.reader.reads

    async def test_a_count_of_tokens_goes_to_the_sessions_model_or_is_not_found(self):
        """An agent then guesses, as it does with any gateway."""
        table = ModelTable((a_provider(GPT, translate=True), a_provider(CLAUDE)), {})
        room = Room(table=table, is_routed=False, routes=())
        for session_id in ("s1", None):
            with pytest.raises(PathNotFound):
                await self._decide(room, asked(COUNT_PATH, GPT, session_id=session_id))

    async def test_a_count_of_tokens_beside_routes_is_not_found_either(self):
        """It is asked of the requested model, whatever the routes are."""
        table = ModelTable((a_provider(GPT, translate=True), a_provider(CLAUDE)), {})
        room = Room(table=table)
        for session_id in ("s1", None):
            with pytest.raises(PathNotFound):
                await self._decide(room, asked(COUNT_PATH, GPT, session_id=session_id))

    async def test_an_entry_of_the_first_model_that_is_translated_for_is_looked_at_before_the_pin(
        self,
    ):
        """Of several entries the session is pinned to one that does not cool."""
        table = ModelTable(
            (
                a_provider(GPT, name="own"),
                a_provider(GPT, name="far", translate=True, by_dialect={MESSAGES: "/m"}),
            ),
            {},
        )
        room = Room(table=table, is_routed=False, routes=())
        room.reader.fits = {"far": DECISIVE}
        room.cooling.add(table.entries_of(GPT)[0])
        decision = await self._decide(room, asked(model=GPT))

        assert ["own"] == [each.provider for each in decision.candidates]
        assert "own" == (decision.binding and decision.binding.provider)

    async def test_what_a_person_asks_is_read_too(self):
        """By the same room."""
        room = self._room({CLAUDE: AVOIDABLE})

        assert (AVOIDABLE, None) == await room.selector.others.fitting.fits(
            asked(), (LOSSLESS, NATIVE)
        )
