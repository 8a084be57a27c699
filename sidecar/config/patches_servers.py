"""What compatible servers refuse of OpenAI's parameters, where they refuse instead of ignoring
them. Pure.
"""

from __future__ import annotations

from typing import Final

from sidecar.config.patches import (
    ALL,
    Patch,
    but,
    models,
    only,
    renamed,
    replaced,
    rows_of,
    without,
)
from sidecar.domain.call import CHAT, RESPONSES
from sidecar.wire.changes import ALWAYS

_PENALTIES: Final = ("presence_penalty", "frequency_penalty")
_DEVELOPER: Final = replaced(
    "messages.*.role", '"system"', only("developer"), name="role developer"
)
_KIMI: Final = models("kimi-k2.5 and later", r"^kimi-(?:k2\.[5-9]|k[3-9])")
_GROK: Final = models("grok-4, -code, -3-mini", r"^grok-(?:[4-9]|code|3-mini)")
_GROK_FIXED: Final = models(
    "grok-4, -4-fast, -4-1-fast, -4.20, -code, -build",
    r"^grok-(?:4(?:$|-)|4\.20(?!.*multi)|code|build)",
)
_GROQ_PLAIN: Final = models("Llama", r"llama")
_GROQ_QWEN: Final = models("Qwen 3", r"qwen3")
_KIMI_DOCS: Final = "https://platform.kimi.ai/docs/api/models-overview"
_GROQ_DOCS: Final = "https://console.groq.com/docs/openai"
_GROK_DOCS: Final = "https://docs.x.ai/developers/model-capabilities/text/reasoning"

_ROWS: Final = {
    "cerebras": (
        (
            ALL,
            without(*_PENALTIES, "logit_bias", where=ALWAYS),
            "https://inference-docs.cerebras.ai/resources/openai",
        ),
    ),
    "deepseek": ((ALL, _DEVELOPER, "https://github.com/earendil-works/pi/issues/1048"),),
    "gemini": (
        (
            ALL,
            without(*_PENALTIES, "store", where=ALWAYS),
            "https://github.com/liliMozi/openhanako/issues/394",
        ),
    ),
    "groq": (
        (ALL, without("logit_bias", where=ALWAYS), _GROQ_DOCS),
        (
            ALL,
            without("prompt_cache_key", where=ALWAYS),
            "https://github.com/eigent-ai/eigent/issues/1827",
        ),
        (_GROQ_PLAIN, without("reasoning_effort"), "https://console.groq.com/docs/reasoning"),
        (
            _GROQ_QWEN,
            without("reasoning_effort", where=but("none", "default")),
            "https://console.groq.com/docs/reasoning",
        ),
    ),
    "minimax": ((ALL, _DEVELOPER, "https://github.com/openclaw/openclaw/issues/3022"),),
    "mistral": (
        (
            ALL,
            renamed("max_completion_tokens", "max_tokens"),
            "https://github.com/editor-code-assistant/eca/issues/231",
        ),
        (ALL, renamed("seed", "random_seed"), "https://docs.mistral.ai/api"),
        (ALL, without("user", where=ALWAYS), "https://docs.mistral.ai/api"),
        (ALL, _DEVELOPER, "https://docs.mistral.ai/api"),
    ),
    "moonshotai": (
        (_KIMI, without("temperature", where=but(1)), _KIMI_DOCS),
        (_KIMI, without("top_p", where=but(0.95)), _KIMI_DOCS),
        (_KIMI, without(*_PENALTIES, where=but(0)), _KIMI_DOCS),
    ),
    "qwen": ((ALL, _DEVELOPER, "https://github.com/proma-ai/Proma/issues/1496"),),
    "xai": (
        (
            _GROK,
            without(*_PENALTIES, where=ALWAYS),
            "https://github.com/miaoxworld/NativeTavern/issues/83",
        ),
        (_GROK_FIXED, without("reasoning_effort"), _GROK_DOCS),
    ),
    "zhipu": ((ALL, _DEVELOPER, "https://github.com/vastsa/PI-Desktop/issues/30"),),
}
"""Family -> its rows for chat."""

SERVERS: Final[tuple[Patch, ...]] = (
    *(row for family, rows in _ROWS.items() for row in rows_of((family,), CHAT, rows)),
    *rows_of(("xai",), RESPONSES, ((_GROK_FIXED, without("reasoning.effort"), _GROK_DOCS),)),
)
