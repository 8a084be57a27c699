"""The provider simulator refuses what real providers refuse, and counts what they would bill."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from tests.support.agents.histories import (
    HISTORIES,
    ChatHistory,
    History,
    MessagesHistory,
    ResponsesHistory,
    StoredHistory,
)
from tests.support.agents.reading import Incomplete
from tests.support.agents.world import simulator
from tests.support.simulator.faults import Fault
from tests.support.simulator.ledger import cached_share
from tests.support.simulator.server import Simulator
from tests.support.simulator.thinker import wanted_tool_calls

LOOPING = next(f"go {n}" for n in range(99) if wanted_tool_calls(f"go {n}") > 1)
ANSWERED = next(f"go {n}" for n in range(99) if not wanted_tool_calls(f"go {n}"))
"""What a model answers after tool calls, and what it answers at once."""


class Client:
    """An app that calls the simulator itself."""

    def __init__(self, simulated: Simulator, http: ClientSession) -> None:
        self._simulated = simulated
        self._http = http

    async def post(self, history: History, account: str, model: str) -> tuple[int, bytes]:
        """Send a history's request to a model at an account. Returns: status and body."""
        url = self._simulated.url + history.path
        body = history.body() | {"model": model}
        headers = {"x-api-key": f"sk-{account}"}
        async with self._http.post(url, json=body, headers=headers) as reply:
            return reply.status, await reply.read()

    async def talk(self, history: History, account: str, model: str, text: str) -> None:
        """Hold one whole turn with a model at an account."""
        history.say(text)
        while True:
            status, body = await self.post(history, account, model)
            assert status == 200, body
            wanted = history.take(body)
            if not wanted:
                return
            history.give(wanted)


@pytest.fixture
async def simulated():
    async with simulator(seed=7) as running:
        yield running


@pytest.fixture
async def client(simulated):
    async with ClientSession() as http:
        yield Client(simulated, http)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("name", "model"), [
    ("messages", "claude"), ("chat", "gpt"), ("chat", "gemini"), ("responses", "codex"),
    ("stored", "codex"),
])  # fmt: skip
async def test_a_conversation_with_tools_can_be_held(client, name, model, stream):
    """Streamed or whole, in each dialect, over several turns."""
    history = HISTORIES[name](model)
    history.wants_stream = stream

    for turn in range(4):
        await client.talk(history, "east", model, f"go {turn}")


async def test_a_thinking_block_is_refused_where_another_maker_made_it(client):
    """The refusal names its place."""
    history = MessagesHistory("claude")
    await client.talk(history, "north", "glm", "Read the file.")
    history.say("and now?")

    status, body = await client.post(history, "east", "claude")

    assert (status, b"messages.1.content.0: Invalid `signature` in `thinking` block" in body) == (400, True)  # fmt: skip


async def test_a_signature_of_a_family_holds_at_every_account_and_one_of_an_account_at_its_own(
    client,
):
    """Claude is simulated in both ways."""
    shared, own = MessagesHistory("claude"), MessagesHistory("opus")
    await client.talk(shared, "east", "claude", "go")
    await client.talk(own, "east", "opus", "go")
    shared.say("on")
    own.say("on")

    found = [
        (await client.post(shared, "west", "claude"))[0],
        (await client.post(own, "west", "opus"))[0],
        (await client.post(own, "east", "opus"))[0],
    ]

    assert found == [200, 400, 200]


async def test_a_signature_is_bound_to_the_conversation_before_it(client):
    """What was said before is changed: the thinking behind it is refused. Thinking that is left out
    changes nothing.
    """
    history = MessagesHistory("claude")
    for text in ("a", "b", "c"):
        await client.talk(history, "east", "claude", text)
    history.say("d")
    first = history.messages[1]["content"]
    thought = first.pop(0)
    left_out = await client.post(history, "east", "claude")
    first.insert(0, thought)
    history.messages[0]["content"][0]["text"] = "another question"

    changed = await client.post(history, "east", "claude")

    assert (left_out[0], changed[0]) == (200, 400)


async def test_a_tool_loop_needs_its_thinking(client):
    """Anthropic refuses results of a tool whose message does not begin with thinking."""
    history = MessagesHistory("claude")
    history.say(LOOPING)
    history.give(history.take((await client.post(history, "east", "claude"))[1]))
    del history.messages[1]["content"][0]

    status, body = await client.post(history, "east", "claude")

    assert (status, b"Expected `thinking`" in body) == (400, True)


async def test_redacted_thinking_is_bound_too(client):
    """Some of what a model thinks comes as data that nobody can read; it is verified as well."""
    histories = [MessagesHistory("claude") for _ in range(48)]
    for number, history in enumerate(histories):
        await client.talk(history, "east", "claude", f"{ANSWERED}, {number}")
    redacted = [
        each for each in histories if each.messages[-1]["content"][0]["type"] == "redacted_thinking"
    ]
    history = redacted[0]
    history.say("on")
    kept = await client.post(history, "west", "claude")
    history.messages[-2]["content"][0]["data"] = "foreign"

    status, body = await client.post(history, "west", "claude")

    assert (kept[0], status, b"redacted_thinking" in body) == (200, 400, True)


