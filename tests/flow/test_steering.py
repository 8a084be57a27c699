"""One caller's bad luck steers nobody else: what a call meets is its own, and its session's. Shown
with real sockets, one provider for all models and a router model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.poison import GPT, MINI, ROUTE, TEXT, served
from tests.support.steered import (
    FIREWALL,
    UNSUPPORTED,
    Steered,
    steered_sidecar,
)


@pytest_asyncio.fixture
async def steered(tmp_path: Path) -> AsyncIterator[Steered]:
    """One in which the session `other` has its pin."""
    async with steered_sidecar(tmp_path) as made:
        assert (200, "routed", GPT, "1") == served(await made.ask("other"))
        yield made


async def others_are_as_before(steered: Steered) -> None:
    """Check that a session with a pin, and one without, are served as if nothing had been."""
    replies = [await steered.ask("other"), await steered.ask(f"new after {steered.provider.seen}")]
    assert [(200, "pinned", GPT, "1"), (200, "routed", GPT, "1")] == list(map(served, replies))


async def test_a_firewalls_refusal_goes_on_and_holds_nothing(steered):
    """The call is served by the next model, as often as it comes."""
    for number in range(20):
        steered.provider.script.next(FIREWALL, model="gpt-4o")
        assert (200, "routed", MINI, "2") == served(await steered.ask(f"blocked {number}"))

    await others_are_as_before(steered)


async def test_a_prompt_of_death_that_is_sent_again_takes_a_model_from_nobody(steered):
    """Without a session the very same call is the same caller's."""
    for _ in range(100):
        steered.provider.script.next("500", model="gpt-4o")
        assert (200, "routed", MINI, "2") == served(await steered.ask(None))

    await others_are_as_before(steered)


async def test_failures_of_two_sessions_let_a_model_cool(steered):
    """Then it is the model's: the next call goes to the other one first."""
    for session_id in ("s1", "s2"):
        steered.provider.script.next("500 retry-after=60", model="gpt-4o")
        assert (200, "routed", MINI, "2") == served(await steered.ask(session_id))

    assert (200, "routed", MINI, "1") == served(await steered.ask("s3"))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_app_that_does_not_wait_takes_a_model_from_nobody(steered, stream):
    """A hundred timeouts of 5 ms, in ten sessions and in the very one that is looked at; all pins
    stay what they are.
    """
    sessions = ["other", *(f"hasty {number}" for number in range(9))]
    for session_id in sessions:
        await steered.ask(session_id)
    steered.provider.script.always("slow delay=30", model="gpt-4o")
    for session_id in sessions * 10:
        reply = await steered.ask(session_id, timeout_ms=5, stream=stream)
        assert (504, "upstream_timeout") == (reply.status, reply.header("x-plano-error"))
    steered.provider.script.clear()

    assert (200, "pinned", GPT, "1") == served(await steered.ask("hasty 1"))
    await others_are_as_before(steered)


async def test_a_prompt_that_makes_the_router_model_chat_takes_it_from_nobody(steered):
    """The call itself falls back to the model that it asked for."""
    for number in range(20):
        steered.router.text = ("chatter", '{"route": "poetry"}')[number % 2]
        await steered.ask(f"chat {number}", f"{TEXT} {number}")
    for number in range(20):
        steered.router.script.next("400")
        await steered.ask(f"bad {number}", f"{TEXT} bad {number}")
    steered.router.text = None

    await others_are_as_before(steered)


async def test_a_list_that_the_router_model_cannot_be_shown_is_the_apps_fault(steered):
    """And the router model is not even asked."""
    asked = steered.router.seen
    long = [{**ROUTE, "description": "long " * 10_000}]
    reply = await steered.ask("long", routing_preferences=long)

    assert (400, "invalid_routing_preferences", asked) == (
        reply.status,
        reply.header("x-plano-error"),
        steered.router.seen,
    )


async def test_what_a_swapped_model_refuses_the_requested_one_serves(steered):
    """From the first call on, and no later call of the session meets the other one again."""
    steered.provider.script.always(UNSUPPORTED, model="gpt-4o")
    replies = [await steered.ask("s1") for _ in range(3)]
    old = [await steered.ask("other") for _ in range(3)]

    assert [
        (200, "routed", MINI, "2"),
        (200, "pinned", MINI, "1"),
        (200, "pinned", MINI, "1"),
    ] == list(map(served, replies))
    assert [(200, "pinned", MINI, attempts) for attempts in ("2", "1", "1")] == list(
        map(served, old)
    )


async def test_what_every_model_refuses_is_the_apps_fault_and_pins_nothing(steered):
    """The app reads what the model that it asked for says; the pin that stood stays."""
    steered.provider.script.always(UNSUPPORTED, model="gpt-4o")
    steered.provider.script.always("400", model="gpt-4o-mini")
    refused = [await steered.ask(session_id) for session_id in ("s1", "other")]
    steered.provider.script.clear()

    assert [(400, "routed", MINI, "2"), (400, "pinned", MINI, "2")] == list(map(served, refused))
    assert {"false"} == {reply.header("x-should-retry") for reply in refused}
    assert (200, "routed", GPT, "1") == served(await steered.ask("s1"))
    assert (200, "pinned", GPT, "1") == served(await steered.ask("other"))
