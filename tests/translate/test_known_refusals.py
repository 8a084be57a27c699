"""What is translated for a model holds nothing that the table of patches knows it to refuse."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from sidecar.config.conventions import family_of
from sidecar.config.patch_table import changes_for
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.requests import read_in_steps, write_in_steps
from sidecar.translate.targets import Target
from sidecar.wire.edits import with_changes
from tests.support.refusing_provider import REFUSED
from tests.translate.request_cases import APIS, run

Json = dict[str, Any]
MARK = {"type": "ephemeral", "ttl": "1h"}
TOOL = {"name": "sum", "description": "Adds", "parameters": {"type": "object", "properties": {}}}
LATE = [
    {"role": "user", "content": "Hi"},
    {"role": "developer", "content": "Be short"},
    {"role": "user", "content": "Go on"},
]
FULL: dict[DialectName, Json] = {
    CHAT: {
        "model": "any",
        "messages": [{"role": "system", "content": "Be kind"}, *LATE],
        "max_tokens": 200_000,
        "frequency_penalty": 1,
        "presence_penalty": 1,
        "seed": 4,
        "user": "u",
        "prompt_cache_key": "k",
        "verbosity": "low",
        "store": True,
        "tools": [{"type": "function", "function": TOOL}],
        "parallel_tool_calls": False,
    },
    RESPONSES: {
        "model": "any",
        "instructions": "Be kind",
        "input": LATE,
        "max_output_tokens": 200_000,
        "include": ["reasoning.encrypted_content"],
        "user": "u",
        "prompt_cache_key": "k",
        "tools": [{"type": "function", **TOOL}],
        "parallel_tool_calls": False,
    },
    MESSAGES: {
        "model": "any",
        "system": [{"type": "text", "text": "Be kind", "cache_control": MARK}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]}
        ],
        "max_tokens": 200_000,
        "metadata": {"user_id": "u"},
        "top_k": 5,
        "tools": [{"name": "sum", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
}
SAMPLED: tuple[Json, ...] = (
    {},
    {"temperature": 0.7},
    {"top_p": 0.5},
    {"temperature": 0.7, "top_p": 0.5},
)
EFFORTS = (None, "none", "minimal", "low", "high", "xhigh")


def with_effort(source: DialectName, effort: str | None) -> Json:
    """How an API asks for it."""
    if effort is None:
        return {}
    if source == CHAT:
        return {"reasoning_effort": effort}
    if source == RESPONSES:
        return {"reasoning": {"effort": effort, "summary": "auto"}}
    if effort in ("none", "minimal"):
        kind = "disabled" if effort == "none" else "enabled"
        return {
            "thinking": {"type": kind, **({"budget_tokens": 2000} if kind == "enabled" else {})}
        }
    return {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}


@pytest.mark.parametrize("model", sorted({each.model for each in REFUSED}))
def test_nothing_is_written_that_a_model_is_known_to_refuse(model):
    """Whatever the app asks for, in whichever API: else the provider would say 400."""
    family = family_of(model)
    model_id = model[len(family) + 1 :]
    for target, source in itertools.permutations(APIS, 2):
        changes = changes_for(family, target, model_id)
        for sampled, effort in itertools.product(SAMPLED, EFFORTS) if changes else ():
            body = json.dumps(FULL[source] | sampled | with_effort(source, effort)).encode()
            conversation = run(read_in_steps(source, body))
            written = run(write_in_steps(conversation, Target(target, family, model_id)))
            facts = DIALECTS.by_name[target].peek(written)

            assert run(with_changes(written, facts, changes)) is None, written
