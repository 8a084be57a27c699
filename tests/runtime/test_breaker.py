"""When a store that fails is left alone."""

from __future__ import annotations

import pytest

from sidecar.runtime.breaker import WINDOW_S, Breaker


class _Told:
    """A breaker on a clock that the test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.breaker = Breaker(lambda: self.now_s)

    def tell(self, history: str) -> bool:
        """Failures (x) and answers (.), all within a window up to the next blank; whether it is
        tripped then.
        """
        for each in history:
            if each == " ":
                self.now_s += WINDOW_S * 1.5
            else:
                (self.breaker.failed if each == "x" else self.breaker.served)()
        return self.breaker.is_tripped


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
    assert expected == _Told().tell(" ".join(history))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("x" * 1000, False),
        ("x" * 100 + " " + "x" * 100 + " ...", False),
        ("xxx xxx xxx xxx", False),
        ("xxx xxx xxx xxx x", True),
        ("x. x. x. x. x.", True),
        ("x.. x.. x.. x.. x.. x..", False),
        ("x.. x.. x.. x.. xxxx", False),
        ("x. .. " * 10, True),
        ("x.. .. " * 10, False),
    ],
)
def test_what_fails_together_failed_for_one_reason(history, expected):
    """A server that is late once is late for everybody who asks meanwhile; one that is late for
    half of them is not well.
    """
    assert expected == _Told().tell(history)


def test_a_window_begins_with_an_operation():
    """However long nobody asked before it."""
    told = _Told()

    assert not told.tell("x" + " " * 500 + "x" * 10)
    told.now_s += WINDOW_S / 2
    assert not told.tell("x x x")
    assert told.tell(" x")


def test_a_new_connection_begins_anew():
    """What the old one failed at says nothing."""
    told = _Told()

    assert told.tell("x x x x x")
    told.breaker.reset()
    assert not told.breaker.is_tripped
    assert not told.tell("x x x x")
