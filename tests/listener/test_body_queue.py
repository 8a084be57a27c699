"""Which of the bodies that arrive goes first. Pure but for the futures."""

from __future__ import annotations

import asyncio

from sidecar.listener.body_queue import PACE_BYTES, STALLED_S, ArrivingBody, BodyQueue


def _a_queue(*claims: int) -> tuple[BodyQueue, list[ArrivingBody]]:
    queue = BodyQueue()
    bodies = [ArrivingBody(claim, 0.0, is_long=True) for claim in claims]
    for each in bodies:
        queue.long[each] = None
    return queue, bodies


def test_what_lacks_less_goes_before():
    """By what is still to come, not by length."""
    queue, (long, longer, short) = _a_queue(10, 20, 5)
    long.size = 7

    assert [(0, 10), (8, 20), (3, 10)] == [
        queue.before(each, 0.0) for each in (long, longer, short)
    ]


def test_what_has_stalled_goes_last_and_is_not_waited_for():
    """Until its bytes go on; then it has the last place."""
    queue, (stalled, other) = _a_queue(10, 20)
    later_s = STALLED_S + 1
    queue.arrived(other, PACE_BYTES, later_s)
    assert (0, 20) == queue.before(other, later_s)
    queue.arrived(stalled, 1, later_s)

    assert [(0, 20), (20, 20)] == [queue.before(each, later_s) for each in (other, stalled)]


async def test_a_body_that_left_while_it_waited_is_not_told_to_go_on():
    """Its turn is over; nor is one told twice."""
    body = ArrivingBody(9, 0.0, is_long=False)
    turn = asyncio.get_running_loop().create_future()
    BodyQueue().wait(body, turn)
    turn.cancel()
    body.go_on()
    body.go_on()

    assert (True, None) == (turn.cancelled(), body.turn)
