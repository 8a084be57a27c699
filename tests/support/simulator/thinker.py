"""What a simulated model says: decided by the user's text alone, the same at every model."""

from __future__ import annotations

import hashlib
import random

import msgspec

from tests.support.simulator.values import Completion, ModelRules, Prompt, ToolCall

MOST_TOOL_CALLS = 3
"""One turn of the user's is answered after so many tool calls at most."""
_REDACTED_OF_16 = 1


def wanted_tool_calls(user_text: str) -> int:
    """Return after how many tool calls a turn is answered: 0 to `MOST_TOOL_CALLS`."""
    return _dice(user_text.encode())[0] % (MOST_TOOL_CALLS + 1)


def complete(rules: ModelRules, prompt: Prompt, nonce: str) -> Completion:
    """Return what a model says next. Args: ``nonce`` makes the ids of its tool calls unique."""
    dice = _dice(prompt.before)
    thinking = None
    if rules.thinks and prompt.wants_thinking:
        thinking = f"{rules.name} weighs step {prompt.tool_results} " + _words(dice, 8)
    is_redacted = dice[2] % 16 < _REDACTED_OF_16
    at_a_time = rules.parallel_calls
    if prompt.tool_results < wanted_tool_calls(prompt.user_text) * at_a_time:
        steps = range(prompt.tool_results, prompt.tool_results + at_a_time)
        tools = tuple([_call(nonce, dice, step, is_first=step == steps[0]) for step in steps])
        return Completion("", thinking, is_redacted, tools)
    return Completion(f"Done: {_words(dice, 24)}.", thinking, is_redacted)


def _call(nonce: str, dice: bytes, step: int, *, is_first: bool) -> ToolCall:
    arguments = msgspec.json.encode({"path": f"src/{_words(dice, 1)}.py", "step": step})
    call_id = f"call_{nonce}" if is_first else f"call_{nonce}_{step}"
    return ToolCall(call_id, "read_file", arguments.decode())


def _dice(seed: bytes) -> bytes:
    return hashlib.blake2b(seed, digest_size=16).digest()


def _words(seed: bytes, count: int) -> str:
    """Return ``count`` words, the same for the same seed."""
    pick = random.Random(seed)
    return " ".join(f"w{pick.randrange(10_000):04}" for _ in range(count))
