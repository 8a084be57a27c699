"""What `plano-sidecar affinity` prints of the pins that a source has."""

from __future__ import annotations

import contextlib
import dataclasses
from argparse import Namespace

import msgspec
import pytest

from sidecar.affinity.store import Pin, PinPage
from sidecar.commands import affinity as affinity_module
from sidecar.commands.affinity import _affinity, _Facts, describe_pins
from sidecar.domain.decision import Binding
from sidecar.listener.pins_page import pin_facts

PIN = Pin("k1", None, "s\x1b[2J", None, None, Binding("openai/gpt-4o", "code", generation=1), 59.7)


class FakePins:
    """A `PinBrowser` with given pins, one on each page."""

    def __init__(self, *pins: Pin) -> None:
        self.pins = list(pins)

    async def page(self, tenant, cursor, limit):
        at = int(cursor or 0)
        own = [pin for pin in self.pins[at : at + 1] if tenant is None or pin.tenant == tenant]
        return PinPage(own, str(at + 1) if at + 1 < len(self.pins) else None)

    async def of_session(self, tenant, session_id, agent=None):
        named = [pin for pin in self.pins if pin.session_id == session_id]
        return [pin for pin in named if agent in (None, pin.agent)]

    async def drop(self, tenant, session_id, agent=None):
        return len(await self.of_session(tenant, session_id, agent))


async def test_a_pin_is_a_row_under_its_heads():
    """Control characters are escaped: what an app wrote must not drive a terminal."""
    heads, row = await describe_pins(FakePins(PIN), "list", None, None)

    assert [
        "TENANT", "SESSION", "AGENT", "LANE", "MODEL", "PROVIDER", "ROUTE", "TTL", "NOTES"
    ] == heads.split()  # fmt: skip
    assert [
        "-", r"s\x1b[2J", "-", "-", "openai/gpt-4o", "-", "code", "60", "s", "generation", "1"
    ] == row.split()  # fmt: skip


async def test_what_is_special_about_a_pin_is_noted():
    """Away from home, provisional, without an end."""
    binding = dataclasses.replace(PIN.binding, home="openai/o3", provisional=True)
    pin = msgspec.structs.replace(PIN, binding=binding, left_s=None)
    _, row = await describe_pins(FakePins(pin), "list", None, None)

    assert row.endswith("-    generation 1, away from openai/o3, provisional")


async def test_the_account_that_a_pin_names_is_shown_and_the_one_it_left_and_what_was_asked_for():
    """Through the admin port too."""
    binding = dataclasses.replace(
        PIN.binding,
        requested_model="openai/o3",
        provider="eu",
        home="openai/gpt-4o",
        home_provider="us\x1b[2J",
    )
    pin = msgspec.structs.replace(PIN, binding=binding)
    facts = msgspec.convert(pin_facts(pin), _Facts, strict=False)
    for shown in (pin, facts.pin()):
        _, row = await describe_pins(FakePins(shown), "list", None, None)

        assert ["openai/o3", "openai/gpt-4o", "eu", "code"] == row.split()[3:7]
        assert row.endswith(r"generation 1, away from openai/gpt-4o (us\x1b[2J)")


async def test_a_pin_that_a_scan_told_of_twice_is_listed_once():
    """SCAN may return a key more than once."""
    lines = await describe_pins(FakePins(PIN, PIN), "list", None, None)

    assert 2 == len(lines)


async def test_a_sub_agent_is_looked_at_for_itself():
    """Or with its session."""
    agent = Pin("k2", None, PIN.session_id, "a7", None, PIN.binding, None)
    counts = [
        await describe_pins(FakePins(PIN, agent), "delete", None, PIN.session_id, name)
        for name in (None, "a7")
    ]

    assert [["2 deleted"], ["1 deleted"]] == counts


@pytest.mark.parametrize(("what", "lines"), [("delete", ["1 deleted"]), ("get", None)])
async def test_only_a_delete_deletes(what, lines):
    """And says how many."""
    said = await describe_pins(FakePins(PIN), what, None, PIN.session_id)

    assert said == lines if lines else len(said) == 2


@pytest.mark.parametrize("what", ["delete", "get"])
async def test_a_session_without_a_pin_prints_nothing(what):
    """The command then says so on stderr."""
    assert [] == await describe_pins(FakePins(PIN), what, None, "other")


async def test_a_list_without_pins_says_so(monkeypatch, capsys):
    """On stderr: what reads stdout gets no line that is no pin."""

    @contextlib.asynccontextmanager
    async def no_pins(*_):
        yield FakePins()

    monkeypatch.setattr(affinity_module, "pin_browser", no_pins)
    names = {"tenant": None, "session": None, "agent": None}
    code = await _affinity(Namespace(config=None, admin="", what="list", **names))

    assert (0, "", "no pins\n") == (code, *capsys.readouterr())
