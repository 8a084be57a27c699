"""Send the whole corpus through a sidecar: `python -m tests.corpus`. Prints counts by outcome."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.corpus.cases import read_answers, read_requests
from tests.corpus.exchanges import answer_differences, differences, send_answer, send_request
from tests.corpus.recording import PATHS, staged


async def main() -> int:
    """Run all cases on both listener paths. 1 where one differs from what is written."""
    counts: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    for path in PATHS:
        async with staged(Path(tempfile.mkdtemp()), path) as stage:
            for case in read_requests():
                if case.path in ("", path):
                    counts[f"requests, {path}", case.outcome] += 1
                    found = differences(case, await send_request(stage, case))
                    wrong += [f"{path} {case.id}: {each}" for each in found]
            for answer in read_answers() if path == "fast" else ():
                counts["answers", answer.outcome] += 1
                found = answer_differences(answer, await send_answer(stage, answer))
                wrong += [f"{answer.id}: {each}" for each in found]
    for (kind, outcome), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
        print(f"{count:>6}  {kind:<16} {outcome}")
    print(f"{counts.total()} exchanges, {len(wrong)} differences", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    logging.disable()
    sys.exit(asyncio.run(main()))
