"""Pins as operators see them, from replies that a test gives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import NoPermissionError

from sidecar.affinity.lanes import Lanes
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.browse import RedisPins
from sidecar.affinity.redis.pipeline import GONE_MS, Command, Decode, LinkDown
from sidecar.affinity.session import make_session
from sidecar.affinity.store import StoreUnreachable
from sidecar.domain.decision import Binding

KEY, OTHER = "plano:affinity:acme:s1", "plano:affinity:acme:s10"
VALUE = b'{"model_name": "m", "route_name": null}'


class FakeLink:
    """Answers commands from ``values``: bytes by key."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values
        self.failure: Exception | None = None
        self.refusal: Exception | None = None
        self.near = NearCache(10, lambda: 0.0)
        for key in values:
            self.near.put(key, values[key], 60.0)
        self.commands: list[Any] = []
        """Names, in order."""

    def submit(self, commands: Sequence[Command], decode: Decode) -> asyncio.Future[Any]:
        self.commands += [name for name, *_ in commands]
        reply = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            reply.set_exception(self.failure)
        else:
            reply.set_result(decode([self.refusal or self.reply(*each) for each in commands]))
        return reply

    def reply(self, name: Any, key: Any, *_: Any) -> Any:
        if name == "SCAN":
            return [b"0", [each.encode() for each in self.values]]
        if name == "DEL":
            return int(self.values.pop(key, None) is not None)
        if name == "GETRANGE":
            return self.values.get(key, b"")
        return 1500 if key in self.values else GONE_MS


def browser(link: FakeLink) -> RedisPins:
    return RedisPins(link.submit, link.near)


async def test_a_page_shows_what_can_be_read():
    """A value that is no pin is left out."""
    page = await browser(FakeLink({KEY: VALUE, OTHER: b"?"})).page("acme", None, 10)

    assert ([("acme", "s1", "m", 1.5)], None) == (
        [(pin.tenant, pin.session_id, pin.binding.model_name, pin.left_s) for pin in page.pins],
        page.cursor,
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({KEY: VALUE}, "m"),
        ({KEY: b"?"}, None),
        ({KEY: b'{"model_name": "m", "requested_model": "p/q"}'}, "m"),
        ({KEY: b'{"model_name": "m", "requested_model": "p/r"}'}, None),
        ({f"{KEY}~p%2Fq": b'{"model_name": "m", "requested_model": "p/q"}'}, "m"),
    ],
    ids=["none", "plano's", "no pin", "its own", "another lane's", "of the version before"],
)
async def test_the_pin_of_a_lane_is_looked_at_and_nothing_is_written(values, expected):
    """Only reads are sent, and nothing of them is kept."""
    link = FakeLink(values)
    link.near = NearCache(10, lambda: 0.0)
    binding = await browser(link).of_lane(make_session("s1", "acme", "p/q"))

    assert expected == (binding and binding.model_name)
    assert ({"GETRANGE", "PTTL"}, 0) == (set(link.commands), len(link.near))


async def test_a_pin_that_is_still_to_be_written_is_looked_at_here():
    """It is what this process's calls find."""
    link, session = FakeLink({KEY: VALUE}), make_session("s1", "acme", "p/q")
    link.near.change(KEY, Lanes((Binding("n", requested_model="p/q"),)), 60.0)

    assert Binding("n", requested_model="p/q") == await browser(link).of_lane(session)


async def test_a_lane_that_may_not_be_read_is_unreachable():
    """An operator is told so."""
    link = FakeLink({KEY: VALUE})
    link.refusal = NoPermissionError("NOPERM")
    with pytest.raises(StoreUnreachable):
        await browser(link).of_lane(make_session("s1", "acme", "p/q"))


async def test_all_lanes_of_a_session_and_of_its_agents_are_shown_and_dropped():
    """Those in its value, and those that the version before gave keys of their own."""
    lanes = b'{"model_name": "m", "requested_model": "m", "lanes": {"n/o": {"model_name": "o"}}}'
    older = b'{"model_name": "q", "requested_model": "p/q"}'
    link = FakeLink({KEY: lanes, f"{KEY}~a7": VALUE, f"{KEY}~p%2Fq": older})
    shown = await browser(link).of_session("acme", "s1")

    assert [(None, None), (None, "n/o"), ("a7", None), (None, "p/q")] == [
        (pin.agent, pin.lane) for pin in shown
    ]
    assert (4, {}) == (await browser(link).drop("acme", "s1"), link.values)


async def test_one_agent_is_shown_and_dropped_alone_and_without_a_scan():
    """Whose key is known: also a user who is fenced to a tenant's keys can look at it."""
    link = FakeLink({KEY: VALUE, f"{KEY}~a7": VALUE, f"{KEY}~a71": VALUE})
    shown = await browser(link).of_session("acme", "s1", "a7")

    assert [f"{KEY}~a7"] == [pin.key for pin in shown]
    assert [1, 0] == [await browser(link).drop("acme", "s1", "a7") for _ in range(2)]
    assert [KEY, f"{KEY}~a71"] == list(link.values)
    assert "SCAN" not in link.commands


async def test_a_session_is_dropped_and_another_whose_name_begins_alike_is_not():
    """Here and there; what is not there is not deleted."""
    link = FakeLink({KEY: VALUE, OTHER: VALUE})

    assert [1, 0] == [await browser(link).drop("acme", "s1") for _ in range(2)]
    assert [OTHER] == list(link.values) == [key for key, _ in link.near.items()]


@pytest.mark.parametrize("how", ["gone", "refused"])
async def test_an_operator_hears_why_nothing_is_shown(how):
    """In one class of error."""
    link = FakeLink({KEY: VALUE})
    link.failure = LinkDown() if how == "gone" else None
    link.refusal = NoPermissionError("NOPERM") if how == "refused" else None

    with pytest.raises(StoreUnreachable):
        await browser(link).page(None, None, 10)
