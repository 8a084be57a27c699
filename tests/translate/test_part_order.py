"""Parts that grow side by side become parts one after the other, and wait no longer than they must."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.translate.bounds import KEPT_BYTES, PARTS_AT_MOST, Untranslatable
from sidecar.translate.completion import (
    ArgumentsDelta,
    PartEnded,
    TextDelta,
    TextStarted,
    ToolCallStarted,
)
from sidecar.translate.json_progress import JsonProgress
from sidecar.translate.part_count import PartCount
from sidecar.translate.part_queue import PartEvent, PartQueue

CALL_0, CALL_1, CALL_2 = (ToolCallStarted(index, f"call_{index}", "now") for index in range(3))


def put(events):
    """Return what comes out with each event that goes in."""
    queue = PartQueue()
    return [list(queue.put(event)) for event in events]


def test_parts_in_a_row_do_not_wait():
    """Each event goes through at once."""
    events = [
        TextStarted(0),
        TextDelta(0, "a"),
        PartEnded(0),
        CALL_1,
        ArgumentsDelta(1, "{}"),
        PartEnded(1),
    ]

    assert [[event] for event in events] == put(events)


def test_a_part_waits_for_the_end_of_the_one_before_it():
    """Then what has come of it follows, and it grows on as it comes."""
    out = put(
        [
            CALL_0,
            CALL_1,
            ArgumentsDelta(1, "{"),
            ArgumentsDelta(0, "{}"),
            PartEnded(0),
            ArgumentsDelta(1, "}"),
        ]
    )

    assert [[CALL_0], [], [], [ArgumentsDelta(0, "{}")]] == out[:4]
    assert [PartEnded(0), CALL_1, ArgumentsDelta(1, "{")] == out[4]
    assert [ArgumentsDelta(1, "}")] == out[5]


def test_parts_that_have_ended_meanwhile_follow_at_once():
    """Up to the first that is open."""
    waiting = [CALL_1, PartEnded(1), CALL_2, ArgumentsDelta(2, "{")]

    out = put([CALL_0, *waiting, PartEnded(0), PartEnded(2)])

    assert [[CALL_0], [], [], [], [], [PartEnded(0), *waiting], [PartEnded(2)]] == out


@given(st.data())
def test_each_part_comes_out_whole_and_alone(data):
    """In the order in which they began, whatever the order in which they grow."""
    count = data.draw(st.integers(1, 4))
    left = {
        at: [TextDelta(at, str(n)) for n in range(data.draw(st.integers(0, 3)))]
        for at in range(count)
    }
    events: list[PartEvent] = [TextStarted(at) for at in range(count)]
    while left:
        at = data.draw(st.sampled_from(sorted(left)))
        events.append(left[at].pop(0) if left[at] else PartEnded(at))
        if isinstance(events[-1], PartEnded):
            del left[at]

    out = [event for batch in put(events) for event in batch]

    assert sorted(map(repr, events)) == sorted(map(repr, out))
    assert [event.index for event in out] == sorted(event.index for event in out)
    for at in range(count):
        assert [event for event in events if event.index == at] == [
            event for event in out if event.index == at
        ]


def test_what_waits_is_bounded():
    """A provider that never ends its first part does not fill the memory."""
    queue = PartQueue()
    list(queue.put(CALL_0))
    piece = "x" * (KEPT_BYTES // 4)

    waiting = [ArgumentsDelta(1, piece)] * 5
    with pytest.raises(Untranslatable):
        list(map(list, map(queue.put, waiting)))


def test_what_has_waited_does_not_count_any_more():
    """A long response of many such parts goes through."""
    queue = PartQueue()
    piece = "x" * (KEPT_BYTES // 2)
    for index in range(0, 20, 2):
        for event in (TextStarted(index), TextStarted(index + 1), TextDelta(index + 1, piece)):
            list(queue.put(event))
        list(queue.put(PartEnded(index)))
        list(queue.put(PartEnded(index + 1)))


@given(
    st.recursive(
        st.none() | st.text('\\"{}[]x'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner),
    ),
    st.integers(1, 5),
)
def test_json_is_complete_with_its_last_byte(value, size):
    """And not before, whatever stands in its texts and however it is cut."""
    text, progress = json.dumps({"value": value}), JsonProgress()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    for piece in pieces[:-1]:
        progress.feed(piece)
        assert not progress.is_complete
    progress.feed(pieces[-1])

    assert progress.is_complete


@pytest.mark.parametrize("text", ["", '"a"', "12", "null", '{"a": "\\', '{"a": [}'])
def test_json_that_may_go_on_is_not_complete(text):
    """Nor is what was cut; what is no JSON at all ends with the stream."""
    progress = JsonProgress()
    progress.feed(text)
    progress.feed("")

    assert not progress.is_complete or text == '{"a": [}'


def test_a_response_has_so_many_parts_at_most():
    """One more is refused."""
    count = PartCount()

    assert list(range(PARTS_AT_MOST)) == [count.next() for _ in range(PARTS_AT_MOST)]
    with pytest.raises(Untranslatable):
        count.next()
