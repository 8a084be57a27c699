"""The log's level, and calls of which all is told, changed while the sidecar runs."""

from __future__ import annotations

import pytest

from sidecar.listener.logging_page import LogControl, LoggingPage
from sidecar.listener.operators import OperatorAccess, Operators
from tests.listener.pages import running_pages
from tests.support.net import exchange, json_request, raw_request


class _Log:
    """What the page steers; it notes what was done."""

    def __init__(self) -> None:
        self.now = "info"
        self.done: list[object] = []

    def level(self) -> str:
        return self.now

    def set_level(self, level: str) -> None:
        self.now = level

    def name_request(self, request_id: str, for_s: float) -> None:
        self.done.append(("request", request_id, for_s))

    def name_session(self, session_id: str, for_s: float) -> None:
        self.done.append(("session", session_id, for_s))

    def clear(self) -> None:
        self.done.clear()

    def names(self) -> list[str]:
        return [str(each) for each in self.done]

    def control(self) -> LogControl:
        return LogControl(self.level, self.set_level, self)


async def _ask(log: _Log, body: object = None, control: LogControl | None = None):
    pages = LoggingPage(control or log.control()).pages()
    request = raw_request("GET", "/logging") if body is None else json_request("/logging", body)
    access = OperatorAccess(mutations=True)
    async with running_pages(Operators(pages, access).handle) as running:
        reply = await exchange(running.port, request)
    return reply.status, reply.json()


async def test_the_level_is_shown_and_changed():
    """From then on; the answer says what is in effect."""
    log = _Log()

    assert (200, {"level": "info", "debug": []}) == await _ask(log)
    assert (200, {"level": "debug", "debug": []}) == await _ask(log, {"level": "debug"})
    assert "debug" == log.now


async def test_calls_are_named_and_forgotten():
    """By request id or session, for a time."""
    log = _Log()
    for debug in ({"request_id": "r1"}, {"session": "s1", "seconds": 5}):
        await _ask(log, {"debug": debug})
    done = list(log.done)
    status, facts = await _ask(log, {"debug": None})

    assert [("request", "r1", 600.0), ("session", "s1", 5)] == done
    assert (200, []) == (status, facts["debug"])


MUST_HOLD = 'the body must hold "level" or "debug", and nothing else'
LEVELS = "level must be one of debug, info, warning, error"
DEBUG = "debug must be null, or an object of"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, MUST_HOLD),
        ({"levl": "debug"}, MUST_HOLD),
        ({"level": "loud"}, LEVELS),
        ({"level": []}, LEVELS),
        ([], "the body is not a JSON object"),
        ({"debug": {"session": "s" * 5000}}, "the body is longer than 4096 bytes"),
        *[
            ({"level": "debug", "debug": debug}, DEBUG)
            for debug in (
                1,
                {},
                {"seconds": 5},
                {"request_id": ""},
                {"request_id": 1},
                {"session": "s", "request_id": "r"},
                {"tenant": "t"},
                {"session": "s", "seconds": 0},
                {"session": "s", "seconds": 601},
                {"session": "s", "seconds": True},
                {"session": "s", "seconds": "5"},
            )
        ],
    ],
)
async def test_what_is_not_understood_changes_nothing(body, words):
    """The answer says what is."""
    log = _Log()
    status, facts = await _ask(log, body)

    assert (400, "info", []) == (status, log.now, log.done)
    assert facts["error"].startswith(words)


async def test_where_no_call_can_be_named_the_page_says_so():
    """The level can be changed all the same."""
    log = _Log()
    control = LogControl(log.level, log.set_level)
    refused = await _ask(log, {"debug": None}, control)
    changed = await _ask(log, {"level": "error"}, control)

    assert (400, {"error": "this sidecar writes down no single calls"}) == refused
    assert (200, {"level": "error", "debug": []}) == changed
