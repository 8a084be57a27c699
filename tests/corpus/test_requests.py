"""Every crafted request, through a whole sidecar, on both listener paths."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.corpus.cases import by_id, read_pending, read_requests
from tests.corpus.exchanges import differences, send_request
from tests.corpus.recording import PATHS, Stage, staged

CASES = [case for case in read_requests() if case.id not in read_pending()]
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
