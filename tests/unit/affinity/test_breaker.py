"""When a store that fails is left alone."""

from __future__ import annotations

import pytest

from sidecar.affinity.breaker import Breaker


def _after(history: str) -> bool:
    """Tripped after a history of failures (x) and answers (.)?"""
    breaker = Breaker()
    for each in history:
        (breaker.failed if each == "x" else breaker.served)()
    return breaker.is_tripped


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("", False),
        ("....", False),
        ("xxxx", False),
        ("xxxxx", True),
        ("xxxx.xxxx", False),
        ("x.x.x.x.x.x.x.x.x.x.", True),
        ("x..x..x..x..x..x..x..", False),
        ("x.x.x.x.x.x.x.x.x.x" + "." * 20, False),
        ("." * 100 + "x.x.x.x.x.x.x.x.x.x.", True),
    ],
)
def test_five_in_a_row_or_half_of_twenty(history, expected):
    """And not before; what was long ago does not count."""
    assert expected == _after(history)


def test_a_new_connection_begins_anew():
    """What the old one failed at says nothing."""
    breaker = Breaker()
    for _ in range(5):
        breaker.failed()
    breaker.reset()

    assert not breaker.is_tripped
    for _ in range(4):
        breaker.failed()
    assert not breaker.is_tripped
