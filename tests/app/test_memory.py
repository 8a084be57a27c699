"""How the config's memory is divided, and what it is where the config says nothing."""

from __future__ import annotations

import pytest

from sidecar.build import memory
from sidecar.build.memory import build_memory, use_memory
from sidecar.config.schema import Limits
from sidecar.runtime.memory_budget import MIB


@pytest.fixture(autouse=True)
def in_a_container(monkeypatch) -> None:
    """Of 192 MiB, as the chart makes it."""
    monkeypatch.setattr(memory, "memory_limit_bytes", lambda: 192 * MIB)


def test_without_a_word_of_the_config_the_containers_limit_counts():
    """And with one, that."""
    budgets = [build_memory(Limits(memory_bytes=size)).budget for size in (None, 32 * MIB)]

    assert [96 * MIB, 32 * MIB] == [each.limit_bytes for each in budgets]


def test_the_longest_body_of_the_config_fits_into_the_charts_container():
    """`limits.body_bytes` says no more than is served."""
    assert build_memory(Limits()).bodies.longest_bytes >= Limits().body_bytes


def test_pins_have_a_quarter_and_what_bodies_take_is_none_of_it():
    """A burst of long bodies drops no session's pin."""
    divided = build_memory(Limits())
    while divided.bodies.take_nowait(MIB):
        pass

    assert [True, False] == [divided.pins.take_nowait(24 * MIB), divided.pins.take_nowait(1)]


def test_another_config_divides_anew():
    """What lives as long as the process goes by it at once."""
    divided = build_memory(Limits())
    use_memory(divided, Limits(memory_bytes=64 * MIB, buffered_bytes=MIB))

    assert (64 * MIB, MIB) == (divided.budget.limit_bytes, divided.bodies.longest_bytes)
