"""Every crafted answer, through a whole sidecar, to an app."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.corpus.cases import by_id, read_answers
from tests.corpus.exchanges import answer_differences, send_answer
from tests.corpus.recording import Stage, staged

CASES = read_answers()
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One sidecar for all of them: what one answer leaves behind, the next call would meet."""
    async with staged(tmp_path_factory.mktemp("corpus"), "fast") as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=by_id(CASES))
async def test_a_crafted_answer_becomes_what_the_corpus_says(stage, case):
    """What the app gets of it, and that the next call gets its own answer."""
    assert answer_differences(case, await send_answer(stage, case)) == []
