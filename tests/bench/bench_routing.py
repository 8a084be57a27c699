"""What routing costs without the router model's own time. Run: ``python -m
tests.bench.bench_routing``.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.request import REQUEST_BODY
from sidecar.domain.call import CHAT
from sidecar.domain.decision import Candidate, Price, Route
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import read_completion
from sidecar.routing.prompt import PromptForm, build_prompt, prompt_form
from sidecar.routing.question import chat_question
from sidecar.routing.rank import RankInputs, rank
from tests.support.steps import turns_in

PAIRS = 20_000
ROUTES = tuple(
    Route(
        f"kind of work {i}",
        f"what people ask for when they want work of kind {i} to be done for them",
        (),
    )
    for i in range(12)
)
NAMES = frozenset(route.name for route in ROUTES)
WORDS = (
    *[
        "please",
        "write",
        "a",
        "function",
        "that",
        "sorts",
        "and",
        "groups",
        "the",
        "lines",
        "of",
        "this",
        "file",
        "by",
        "their",
        "third",
        "column,",
        "thanks",
    ],
    "\n",
)
SHAPES = (
    '{{"route": "{}"}}',
    '```json\n{{"route": "{}"}}\n```',
    'The route is {{"route": ["{}"]}}',
    "{{'route': '{}'}}",
)


def conversations(seed: random.Random, count: int) -> list[bytes]:
    """Chat bodies of 1 to 40 messages of 5 to 120 words."""
    bodies = []
    for _ in range(count):
        messages = [{"role": "system", "content": "You help."}]
        for turn in range(seed.randrange(1, 40)):
            text = " ".join(seed.choices(WORDS, k=seed.randrange(5, 120)))
            messages.append({"role": "assistant" if turn % 2 else "user", "content": text})
        bodies.append(
            json.dumps({"model": "gpt-4o", "messages": messages, "stream": True}).encode()
        )
    return bodies


def completion(seed: random.Random, route: str) -> bytes:
    """A router model's answer that names ``route``, in one of the accepted shapes."""
    text = seed.choice(SHAPES).format(route)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 900, "completion_tokens": 9, "total_tokens": 909}
    return json.dumps(
        {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": usage}
    ).encode()


def prepare(form: PromptForm, body: bytes) -> bytes:
    """All that happens between a call's body and the router's request."""
    return chat_question(
        "router", build_prompt(form, turns_in(DIALECTS.by_name[CHAT], body, form.room_bytes))
    )


def pairs(form: PromptForm) -> tuple[list[float], int]:
    """Microseconds of selection, prompt and parse for each pair, and how many found their route."""
    seed = random.Random(4)
    bodies = conversations(seed, 500)
    micros, matched = [], 0
    for _ in range(PAIRS):
        body, route = seed.choice(bodies), seed.choice(ROUTES).name
        answer = completion(seed, route)
        start = time.perf_counter()
        prepare(form, body)
        found = read_completion(answer, NAMES)
        micros.append((time.perf_counter() - start) * 1e6)
        matched += found.outcome is RouterOutcome.MATCHED and found.route_name == route
    return micros, matched


def milliseconds(call: Callable[[], object]) -> float:
    """The median of 20 runs."""
    runs = []
    for _ in range(20):
        start = time.perf_counter()
        call()
        runs.append((time.perf_counter() - start) * 1e3)
    return statistics.median(runs)


def long_conversation(role: str) -> bytes:
    """2 MB in 10,000 messages, all of one role but the first."""
    messages = [{"role": "user", "content": "do it"}]
    messages += [{"role": role, "content": 'say "hello"\n' * 13} for _ in range(9_999)]
    return json.dumps({"model": "gpt-4o", "messages": messages}).encode()


def rank_often(candidates: tuple[Candidate, ...], prefer: str, numbers: RankInputs) -> None:
    """A thousand rankings: milliseconds become microseconds."""
    for _ in range(1000):
        rank(candidates, prefer, numbers, 0.5)


def main() -> None:
    """Print a table."""
    form = prompt_form(ROUTES, 8192)
    micros, matched = pairs(form)
    micros.sort()
    print(f"{PAIRS} pairs: {matched} matched; selection, prompt and parse in us:")
    print(
        f"  mean {statistics.mean(micros):.1f}, p50 {micros[PAIRS // 2]:.1f}, "
        f"p99 {micros[PAIRS * 99 // 100]:.1f}, max {micros[-1]:.1f}; over 150: {sum(each > 150 for each in micros)}"
    )
    tight = prompt_form(ROUTES, 700)
    micros, _ = pairs(tight)
    print(
        f"  with a budget of 700 tokens, so that long ones are cut: mean {statistics.mean(micros):.1f}"
    )
    for role in ("user", "assistant", "tool"):
        body = long_conversation(role)
        peek, rest = (
            milliseconds(partial(REQUEST_BODY.peek, body)),
            milliseconds(partial(prepare, form, body)),
        )
        print(
            f"{len(body)} bytes, 10,000 messages of role {role}: peek {peek:.2f} ms, selection and prompt {rest:.2f} ms"
        )
    paste = json.dumps(
        {"messages": [{"role": "user", "content": "paste \u4e2d\n" * 200_000}]}
    ).encode()
    print(
        f"{len(paste)} bytes in one message: {milliseconds(partial(prepare, form, paste)):.2f} ms"
    )
    candidates = tuple(
        Candidate(f"p{i}", f"p/{i}", f"{i}", f"p/{i}", frozenset(), False, Price(i, 2.0))
        for i in range(4)
    )
    numbers = RankInputs(expected=lambda candidate: (float(candidate.upstream_model), 9))
    for prefer in ("none", "cheapest", "fastest"):
        micro = milliseconds(partial(rank_often, candidates, prefer, numbers))
        print(f"rank {prefer:<9} of 4 candidates: {micro:.1f} us")


if __name__ == "__main__":
    main()
