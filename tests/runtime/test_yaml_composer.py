"""What every reader of YAML from outside is kept from."""

from __future__ import annotations

import pytest
import yaml

from sidecar.runtime.yaml_composer import NO_TAG, PLAIN, BoundedComposer


class _Refused(Exception):
    """What the composer of these tests raises."""


def _composed(text: str) -> yaml.Node:
    composer = BoundedComposer(text, 5, _Refused, lambda line: _Refused(line, "too deep"))
    root: yaml.Node = composer.get_single_node()
    return root


def test_types_are_left_to_the_reader():
    """Only a scalar without quotes and tag may be anything but text."""
    root = _composed("a: no\nb: 'no'\n")
    (_, plain), (_, quoted) = root.value

    assert (NO_TAG, PLAIN, NO_TAG) == (root.tag, plain.tag, quoted.tag)


def test_an_anchor_may_stand_again():
    """An alias means the newest one before it."""
    values = [value.value for _, value in _composed("a: &x 1\nb: &x 2\nc: *x\n").value]

    assert ["1", "2", "2"] == values


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("a:\n  - &x [*x]\n", (2, "an alias refers to what it is part of")),
        ("a:\n  [[[[[[]]]]]]\n", (2, "too deep")),
    ],
)
def test_what_has_no_end_is_refused(text, refused):
    """With its line, before the stack is spent."""
    with pytest.raises(_Refused) as raised:
        _composed(text)

    assert refused == raised.value.args
