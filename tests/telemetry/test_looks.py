"""Looking goes on as long as there is anything to look at, and no longer."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.telemetry.looks import LOOK_S, Looks


def test_it_looks_until_nothing_is_left_and_can_begin_again():
    """One timer runs at a time, and none while there is nothing."""
    due: list[tuple[float, Callable[[], None]]] = []
    left = [True, False, False]
    looks = Looks(lambda: left.pop(0), lambda delay_s, look: due.append((delay_s, look)))

    looks.begin()
    looks.begin()
    counts = []
    while due:
        counts.append(len(due))
        delay_s, look = due.pop()
        assert LOOK_S == delay_s
        look()
    looks.begin()

    assert ([1, 1], 1) == (counts, len(due))
