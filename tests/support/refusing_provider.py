"""A provider that refuses what its models are known to refuse, in the makers' own words; and for
each fact of `config.patch_table` a call that meets it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from sidecar.demo.replies import HttpReply, HttpRequest
from sidecar.demo.request import DemoRequest
from tests.support.faults import Fault
from tests.support.scripted_provider import ScriptedProvider

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
Json = dict[str, Any]
GONE: Final = None
"""In `Refused.sent`: the member is not sent."""


class Refused(NamedTuple):
    """A call that a model refuses, and how it is served all the same."""

    model: str
    """``prefix/model``."""
    path: str
    more: Json
    """What the app writes beside its question."""
    refuses: Callable[[Json], bool]
    """Whether the model refuses a body."""
    says: str
    """Its words."""
    sent: Json
    """Members that are sent otherwise: their values, `GONE` for those that are left out."""
    lost: str


def _asks(*names: str) -> Callable[[Json], bool]:
    """Any of some members, however deep, is there and not null."""

    def refuses(body: Json) -> bool:
        for name in names:
            value: Any = body
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                return True
        return False

    return refuses


def _unsupported(name: str, *more: str) -> tuple[Callable[[Json], bool], str]:
    text = f"Unsupported parameter: '{name}' is not supported with this model."
    return _asks(name, *more), text


def _without(*names: str) -> Json:
    return dict.fromkeys(names, GONE)


def _has_ttl(value: Any) -> bool:
    """Whether a block of a conversation, of the system prompt or of a tool has a ``ttl``."""
    if isinstance(value, list):
        return any(map(_has_ttl, value))
    if not isinstance(value, dict):
        return False
    inner = [value.get(name) for name in ("system", "tools", "messages", "content")]
    return "ttl" in value.get("cache_control", {}) or any(map(_has_ttl, inner))


def _marked(*ttl: str) -> list[Json]:
    hint = {"type": "ephemeral", **dict(zip(("ttl",), ttl, strict=False))}
    return [{"type": "text", "text": "Make this long text short", "cache_control": hint}]


def _conversation(*ttl: str) -> Json:
    """A conversation with hints in all places, and the same words where they mean nothing."""
    own = {"cache_control": {"ttl": "1h"}, "text": '"ttl": "1h"'}
    properties = {"cache_control": {"type": "object", "properties": {"ttl": {"type": "string"}}}}
    tool = {"name": "t", "input_schema": {"type": "object", "properties": properties}}
    return {
        "system": _marked(*ttl),
        "tools": [{**tool, "cache_control": _marked(*ttl)[0]["cache_control"]}],
        "messages": [
            {"role": "user", "content": _marked(*ttl)},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "t", "input": own}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": _marked(*ttl)}]},
        ],
    }  # fmt: skip


def _said_by(role: str) -> Json:
    said = [{"role": role, "content": "Be brief."}, {"role": "user", "content": "Make this short"}]
    return {"messages": said}


def _says_developer(body: Json) -> bool:
    return any(each.get("role") == "developer" for each in body["messages"])


def _developer(model: str, says: str) -> Refused:
    sent = _said_by("system")
    return Refused(
        model, CHAT, _said_by("developer"), _says_developer, says, sent, "role developer"
    )


def _over(most: int, name: str = "max_tokens") -> Callable[[Json], bool]:
    return lambda body: (body.get(name) or 0) > most


def _too_large(model: str, most: int, asked: int, name: str = "max_tokens") -> Refused:
    says = f"{name} is too large: {asked}. This model supports at most {most} completion tokens, whereas you provided {asked}."  # fmt: skip
    return Refused(model, CHAT, {name: asked}, _over(most, name), says, {name: most}, name)


def _too_large_for_claude(model: str, most: int) -> Refused:
    asked = most + 1
    says = f"max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens for {model}"
    return Refused(
        f"anthropic/{model}", MESSAGES, {"max_tokens": asked}, _over(most), says, {"max_tokens": most}, "max_tokens"
    )  # fmt: skip


def _effort(model: str, effort: str, supported: str, path: str = CHAT) -> Refused:
    says = f"Unsupported value: '{effort}' is not supported with this model. Supported values are: {supported}."
    if path == RESPONSES:
        return Refused(
            model, path, {"reasoning": {"effort": effort, "summary": "auto"}},
            lambda body: body.get("reasoning", {}).get("effort") == effort,
            says, {"reasoning": {"summary": "auto"}}, "reasoning.effort",
        )  # fmt: skip
    return Refused(
        model, path, {"reasoning_effort": effort}, lambda body: body.get("reasoning_effort") == effort,
        says, _without("reasoning_effort"), "reasoning_effort",
    )  # fmt: skip


_SAMPLING: Final = {"temperature": 0.2, "top_p": 0.9}
_SAMPLED: Final = _without("temperature", "top_p")
_PENALTIES: Final = {"presence_penalty": 0.1, "frequency_penalty": 0.1}
_PENALIZED: Final = _without("presence_penalty", "frequency_penalty")
_PENALTIES_LOST: Final = "presence_penalty, frequency_penalty"
_ADAPTIVE: Final = {"thinking": {"type": "adaptive"}}
_EXTRA: Final = "Extra inputs are not permitted"

OPENAI: Final = (
    Refused(
        "openai/gpt-5-mini", CHAT, {"max_tokens": 500, "temperature": 0.2},
        _asks("max_tokens", "temperature"),
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_tokens": GONE, "max_completion_tokens": 500, "temperature": GONE}, "max_tokens, temperature",
    ),
    Refused(
        "azure_openai/o4-mini", CHAT, {"max_tokens": 500, "max_completion_tokens": 400}, _asks("max_tokens"),
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_tokens": GONE}, "max_tokens",
    ),
    Refused(
        "openai/gpt-5", CHAT, {"top_p": 0.9, **_PENALTIES, "logit_bias": {"50256": -100}},
        *_unsupported("top_p", *_PENALTIES, "logit_bias"),
        _without("top_p", *_PENALTIES, "logit_bias"), f"top_p, {_PENALTIES_LOST}, logit_bias",
    ),
    Refused("openai/gpt-5.1-codex-max", CHAT, _SAMPLING, *_unsupported("top_p", "temperature"), _SAMPLED, "temperature, top_p"),
    Refused(
        "openai/gpt-5.2", CHAT, {"reasoning_effort": "high", **_SAMPLING},
        *_unsupported("temperature", "top_p"), _SAMPLED, "temperature, top_p",
    ),
    Refused(
        "openai/o3", CHAT, {**_SAMPLING, **_PENALTIES, "logit_bias": {}, "parallel_tool_calls": False},
        *_unsupported("parallel_tool_calls", *_SAMPLING, *_PENALTIES, "logit_bias"),
        _without(*_SAMPLING, *_PENALTIES, "logit_bias", "parallel_tool_calls"),
        f"temperature, top_p, {_PENALTIES_LOST}, logit_bias, parallel_tool_calls",
    ),
    Refused(
        "openai/gpt-4o", CHAT, {"reasoning_effort": "low"}, _asks("reasoning_effort"),
        "Unrecognized request argument supplied: reasoning_effort", _without("reasoning_effort"), "reasoning_effort",
    ),
    _effort("openai/gpt-5", "none", "'minimal', 'low', 'medium', and 'high'"),
    _effort("openai/gpt-5.1", "minimal", "'none', 'low', 'medium', and 'high'"),
    _effort("openai/o4-mini", "minimal", "'low', 'medium', and 'high'"),
    _too_large("openai/gpt-4o-mini", 16_384, 32_000),
    _too_large("openai/gpt-4.1-mini", 32_768, 64_000, "max_completion_tokens"),
    _too_large("openai/gpt-4-turbo", 4096, 8192),
    _too_large("openai/gpt-5-nano", 128_000, 200_000, "max_completion_tokens"),
    _too_large("openai/o3", 100_000, 128_000, "max_completion_tokens"),
    Refused("openai/gpt-5", RESPONSES, _SAMPLING, *_unsupported("temperature", "top_p"), _SAMPLED, "temperature, top_p"),
    Refused("azure_openai/gpt-5.3-codex", RESPONSES, _SAMPLING, *_unsupported("top_p", "temperature"), _SAMPLED, "temperature, top_p"),
    Refused(
        "openai/gpt-5.2", RESPONSES, {**_SAMPLING, "reasoning": {"effort": "low"}},
        *_unsupported("temperature", "top_p"), _SAMPLED, "temperature, top_p",
    ),
    Refused("openai/o3", RESPONSES, _SAMPLING, *_unsupported("temperature", "top_p"), _SAMPLED, "temperature, top_p"),
    Refused(
        "openai/gpt-4.1", RESPONSES, {"reasoning": {"effort": "low"}},
        *_unsupported("reasoning"), _without("reasoning"), "reasoning",
    ),
    Refused(
        "openai/gpt-4o", RESPONSES, {"include": ["reasoning.encrypted_content", "message.input_image.image_url"]},
        lambda body: "reasoning.encrypted_content" in body.get("include", ()),
        "Encrypted content is not supported with this model.",
        {"include": ["message.input_image.image_url"]}, "reasoning.encrypted_content",
    ),
    _effort("openai/gpt-5", "none", "'minimal', 'low', 'medium', and 'high'", RESPONSES),
    _effort("openai/gpt-5.1", "minimal", "'none', 'low', 'medium', and 'high'", RESPONSES),
    _effort("openai/o4-mini", "xhigh", "'low', 'medium', and 'high'", RESPONSES),
)  # fmt: skip
CLAUDE: Final = (
    Refused(
        "anthropic/claude-haiku-4-5-20251001", MESSAGES, _ADAPTIVE, _asks("thinking"),
        "adaptive thinking is not supported on this model", _without("thinking"), "thinking",
    ),
    Refused(
        "anthropic/claude-opus-4-8", MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        _asks("thinking.budget_tokens"),
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.',
        _ADAPTIVE, "thinking.budget_tokens",
    ),
    Refused(
        "anthropic/claude-opus-5-5", MESSAGES, {"thinking": {"type": "disabled"}}, _asks("thinking"),
        '"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.',
        _without("thinking"), "thinking",
    ),
    Refused(
        "amazon_bedrock/anthropic.claude-sonnet-5", MESSAGES, {**_SAMPLING, "top_k": 40},
        _asks(*_SAMPLING, "top_k"), "`temperature` is deprecated for this model",
        _without(*_SAMPLING, "top_k"), "temperature, top_p, top_k",
    ),
    Refused(
        "anthropic/claude-sonnet-4-5", MESSAGES, _SAMPLING, lambda body: {"temperature", "top_p"} <= body.keys(),
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        _without("top_p"), "top_p",
    ),
    Refused(
        "azure_openai/claude-haiku-4-5", MESSAGES, {"output_config": {"effort": "low"}}, _asks("output_config.effort"),
        "This model does not support the effort parameter.", _without("output_config"), "output_config.effort",
    ),
    Refused(
        "anthropic/claude-opus-4-5", MESSAGES, {"output_config": {"effort": "max", "format": {"type": "json_schema"}}},
        lambda body: body.get("output_config", {}).get("effort") in ("max", "xhigh"),
        "output_config.effort: 'max' is not supported by this model",
        {"output_config": {"format": {"type": "json_schema"}}}, "output_config.effort",
    ),
    Refused(
        "anthropic/claude-opus-4-6", MESSAGES, {"output_config": {"effort": "xhigh"}},
        lambda body: body.get("output_config", {}).get("effort") == "xhigh",
        "output_config.effort: 'xhigh' is not supported by this model", _without("output_config"), "output_config.effort",
    ),
    *(
        _too_large_for_claude(*each)
        for each in (
            ("claude-3-haiku-20240307", 4096), ("claude-3-5-haiku-20241022", 8192), ("claude-opus-4-1", 32_000),
            ("claude-opus-4-20250514", 32_000), ("claude-sonnet-4-20250514", 64_000), ("claude-sonnet-4-5", 64_000),
            ("claude-sonnet-4-6", 128_000), ("claude-fable-5-1", 128_000),
        )
    ),
    *(
        Refused(
            model, MESSAGES, _conversation("1h"), _has_ttl, "invalid params, cache_control.ttl: unknown field",
            _conversation(), "cache_control.ttl",
        )
        for model in ("minimax/MiniMax-M3", "fireworks/kimi-k3", "moonshotai/kimi-k3")
    ),
)  # fmt: skip
SERVERS: Final = (
    Refused(
        "cerebras/gpt-oss-120b", CHAT, {**_PENALTIES, "logit_bias": {}}, _asks(*_PENALTIES, "logit_bias"),
        "frequency_penalty: property 'frequency_penalty' is unsupported",
        _without(*_PENALTIES, "logit_bias"), f"{_PENALTIES_LOST}, logit_bias",
    ),
    _developer("deepseek/deepseek-chat", "Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`"),
    Refused(
        "gemini/gemini-3-pro", CHAT, {**_PENALTIES, "store": False}, _asks(*_PENALTIES, "store"),
        'Invalid JSON payload received. Unknown name "store": Cannot find field.',
        _without(*_PENALTIES, "store"), f"{_PENALTIES_LOST}, store",
    ),
    Refused(
        "groq/openai/gpt-oss-120b", CHAT, {"logit_bias": {}}, _asks("logit_bias"),
        "property 'logit_bias' is unsupported", _without("logit_bias"), "logit_bias",
    ),
    Refused(
        "groq/openai/gpt-oss-120b", CHAT, {"prompt_cache_key": "k"}, _asks("prompt_cache_key"),
        "property 'prompt_cache_key' is unsupported", _without("prompt_cache_key"), "prompt_cache_key",
    ),
    Refused(
        "groq/llama-3.3-70b-versatile", CHAT, {"reasoning_effort": "low"}, _asks("reasoning_effort"),
        "`reasoning_effort` is not supported with this model", _without("reasoning_effort"), "reasoning_effort",
    ),
    Refused(
        "groq/qwen/qwen3-32b", CHAT, {"reasoning_effort": "low"},
        lambda body: body.get("reasoning_effort", "none") not in ("none", "default"),
        "`reasoning_effort` must be one of `none` or `default`", _without("reasoning_effort"), "reasoning_effort",
    ),
    _developer("minimax/MiniMax-M3", "invalid params, invalid role: developer (2013)"),
    Refused(
        "mistral/mistral-large", CHAT, {"max_completion_tokens": 9, "seed": 7, "user": "u"},
        lambda body: not body.keys().isdisjoint(("max_completion_tokens", "seed", "user")), _EXTRA,
        {"max_completion_tokens": GONE, "max_tokens": 9, "seed": GONE, "random_seed": 7, "user": GONE},
        "max_completion_tokens, seed, user",
    ),
    _developer("mistral/mistral-large", "Input tag 'developer' found using 'role' does not match any of the expected tags"),
    Refused(
        "moonshotai/kimi-k2.6", CHAT, {**_SAMPLING, **_PENALTIES}, _asks(*_SAMPLING, *_PENALTIES),
        "invalid temperature: only 1 is allowed for this model",
        {**_SAMPLED, **_PENALIZED}, f"temperature, top_p, {_PENALTIES_LOST}",
    ),
    _developer("qwen/qwen3.7-max", "developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.[0].role'"),
    Refused(
        "xai/grok-4.5", CHAT, _PENALTIES, _asks(*_PENALTIES),
        "Model grok-4.5 does not support parameter presencePenalty.", _PENALIZED, _PENALTIES_LOST,
    ),
    Refused(
        "xai/grok-4-fast", CHAT, {"reasoning_effort": "low"}, _asks("reasoning_effort"),
        "Model grok-4-fast does not support parameter reasoningEffort.", _without("reasoning_effort"), "reasoning_effort",
    ),
    Refused(
        "xai/grok-4-fast", RESPONSES, {"reasoning": {"effort": "low"}}, _asks("reasoning.effort"),
        "Model grok-4-fast does not support parameter reasoningEffort.", _without("reasoning"), "reasoning.effort",
    ),
    _developer("zhipu/glm-5.3-flash", "[1214] Incorrect role information"),
)  # fmt: skip
REFUSED: Final = (*OPENAI, *CLAUDE, *SERVERS)


class RefusingProvider(ScriptedProvider):
    """Refuses what `refused` refuses; serves all else."""

    refused: Refused | None = None

    def _failure(
        self, http: HttpRequest, asked: DemoRequest, problem: HttpReply | None, fault: Fault
    ) -> HttpReply | None:
        refused = self.refused
        if refused is not None and refused.refuses(msgspec.json.decode(http.body)):
            return HttpReply(400, refusal_body(refused))
        return super()._failure(http, asked, problem, fault)


def refusal_body(refused: Refused) -> bytes:
    """The error body in the API's own form."""
    error = {"type": "invalid_request_error", "message": refused.says}
    if refused.path == MESSAGES:
        return json.dumps({"type": "error", "error": error}).encode()
    return json.dumps({"error": {**error, "param": None, "code": None}}).encode()
