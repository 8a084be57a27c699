"""What came of a client both ways is compared without mercy."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.clients.provider import Seen
from tests.clients.results import cell_of, table_of
from tests.clients.trial import FORECAST, Compared, compared, outcome, session_names

GOOD = Compared(
    version="1.0",
    dialects=["chat"],
    session=[],
    is_pinned=False,
    is_told=True,
    beside=[],
    calls=[3, 3],
    direct={"plain": "ok", "tools": "ok"},
    sidecar={"plain": "ok", "tools": "ok"},
)


@pytest.mark.parametrize(
    ("changes", "is_worse"),
    [
        ({}, False),
        ({"sidecar": {"plain": "ok", "tools": "it took too long"}}, True),
        ({"direct": {"plain": "x", "tools": "ok"}, "sidecar": {"plain": "y", "tools": "ok"}}, False),
        ({"is_told": False}, True),
        ({"is_told": None}, False),
    ],
)  # fmt: skip
def test_what_works_directly_must_work_through_the_sidecar(changes, is_worse):
    """And a session that a client names must arrive."""
    assert is_worse == replace(GOOD, **changes).is_worse


def test_a_loop_of_a_tool_ends_with_its_result():
    """Other words are a failure, however well the call went."""
    assert "ok" == outcome("tools", {"value": [f"The tool said: {FORECAST}", 4]})
    assert outcome("tools", {"value": "Hello"}).startswith("it said")
    assert "ok" == outcome("plain", {"value": "Hello"})


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        ({"value": "a"}, "ok"),
        ({"value": "b"}, 'other than direct: "b"'),
        ({"error": "E: at 127.0.0.1:123"}, "E: at ..."),
        ({"error": "one\n\ntwo\n"}, "two"),
        (None, "nothing came"),
    ],
)
def test_through_the_sidecar_the_very_same_comes(through, expected):
    """Errors are told in one line, without what differs from run to run."""
    assert expected == compared("plain", {"value": "a"}, through)


def test_what_names_a_session_is_seen():
    """Headers that the sidecar knows by default, and members of bodies; not what an example added."""
    headers = {"session-id": "s", "x-model-affinity": "c", "x-else": "e"}
    body = {"prompt_cache_key": "s", "metadata": {"user_id": "u"}}
    seen = Seen("POST", "/v1/responses", headers, body, 200)

    assert [
        "session-id",
        "metadata.user_id in the body",
        "prompt_cache_key in the body",
    ] == session_names([seen])


def test_the_table_tells_what_differs():
    """In columns, for a person."""
    failed = replace(GOOD, sidecar={"plain": "ok", "tools": "it took too long"})

    assert "whole; tools: it took too long" == cell_of(failed.sidecar)
    again = replace(GOOD, calls=[3, 4])
    lines = table_of({"A": GOOD, "B": failed, "C": again}).splitlines()
    assert "as directly " in lines[1]
    assert "whole; tools: it took too long" in lines[2]
    assert "as directly, in 4 calls instead of 3" in lines[3]
