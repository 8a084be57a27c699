"""What `plano-sidecar affinity` prints of the pins that a source has."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.commands.affinity import describe_pins

PIN: dict[str, Any] = {
    "key": "k1",
    "tenant": None,
    "session": "s\x1b[2J",
    "agent": None,
    "lane": None,
    "model": "openai/gpt-4o",
    "route": "code",
    "ttl_s": 59.7,
    "generation": "g1",
    "home": None,
    "provisional": False,
}


class FakePins:
    """A `PinSource` with given pins."""

    def __init__(self, *pins: dict[str, Any]) -> None:
        self.pins = list(pins)

    async def all_of(self, tenant):
        for pin in self.pins:
            if tenant is None or pin["tenant"] == tenant:
                yield pin

    async def of_session(self, tenant, session_id, agent=None):
        return [
            pin
            for pin in self.pins
            if pin["session"] == session_id and agent in (None, pin["agent"])
        ]

    async def drop(self, tenant, session_id, agent=None):
        return len(await self.of_session(tenant, session_id, agent))


async def test_a_pin_is_a_row_under_its_heads():
    """Control characters are escaped: what an app wrote must not drive a terminal."""
    heads, row = await describe_pins(FakePins(PIN), "list", None, None)

    assert ["TENANT", "SESSION", "AGENT", "LANE", "MODEL", "ROUTE", "TTL", "NOTES"] == heads.split()
    assert [
        "-", r"s\x1b[2J", "-", "-", "openai/gpt-4o", "code", "60", "s", "generation", "g1"
    ] == row.split()  # fmt: skip


async def test_what_is_special_about_a_pin_is_noted():
    """Away from home, provisional, without an end."""
    pin = {**PIN, "home": "openai/o3", "provisional": True, "ttl_s": None}
    _, row = await describe_pins(FakePins(pin), "list", None, None)

    assert row.endswith("-    generation g1, away from openai/o3, provisional")


async def test_a_pin_that_a_scan_told_of_twice_is_listed_once():
    """SCAN may return a key more than once."""
    lines = await describe_pins(FakePins(PIN, PIN), "list", None, None)

    assert 2 == len(lines)


async def test_a_sub_agent_is_looked_at_for_itself():
    """Or with its session."""
    pins = FakePins(PIN, {**PIN, "key": "k2", "agent": "a7"})
    counts = [
        await describe_pins(pins, "delete", None, PIN["session"], agent) for agent in (None, "a7")
    ]

    assert [["2 deleted"], ["1 deleted"]] == counts


@pytest.mark.parametrize(("what", "lines"), [("delete", ["1 deleted"]), ("get", None)])
async def test_only_a_delete_deletes(what, lines):
    """And says how many."""
    said = await describe_pins(FakePins(PIN), what, None, PIN["session"])

    assert said == lines if lines else len(said) == 2


@pytest.mark.parametrize("what", ["delete", "get"])
async def test_a_session_without_a_pin_prints_nothing(what):
    """The command then says so on stderr."""
    assert [] == await describe_pins(FakePins(PIN), what, None, "other")
