"""The simulator's throttles, dice and counts."""

from __future__ import annotations

from aiohttp import ClientSession

from tests.support.agents.agent import Agent
from tests.support.agents.histories import ChatHistory
from tests.support.agents.world import BY_NAME, MODELS, could_serve, simulator
from tests.support.simulator.faults import Fault, Faults, Throttle
from tests.support.simulator.ledger import Attempt
from tests.support.simulator.server import Simulator

BODY = b'{"model":"gpt","messages":[{"role":"user","content":"go"}]}'


async def _statuses(
    running: Simulator, key: str, bodies: list[bytes]
) -> list[tuple[int, str | None]]:
    async with ClientSession() as http:
        found = []
        for body in bodies:
            url, headers = f"{running.url}/v1/chat/completions", {"authorization": f"Bearer {key}"}
            async with http.post(url, data=body, headers=headers) as reply:
                found.append((reply.status, reply.headers.get("retry-after")))
        return found


async def test_a_throttled_account_refuses_until_its_time_is_over():
    """With Retry-After or without; other accounts serve."""
    now_s = 0.0
    async with simulator(now_s=lambda: now_s) as running:
        running.faults.throttles["east"] = Throttle(30.0, 429, 7)
        running.faults.throttles["west"] = Throttle(30.0, 529)
        early = [(await _statuses(running, f"sk-{each}", [BODY]))[0] for each in ("east", "west")]
        north = await _statuses(running, "sk-north", [BODY.replace(b"gpt", b"kimi")])
        now_s = 30.0
        late = await _statuses(running, "sk-east", [BODY])

    assert early == [(429, "7"), (529, None)]
    assert (north, late) == ([(200, None)], [(200, None)])


async def test_unknown_keys_and_models_are_refused():
    """And so is what is no request."""
    async with simulator() as running:
        found = [
            (await _statuses(running, "sk-nobody", [BODY]))[0][0],
            (await _statuses(running, "sk-east", [BODY.replace(b"gpt", b"gpt-9")]))[0][0],
            (await _statuses(running, "sk-east", [b'{"model":"gpt","messages":[1]}']))[0][0],
            (await _statuses(running, "sk-east", [b"no JSON"]))[0][0],
        ]

    assert found == [401, 404, 400, 404]


def test_dice_depend_on_the_seed_and_the_request_alone():
    """Not on the order in which requests come, so that a run can be repeated."""
    rates = {Fault.SERVER_ERROR: 0.3, Fault.RESET_BEFORE: 0.2}
    bodies = [b"%d" % number for number in range(300)]

    def fates(seed: int, order: list[bytes]) -> dict[bytes, Fault | None]:
        faults = Faults(seed, rates)
        return {body: faults.next("east", "gpt", body) for body in order}

    first, again, other = fates(1, bodies), fates(1, bodies[::-1]), fates(2, bodies)

    assert first == again
    assert first != other
    counts = [list(first.values()).count(each) for each in (Fault.SERVER_ERROR, Fault.RESET_BEFORE)]
    assert 60 < counts[0] < 120
    assert 35 < counts[1] < 85


async def test_every_request_is_counted_with_what_became_of_it():
    """By account and model, and by request id."""
    async with simulator() as running, ClientSession() as http:
        running.faults.script["east"].append(Fault.SERVER_ERROR)
        for _ in range(2):
            headers = {"x-request-id": "r1", "x-api-key": "sk-east"}
            await http.post(f"{running.url}/v1/chat/completions", data=BODY, headers=headers)

    assert running.ledger.requests == 2
    assert dict(running.ledger.results["east", "gpt"]) == {"500": 1, "served": 1}
    assert [each.result for each in running.ledger.attempts["r1"]] == ["500", "served"]
    assert (running.ledger.total("served"), running.ledger.tokens["east", "gpt"].output > 0) == (1, True)  # fmt: skip


async def test_a_place_that_would_have_served_is_found():
    """It was not asked, is not throttled, and can read the history."""
    kind = BY_NAME["gptwork"]
    path = ChatHistory.path
    async with simulator() as running:
        running.ledger.record("r", Attempt("east", "gpt", "500", 0.0))
        west = could_serve(running, kind.places, path, BODY, "r")
        running.faults.throttles["west"] = Throttle(float("inf"))
        north = could_serve(running, kind.places, path, BODY, "r")
        nowhere = could_serve(running, kind.places, path, b"{}", "r")

    assert (west, north, nowhere) == (kind.places[1], kind.places[2], None)


async def test_an_agent_tries_again_and_says_when_it_is_stuck():
    """Where trying again may help it goes on; where nothing helps the conversation ends."""
    async with simulator() as running, ClientSession() as http:
        running.faults.script["east"] += [Fault.SERVER_ERROR, Fault.RESET_IN_STREAM]
        history = ChatHistory("gpt")
        agent = Agent(history, "s", [running.url], http)
        agent.retry_s = 0.001
        http.headers["authorization"] = "Bearer sk-east"
        await agent.converse(2)
        lost = Agent(ChatHistory("gpt-9"), "s", [running.url], http)
        lost.retry_s = 0.001
        await lost.converse(2)

    assert (agent.is_stuck, len(agent.refused), agent.cut) == (False, 1, 1)
    assert (lost.is_stuck, len(lost.refused), lost.calls) == (True, 3, 0)


def test_models_have_names_of_their_own():
    """The simulator finds a model by its name."""
    assert len({each.name for each in MODELS}) == len(MODELS)
