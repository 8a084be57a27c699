"""When something that keeps failing is left alone, and for how long."""

from __future__ import annotations

import pytest

from sidecar.runtime.breaker import Breaker, BreakerPolicy

WINDOW_S = 0.015
WINDOWED = BreakerPolicy(failures_in_a_row=5, share=0.5, of_last=20, window_s=WINDOW_S)
IN_A_ROW = BreakerPolicy(failures_in_a_row=5, probe_s=1.0)


class _History:
    """A breaker on a clock that the test turns."""

    def __init__(self, policy: BreakerPolicy = WINDOWED) -> None:
        self.now_s = 1000.0
        self.breaker = Breaker(policy)

    def add(self, history: str) -> bool:
        """Failures (x) and successes (.), all within a window up to the next blank; whether the
        breaker is open then.
        """
        for each in history:
            if each == " ":
                self.now_s += WINDOW_S * 1.5
            else:
                self.breaker.record(self.now_s, is_failure=each == "x")
        return self.breaker.is_open


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
    assert expected == _History().add(" ".join(history))


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
    assert expected == _History().add(history)


def test_a_window_begins_with_an_operation():
    """However long nobody asked before it."""
    history = _History()

    assert not history.add("x" + " " * 500 + "x" * 10)
    history.now_s += WINDOW_S / 2
    assert not history.add("x x x")
    assert history.add(" x")


def test_a_new_connection_begins_anew():
    """What the old one failed at says nothing."""
    history = _History()

    assert history.add("x x x x x")
    history.breaker.reset()
    assert not history.breaker.is_open
    assert not history.add("x x x x")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [("", False), ("xxxx", False), ("xxxxx", True), ("xxxx.xxxx", False), ("xxxxxxx.", False)],
)
def test_without_a_window_each_operation_counts(outcomes, expected):
    """And failures in a row alone open it: the first success closes it again."""
    assert expected == _History(IN_A_ROW).add(outcomes)


@pytest.mark.parametrize("outcomes", ["x." * 50, "xxxx." * 50])
def test_without_a_share_only_failures_in_a_row_open_it(outcomes):
    """Whatever part of the operations has failed."""
    assert not _History(IN_A_ROW).add(outcomes)


def test_an_open_breaker_lets_one_probe_through_a_second():
    """The first one a second after it opened, and only for one caller."""
    history = _History(IN_A_ROW)
    history.add("xxxxx")
    breaker, opened_s = history.breaker, history.now_s

    assert breaker.is_shut(opened_s + 0.9)
    assert not breaker.may_probe(opened_s + 0.9)
    assert not breaker.is_shut(opened_s + 1.0)
    assert [True, False] == [breaker.may_probe(opened_s + 1.0) for _ in range(2)]
    assert breaker.is_shut(opened_s + 1.9)
    assert breaker.may_probe(opened_s + 2.0)


def test_a_failure_while_it_is_open_puts_no_probe_off():
    """Callers that waited when it opened come back one after another."""
    history = _History(IN_A_ROW)
    history.add("xxxxx")
    history.breaker.record(history.now_s + 0.9, is_failure=True)

    assert history.breaker.may_probe(history.now_s + 1.0)


def test_a_probe_that_is_served_closes_it():
    """And it takes as many failures as before to open it again."""
    history = _History(IN_A_ROW)

    assert history.add("xxxxx")
    assert not history.add(".")
    assert not history.breaker.is_shut(history.now_s)
    assert not history.add("xxxx")
    assert history.add("x")
