"""Every crafted request, through a whole sidecar, on both listener paths."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.corpus.cases import by_id, cut, read_requests, written
from tests.corpus.exchanges import differences, send_request
from tests.corpus.recording import PATHS, Stage, staged

CASES = read_requests()
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=PATHS, scope="module", loop_scope="module")
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """One sidecar for all of them: what one request leaves behind, the next would meet."""
    async with staged(tmp_path_factory.mktemp("corpus"), request.param) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=by_id(CASES))
async def test_a_crafted_request_becomes_what_the_corpus_says(stage, case):
    """Replies, the connection's end, and every byte that the upstream received."""
    if case.path not in ("", stage.path):
        pytest.skip(case.why)
    assert differences(case, await send_request(stage, case)) == []


SERVED = [case for case in CASES if case.outcome == "passed" and len(written(case.send)) < 2000]


@pytest.mark.parametrize("case", SERVED, ids=by_id(SERVED))
async def test_a_request_that_is_served_is_served_in_pieces_too(stage, case):
    """Wherever its segments end: at places that the case's name chooses, the same each time."""
    if not case.cut:
        pytest.skip(case.why)
    raw, drawn = written(case.send), random.Random(case.id)
    places = [drawn.randrange(len(raw) + 1) for _ in range(3)]
    assert differences(case, await send_request(stage, case, cut(raw, places))) == []
