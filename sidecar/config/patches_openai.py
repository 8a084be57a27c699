"""What OpenAI's models refuse of each other's parameters, at OpenAI and at Azure. Pure."""

from __future__ import annotations

from typing import Final

from sidecar.config.patches import (
    Patch,
    at_most,
    beside,
    but,
    models,
    only,
    renamed,
    rows_of,
    without,
)
from sidecar.domain.call import CHAT, RESPONSES

_FAMILIES: Final = ("openai", "azure_openai")
_TOKENS: Final = ("max_tokens", "max_completion_tokens")
_SAMPLING: Final = ("temperature", "top_p")
_OTHER_SAMPLING: Final = ("presence_penalty", "frequency_penalty", "logit_bias")

_NEW: Final = models("o-series, gpt-5 and later", r"^(?:o[1-9]|gpt-(?:[5-9]|[1-9]\d))(?!.*chat)")
_GPT_5: Final = models(
    "gpt-5, -mini, -nano, -pro, -codex",
    r"^gpt-5(?:-(?:mini|nano|pro|codex))?(?:-20\d\d-\d\d-\d\d)?$",
)
_LATER: Final = models("gpt-5.1 and later 5.x", r"^gpt-5\.\d+(?!.*(?:chat|pro|codex))")
_LATER_CODEX: Final = models("gpt-5.x-pro, -codex", r"^gpt-5\.\d+-(?:pro|codex)")
_O: Final = models("o-series", r"^o[1-9]")
_GPT_4: Final = models("gpt-4o, 4.1, 4, 3.5", r"^(?:gpt-4|gpt-3\.5|chatgpt-4o)")

_AZURE: Final = "https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning"
_REASONING: Final = "https://developers.openai.com/api/docs/guides/reasoning"
_LATEST: Final = "https://developers.openai.com/api/docs/guides/latest-model"
_MODELS: Final = "https://developers.openai.com/api/docs/models"

_CHAT: Final = (
    (_NEW, renamed(*_TOKENS), _AZURE),
    (_GPT_5, without("temperature", where=but(1)), _AZURE),
    (_GPT_5, without("top_p", *_OTHER_SAMPLING), _AZURE),
    (_LATER_CODEX, without(*_SAMPLING), "https://github.com/microsoft/vscode/issues/281427"),
    (_LATER, without(*_SAMPLING, where=beside("reasoning_effort", "none")), _LATEST),
    (_O, without(*_SAMPLING, *_OTHER_SAMPLING, "parallel_tool_calls"), _AZURE),
    (
        _GPT_4,
        without("reasoning_effort"),
        "https://github.com/davidmigloz/langchain_dart/issues/712",
    ),
    (_GPT_5, without("reasoning_effort", where=only("none", "xhigh")), _REASONING),
    (_LATER, without("reasoning_effort", where=only("minimal")), _REASONING),
    (_O, without("reasoning_effort", where=only("none", "minimal", "xhigh")), _REASONING),
    (
        models("gpt-4o, -mini", r"^gpt-4o(?:-mini)?(?:-2024-(?:07|08|11)-\d\d)?$"),
        at_most(16_384, *_TOKENS),
        _MODELS,
    ),
    (models("gpt-4.1, -mini, -nano", r"^gpt-4\.1"), at_most(32_768, *_TOKENS), _MODELS),
    (
        models(
            "gpt-4-turbo, gpt-3.5-turbo, gpt-4o-2024-05-13",
            r"^(?:gpt-4-turbo|gpt-3\.5-turbo(?:-0125|-1106)?$|gpt-4o-2024-05-13$)",
        ),
        at_most(4096, *_TOKENS),
        _MODELS,
    ),
    (_GPT_5, at_most(128_000, *_TOKENS), _MODELS),
    (_O, at_most(100_000, *_TOKENS), _MODELS),
)
_RESPONSES: Final = (
    (_GPT_5, without(*_SAMPLING), _AZURE),
    (_LATER_CODEX, without(*_SAMPLING), "https://github.com/microsoft/vscode/issues/282170"),
    (_LATER, without(*_SAMPLING, where=beside("reasoning.effort", "none")), _LATEST),
    (_O, without(*_SAMPLING), _AZURE),
    (_GPT_4, without("reasoning"), "https://github.com/BoundaryML/baml/pull/2708"),
    (
        _GPT_4,
        without(
            "include.*",
            where=only("reasoning.encrypted_content"),
            name="reasoning.encrypted_content",
        ),
        _REASONING,
    ),
    (_GPT_5, without("reasoning.effort", where=only("none", "xhigh")), _REASONING),
    (
        _LATER,
        without("reasoning.effort", where=only("minimal")),
        "https://github.com/anomalyco/opencode/issues/4451",
    ),
    (_O, without("reasoning.effort", where=only("none", "minimal", "xhigh")), _REASONING),
)

OPENAI: Final[tuple[Patch, ...]] = (
    *rows_of(_FAMILIES, CHAT, _CHAT),
    *rows_of(_FAMILIES, RESPONSES, _RESPONSES),
)
