"""Calls for those who look at them: the last ones, and streams that drop and count."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sidecar.domain.ids import shown_hash
from sidecar.telemetry.call_feed import (
    INTERVAL_S,
    QUEUED,
    READERS,
    RECENT,
    CallFeed,
    CallFilter,
    FeedReader,
    call_filter,
)
from sidecar.telemetry.call_record import CallRecord

ALL = CallFilter()


def a_record(request_id: str = "r", **changes: Any) -> CallRecord:
    facts: dict[str, Any] = {
        "time": "2026-01-01T00:00:00.000Z",
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": "chat",
        "status": 200,
        "outcome": "ok",
        **changes,
    }
    return CallRecord(request_id=request_id, **facts)


def ids(records: list[CallRecord]) -> list[str]:
    return [each.request_id for each in records]


def a_reader(feed: CallFeed, wanted: CallFilter = ALL) -> FeedReader:
    found = feed.subscribe(wanted)
    assert found is not None
    return found


async def lines_of(reader: FeedReader) -> list[dict[str, Any]] | None:
    text = await reader.read(0.01)
    return None if text is None else [json.loads(line) for line in text.splitlines()]


def test_the_last_calls_are_kept_newest_first_and_at_most_ten_a_second():
    """A busy sidecar's calls would push each other out before a person could see one."""
    feed = CallFeed()
    for number in range(5):
        feed.add(a_record(f"r{number}"), 1000.0 + number * INTERVAL_S / 2)

    assert ["r4", "r2", "r0"] == ids(feed.recent())


def test_a_call_that_did_not_end_well_is_always_kept():
    """It is what a person looks for."""
    feed = CallFeed()
    for number in range(2 * RECENT):
        feed.add(a_record(f"r{number}", outcome="upstream_error"), 1000.0)
    feed.add(a_record("fine"), 1000.0)

    assert (RECENT, "fine", "r99") == (len(feed.recent()), *ids(feed.recent())[:2])


async def test_a_reader_reads_calls_as_they_end():
    """All of those that wait, together."""
    feed = CallFeed()
    reader = a_reader(feed)
    waiting = asyncio.gather(lines_of_soon(reader))
    await asyncio.sleep(0)
    feed.add(a_record("a"), 0.0)
    feed.add(a_record("b"), 0.0)

    (lines,) = await waiting
    assert ["a", "b"] == [line["request_id"] for line in lines]
    assert [] == await lines_of(reader)


async def lines_of_soon(reader: FeedReader) -> list[dict[str, Any]]:
    text = await reader.read(10)
    assert text is not None
    return [json.loads(line) for line in text.splitlines()]


async def test_a_slow_reader_loses_calls_and_is_told_how_many():
    """The feed does not wait for it, and keeps no more for it."""
    feed = CallFeed()
    reader = a_reader(feed)
    for number in range(QUEUED + 3):
        feed.add(a_record(f"r{number}"), 0.0)

    lines = await lines_of(reader)
    assert lines is not None
    assert (QUEUED + 1, {"dropped": 3}) == (len(lines), lines[-1])
    feed.add(a_record("next"), 0.0)
    assert 1 == len(await lines_of(reader) or ())


async def test_readers_come_to_their_end_with_the_feed():
    """After what they had not read yet; no new one begins."""
    feed = CallFeed()
    reader = a_reader(feed)
    feed.add(a_record(), 0.0)
    feed.end()

    assert 1 == len(await lines_of(reader) or ())
    assert None is await lines_of(reader)
    assert None is feed.subscribe(ALL)


def test_there_are_a_few_readers_at_a_time():
    """One that leaves makes room."""
    feed = CallFeed()
    readers = [a_reader(feed) for _ in range(READERS)]

    assert None is feed.subscribe(ALL)
    feed.unsubscribe(readers[0])
    feed.unsubscribe(readers[0])
    assert None is not feed.subscribe(ALL)


RECORD = a_record(
    model="openai/gpt-4o",
    requested_model="smart",
    route="code",
    status=503,
    session=shown_hash("s-1"),
)


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({}, True),
        ({"model": "openai/*"}, True),
        ({"model": "smart"}, True),
        ({"model": "anthropic/*"}, False),
        ({"route": "code", "status": "503"}, True),
        ({"route": "talk"}, False),
        ({"status": "5xx"}, True),
        ({"status": "4xx"}, False),
        ({"status": "200"}, False),
        ({"session": "s-1"}, True),
        ({"session": shown_hash("s-1")}, True),
        ({"session": "s-2"}, False),
        ({"model": "", "session": ""}, True),
    ],
)
def test_a_reader_chooses_its_calls(wishes, expected):
    """By what operators know: any name of a model, the route, the status, the session."""
    assert expected == call_filter(wishes).lets(RECORD)


@pytest.mark.parametrize("wishes", [{"tenant": "acme"}, {"status": "many"}, {"status": "5x"}])
def test_a_wish_that_cannot_be_understood_is_refused(wishes):
    """So that nobody waits for calls that never come."""
    with pytest.raises(ValueError, match=r"by tenant|a status is"):
        call_filter(wishes)


def test_what_is_not_wanted_is_not_queued():
    """And does not count as dropped."""
    feed = CallFeed()
    assert None is not feed.follow({"status": "5xx"})
    for _ in range(QUEUED + 9):
        feed.add(a_record(), 0.0)

    assert 0 == feed.readers[0].waiting
