"""Microseconds of CPU that translating a response takes: for each event of a stream, one event to a chunk
as servers send them, in all six directions, and for whole responses. Run: ``python -m
tests.bench.bench_translated_streams``.
"""

from __future__ import annotations

import itertools
import json
import time

from sidecar.domain.call import DialectName
from sidecar.translate.completion import Completion, Finish, TokenUsage
from sidecar.translate.conversation import TextPart, ToolCall
from sidecar.translate.responses import ReplyContext
from tests.translate import provider_wire
from tests.translate.at_once import ResponseTranslator
from tests.translate.provider_wire import APIS

CONTEXT = ReplyContext(created_unix_s=1_757_430_001, request_id="req-1")
WORDS = 400
ROUNDS = 30
PASSES = 5
"""The fastest counts: other processes only ever slow one down."""
TEXT = " ".join(["word", "Zürich", '"quoted"'] * (WORDS // 3))
ARGUMENTS = json.dumps({"path": "a.py", "text": TEXT})
SAYING = {
    "text": Completion(
        "r-1", "m-1", (TextPart(TEXT),), Finish.STOP, None, TokenUsage(9, 3, 0, 400)
    ),
    "arguments": Completion(
        "r-2",
        "m-1",
        (ToolCall("call_1", "write", ARGUMENTS),),
        Finish.TOOL_CALLS,
        None,
        TokenUsage(9),
    ),
}


def token_like(text: str) -> list[str]:
    """Cut a text into pieces of five characters, as tokens are."""
    return [text[at : at + 5] for at in range(0, len(text), 5)]


def us_per_event(source: DialectName, target: DialectName, completion: Completion) -> float:
    """Return the microseconds of one event, with all that it costs to split, read and write it."""
    stream = provider_wire.stream(target, completion, token_like)
    chunks = [event + b"\n\n" for event in stream.split(b"\n\n") if event]
    best = float("inf")
    for _ in range(PASSES):
        begun_s = time.process_time()
        for _ in range(ROUNDS):
            translator = ResponseTranslator(source, target, CONTEXT).stream()
            for chunk in chunks:
                translator.feed(chunk)
            translator.end()
        best = min(best, time.process_time() - begun_s)
    return best / ROUNDS / len(chunks) * 1e6


def us_per_response(source: DialectName, target: DialectName, completion: Completion) -> float:
    """Return the microseconds of one whole response."""
    body = provider_wire.whole(target, completion)
    best = float("inf")
    for _ in range(PASSES):
        begun_s = time.process_time()
        for _ in range(ROUNDS):
            ResponseTranslator(source, target, CONTEXT).whole(body)
        best = min(best, time.process_time() - begun_s)
    return best / ROUNDS * 1e6


def main() -> None:
    """Print one line for each direction."""
    print(
        f"{'caller < provider':24}" + "".join(f"{name:>12}" for name in SAYING) + f"{'whole':>12}"
    )
    for source, target in itertools.permutations(APIS, 2):
        events = [us_per_event(source, target, completion) for completion in SAYING.values()]
        whole = us_per_response(source, target, SAYING["text"])
        figures = "".join(f"{figure:>9.1f} us" for figure in (*events, whole))
        print(f"{source + ' < ' + target:24}{figures}")


if __name__ == "__main__":
    main()
