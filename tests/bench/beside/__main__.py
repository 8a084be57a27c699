"""Prints what becomes of the sixty requests, here and at LiteLLM.

python -m tests.bench.beside --write requests.json
python litellm_side.py requests.json results.json       (where LiteLLM is installed)
python -m tests.bench.beside results.json
"""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

from sidecar.domain.call import DialectName
from sidecar.domain.errors import SidecarError
from sidecar.translate.losses import Weight
from sidecar.translate.requests import losses_of, read_in_steps, write_in_steps
from sidecar.translate.targets import Target
from tests.bench.beside.sixty import ROWS, Row

_T = TypeVar("_T")
CARRIED, TOLD, REFUSED, SENT_ON = "carried", "told", "refused", "sent on as it is"
SILENT = "lost in silence"
FAMILIES = {"messages": ("anthropic", "claude-sonnet-4-5"), "chat": ("vllm", "qwen3")}


def run_all(work: Generator[None, None, _T]) -> _T:
    """Return what work in steps returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result


def by_litellm(row: Row, found: dict[str, Any]) -> str:
    """Return what became of a request at LiteLLM."""
    _, _, _, asked, test = row
    body = found["body"]
    if body is None:
        return REFUSED
    if test(body):
        return CARRIED
    last = next(reversed(asked))
    return SENT_ON if body.get(last) == asked[last] else SILENT


def by_sidecar(row: Row) -> tuple[str, str]:
    """Return what became of a request here, and which fields are named."""
    _, source, target, asked, test = row
    family, model = FAMILIES[target]
    there = Target(DialectName(target), family, model)
    body = json.dumps({"model": "m", **asked}).encode()
    try:
        conversation = run_all(read_in_steps(DialectName(source), body))
    except SidecarError:
        return REFUSED, ""
    losses = losses_of(conversation, DialectName(source), there)
    named = ", ".join(f"{loss.field} ({loss.weight.name.lower()})" for loss in losses)
    if any(loss.weight is Weight.DECISIVE for loss in losses):
        return REFUSED, named
    sent = json.loads(run_all(write_in_steps(conversation, there)))
    if test(sent):
        return CARRIED, named
    return (TOLD if losses else SILENT), named


def main() -> None:
    """Write the requests down, or print the table."""
    if sys.argv[1] == "--write":
        Path(sys.argv[2]).write_text(json.dumps([row[:4] for row in ROWS]))
        return
    results = json.loads(Path(sys.argv[1]).read_text())
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    print(f"{'from > to':22}{'request':32}{'LiteLLM ' + results['version']:20}sidecar")
    for row, found in zip(ROWS, results["found"], strict=True):
        theirs, (ours, named) = by_litellm(row, found), by_sidecar(row)
        counts["LiteLLM"][theirs] += 1
        counts["sidecar"][ours] += 1
        way = f"{row[1]} > {row[2]}"
        print(f"{way:22}{row[0]:32}{theirs:20}{ours}{': ' * bool(named)}{named}")
    for name, each in counts.items():
        print(f"{name}: {', '.join(f'{count} {what}' for what, count in each.most_common())}")


if __name__ == "__main__":
    main()
