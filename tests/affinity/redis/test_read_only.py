"""How often a server that takes no writes is given up for whoever its name leads to now."""

from __future__ import annotations

import itertools

import pytest

from sidecar.affinity.redis.health import ReadOnlySpell


def _looks(spell: ReadOnlySpell, began_s: int, ended_s: int) -> list[int]:
    """The seconds in which it is given up, where a write is refused in each."""
    looks = []
    for now_s in range(began_s, ended_s):
        spell.refused(now_s)
        if spell.is_over(now_s):
            looks.append(now_s - began_s)
            spell.reconnected()
    return looks


def test_a_short_spell_is_looked_into_every_other_second():
    """A failover is over by then, and service back within 5 s."""
    assert [3, 7, 11] == _looks(ReadOnlySpell(), 1000, 1012)


def test_a_long_spell_is_looked_into_ever_more_rarely():
    """Each look puts in doubt what is known; at most a quarter of the spell goes by before the next
    one, or a minute.
    """
    looks = _looks(ReadOnlySpell(), 1000, 1000 + 3600)

    waits = [later - look for look, later in itertools.pairwise(looks)]
    assert waits == sorted(waits)
    assert all(wait <= look * 0.25 + 4 for look, wait in zip(looks, waits, strict=False))
    assert (62, True) == (max(waits), 60 < len(looks) < 80)


@pytest.mark.parametrize(("silence_s", "expected"), [(89, 34), (90, 3)])
def test_a_spell_ends_where_nothing_was_refused_for_a_while(silence_s, expected):
    """What refuses a write after that is another failover, and looked into as soon as the first."""
    spell = ReadOnlySpell()
    _looks(spell, 0, 46)
    spell.reconnected()

    assert expected == _looks(spell, 45 + silence_s, 200 + silence_s)[0]


def test_a_server_that_refuses_nothing_is_kept():
    """However long it serves."""
    assert not ReadOnlySpell().is_over(1e9)
