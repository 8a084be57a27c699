"""Reads crossings.toml: which agents are put before which models, and what they are told there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import msgspec

from tests.clients.table import Client, read_table
from tests.support.tool_provider import Round, SaidCall, SaidText, SaidThought

FILE: Final = Path(__file__).with_name("crossings.toml")
TURNS: Final = 10
REFUSED_FROM: Final = 6
"""The turn from which on the first model refuses."""
RARE: Final = (2, 7)
"""The turns that have more rounds: one at each model."""


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an agent is run; the head of crossings.toml says what each field is."""

    name: str
    client: str
    speaks: str
    """Its API."""
    first: tuple[str, ...]
    next: tuple[str, ...]
    calls: tuple[tuple[str, ...], ...]
    rarely: tuple[tuple[str, ...], ...] = ()
    files: dict[str, str] = {}
    """In place of the client's."""

    def turns(self, work: Path) -> list[list[Round]]:
        """What the models say, turn by turn. Args: ``work`` is the folder that it works in."""
        return [self._rounds(number, str(work)) for number in range(1, TURNS + 1)]

    def _rounds(self, number: int, work: str) -> list[Round]:
        made = []
        rounds = (*self.calls, *self.rarely) if number in RARE else self.calls
        for at, calls in enumerate(rounds):
            said = [_call(each, number, work, f"{number}_{at}_{n}") for n, each in enumerate(calls)]
            thought = SaidThought(f"Turn {number} wants more: {at}.")
            made.append(Round((thought, SaidText(f"Step {at} of turn {number}:"), *said)))
        return [*made, Round((SaidText(f"Turn {number} is done."),))]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of a crossing."""

    model: str
    dialects: tuple[str, ...]


class Crossing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session of an agent with two models."""

    agent: str
    status: int
    models: tuple[Model, Model]

    @property
    def name(self) -> str:
        return f"{self.agent}: {', '.join(each.model for each in self.models)}"


class Crossings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of crossings.toml."""

    agent: tuple[Agent, ...]
    crossing: tuple[Crossing, ...]

    def agent_of(self, crossing: Crossing) -> Agent:
        return next(each for each in self.agent if each.name == crossing.agent)


def read_crossings() -> Crossings:
    """Read it. Raises: msgspec.ValidationError naming the place of what is wrong."""
    return msgspec.toml.decode(FILE.read_bytes(), type=Crossings)


def client_of(agent: Agent) -> Client:
    """The client of clients.toml that an agent is."""
    return next(each for each in read_table().client if each.name == agent.client)


def _call(text: str, turn: int, work: str, number: str) -> SaidCall:
    name, _, arguments = text.partition(" ")
    arguments = arguments.replace("{turn}", str(turn)).replace("{work}", work)
    arguments = json.dumps(json.loads(arguments, strict=False), ensure_ascii=False)
    return SaidCall(f"toolu_01-{number}", name, arguments)