async def test_encrypted_reasoning_is_read_only_where_it_was_made(client):
    """OpenAI names it by a code."""
    history = ResponsesHistory("codex")
    await client.talk(history, "east", "codex", ANSWERED)
    history.say("on")

    status, body = await client.post(history, "west", "codex")

    assert (status, b'"code":"invalid_encrypted_content"' in body) == (400, True)


async def test_a_thought_signature_of_another_maker_is_refused(client):
    """Gemini's own are taken."""
    history = ChatHistory("gemini")
    history.say(LOOPING)
    history.give(history.take((await client.post(history, "east", "gemini"))[1]))
    own = await client.post(history, "east", "gemini")
    history.messages[-2]["tool_calls"][0]["extra_content"]["google"]["thought_signature"] = "x"

    status, body = await client.post(history, "east", "gemini")

    assert (own[0], status, b"Corrupted thought signature" in body) == (200, 400, True)


async def test_a_response_id_is_known_only_at_the_account_that_made_it(client):
    """The other account says so by a code."""
    history = StoredHistory("codex")
    await client.talk(history, "east", "codex", "go")
    history.say("on")

    west, east = [(await client.post(history, each, "codex")) for each in ("west", "east")]

    assert (west[0], b"previous_response_not_found" in west[1], east[0]) == (400, True, 200)


@pytest.mark.parametrize(("name", "model"), [
    ("messages", "claude"), ("chat", "gpt"), ("responses", "codex"),
])  # fmt: skip
async def test_a_prompt_is_cached_by_account_until_its_time_is_over(name, model):
    """And the bill says so."""
    now_s = 0.0
    async with simulator(cache_ttl_s=300, now_s=lambda: now_s) as running, ClientSession() as http:
        client, history = Client(running, http), HISTORIES[name](model)
        shares = []

        async def spend(account: str) -> None:
            before = running.ledger.all_tokens()
            await client.post(history, account, model)
            shares.append(round(cached_share(running.ledger.all_tokens(), before), 1))

        history.say("go")
        await client.post(history, "east", model)
        await spend("east")
        await spend("west")
        now_s = 299.0
        await spend("east")
        now_s = 600.0
        await spend("east")

    assert [share > 0.5 for share in shares] == [True, False, True, False]


async def test_what_is_read_from_the_cache_costs_less():
    """Messages bill what is written to it dearer, as Anthropic does."""
    async with simulator() as running, ClientSession() as http:
        client, history = Client(running, http), MessagesHistory("claude")
        history.say("go")
        await client.post(history, "east", "claude")
        written_usd = running.ledger.usd
        await client.post(history, "east", "claude")

    tokens = running.ledger.all_tokens()
    assert tokens.written == tokens.cached > 0
    assert running.ledger.usd - written_usd < written_usd / 2


async def test_a_parameter_that_a_model_does_not_take_is_refused(client):
    """As OpenAI's newer models refuse ``max_tokens``."""
    history = ChatHistory("gpt")
    history.say("go")
    limited: Any = history.body
    history.body = lambda: limited() | {"max_tokens": 9}  # type: ignore[method-assign]

    found = [await client.post(history, each, model) for each, model in (("east", "gpt"), ("north", "kimi"))]  # fmt: skip

    assert [status for status, _ in found] == [400, 200]
    assert b"Use 'max_completion_tokens' instead" in found[0][1]


@pytest.mark.parametrize(("fault", "status"), [
    (Fault.SERVER_ERROR, 500), (Fault.RATE_LIMITED, 429), (Fault.OVERLOADED, 529),
])  # fmt: skip
async def test_a_scripted_refusal_comes_once(simulated, client, fault, status):
    """Then the account serves again."""
    history = MessagesHistory("claude")
    history.say("go")
    simulated.faults.script["east"].append(fault)

    found = [(await client.post(history, "east", "claude"))[0] for _ in range(2)]

    assert found == [status, 200]


@pytest.mark.parametrize("name", ["messages", "chat", "responses"])
@pytest.mark.parametrize(("fault", "error"), [
    (Fault.RESET_BEFORE, ClientError), (Fault.RESET_IN_STREAM, ClientError),
    (Fault.ERROR_EVENT_FIRST, Incomplete), (Fault.ERROR_EVENT_LATER, Incomplete),
    (Fault.SLOW_FIRST_BYTE, None),
])  # fmt: skip
async def test_a_stream_breaks_as_the_script_says(simulated, client, name, fault, error):
    """Before its beginning, at it, or behind text."""
    model = {"messages": "claude", "chat": "gpt", "responses": "codex"}[name]
    history = HISTORIES[name](model)
    history.say("go")
    simulated.slow_s = 0.01
    simulated.faults.script["east"].append(fault)

    if error is None:
        history.take((await client.post(history, "east", model))[1])
    else:
        with pytest.raises(error):
            history.take((await client.post(history, "east", model))[1])
