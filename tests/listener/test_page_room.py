"""Which connection of a server of pages makes room for a new one."""

from __future__ import annotations

import pytest

from sidecar.listener.page_room import PageLimits, PageRoom


class Peer:
    """A connection that notes whether it was closed."""

    def __init__(self, *, is_silent: bool = True) -> None:
        self.is_open = True
        self.is_silent = is_silent

    def abort(self) -> None:
        self.is_open = False


def a_room(connections: int = 2, silent_s: float = 0.0, unread_s: float = 0.0) -> PageRoom:
    """A room whose peers have had their time at once, if nothing else is said."""
    return PageRoom(PageLimits(connections=connections, silent_s=silent_s, unread_s=unread_s))


async def test_those_that_are_coming_take_up_room_too():
    """Accepted, and not made yet: a burst is not let in before it is counted."""
    room = a_room()
    room.admit(Peer())

    assert [False, True, True] == [room.is_full(coming) for coming in (0, 1, 2)]


async def test_the_one_that_has_waited_longest_makes_room():
    """A kept connection waits from its last response on."""
    room, peers = a_room(3), [Peer(), Peer(), Peer()]
    for each in peers:
        room.admit(each)
    room.begin_request(peers[0])
    room.end_request(peers[0])
    room.begin_request(peers[1])
    made = [room.make_room() for _ in "abc"]

    assert ([False, True, False], [True, True, False]) == ([each.is_open for each in peers], made)


async def test_one_whose_request_may_have_come_keeps_its_place():
    """What came with a connection is read within a turn or two of the loop."""
    room, peer = a_room(1, silent_s=60), Peer()
    room.admit(peer)

    assert (False, False, True) == (room.make_room(), room.admit(Peer()), peer.is_open)


@pytest.mark.parametrize(("reads_again", "is_open"), [(False, False), (True, True)])
async def test_one_that_does_not_read_makes_room_until_it_reads_again(reads_again, is_open):
    """Its request is being served: only that nothing moves is held against it."""
    room, peer = a_room(1), Peer()
    room.admit(peer)
    room.begin_request(peer)
    room.note_reading(peer, is_reading=False)
    if reads_again:
        room.note_reading(peer, is_reading=True)

    assert (is_open, not is_open) == (not room.make_room(), not peer.is_open)


async def test_one_that_has_ended_is_forgotten():
    """Also while its response was made, and whatever the transport says afterwards."""
    room, peer = a_room(1), Peer()
    room.admit(peer)
    room.begin_request(peer)
    room.forget(peer)
    room.end_request(peer)
    room.note_reading(peer, is_reading=False)

    assert (False, False) == (room.is_full(), room.make_room())


async def test_one_whose_request_has_arrived_makes_no_room():
    """The process may have been late: what the kernel holds is looked at before it is closed."""
    room, peers = a_room(3), [Peer(is_silent=False), Peer(is_silent=False), Peer()]
    for each in peers:
        room.admit(each)
    made = [room.make_room(), room.make_room()]

    assert ([True, True, False], [True, False]) == ([each.is_open for each in peers], made)
