"""A map that stays small."""

import pytest

from sidecar.runtime.bounded import BoundedMap


def _filled(*keys: str) -> BoundedMap[str, int]:
    made: BoundedMap[str, int] = BoundedMap(3)
    for number, key in enumerate(keys):
        made.add(key, number)
    return made


def test_a_full_map_gives_up_its_oldest_entry():
    """However many keys come, it holds no more than it may."""
    assert [("b", 1), ("c", 2), ("d", 3)] == list(_filled("a", "b", "c", "d").items())
    assert 3 == len(_filled(*map(str, range(1000))))


def test_a_key_that_is_added_again_becomes_the_newest():
    """It takes nobody's place."""
    assert [("b", 1), ("c", 2), ("a", 3)] == list(_filled("a", "b", "c", "a").items())
    assert ["c", "a", "d"] == list(_filled("a", "b", "c", "a", "d"))


def test_it_reads_like_a_dict():
    """And makes room as one."""
    made = _filled("a", "b", "c")

    assert (0, None, True) == (made["a"], made.get("z"), "b" in made)
    del made["b"]
    made.add("d", 4)
    assert {"a": 0, "c": 2, "d": 4} == made


@pytest.mark.parametrize(
    ("key", "is_kept"),
    [
        ("k" * 2048, True),
        ("k" * 2049, False),
        (b"k" * 2049, False),
        (("k" * 1024, None, "k" * 1024), True),
        (("k" * 1024, 7, "k" * 1024, "k"), False),
    ],
)
def test_a_key_that_is_too_long_is_not_kept(key, is_kept):
    """A map of a thousand names of 1 MB each is no small one."""
    made: BoundedMap[object, int] = BoundedMap(3)
    made.add(key, 1)

    assert is_kept == (key in made)
