"""What Claude models refuse of each other's parameters, and other makers' models of Claude's behind
the same API. Pure.
"""

from __future__ import annotations

from typing import Final

from sidecar.config.patches import (
    ALL,
    Patch,
    at_most,
    beside,
    beside_only,
    models,
    only,
    replaced,
    rows_of,
    without,
)
from sidecar.domain.call import MESSAGES

_FAMILIES: Final = ("anthropic", "amazon_bedrock", "azure_openai")
_SAMPLING: Final = ("temperature", "top_p", "top_k")

_3: Final = "claude-3-"
_4: Final = r"claude-(?:opus|sonnet)-4(?:-0)?(?=$|@|-20\d{6}|-v\d)"
_OPUS_4_1: Final = r"claude-opus-4-1(?!\d)"
_OPUS_4_5: Final = r"claude-opus-4-5(?!\d)"
_4_5: Final = r"claude-(?:sonnet|haiku)-4-5(?!\d)"
_4_6: Final = r"claude-(?:opus|sonnet)-4-6(?!\d)"
_NEWER: Final = r"claude-(?:opus-4-[78](?!\d)|(?:opus|sonnet|fable|mythos)-5)"

_BEFORE_ADAPTIVE: Final = models("Claude 3 to 4.5", f"{_3}|{_4}|{_OPUS_4_1}|{_OPUS_4_5}|{_4_5}")
_BEFORE_EFFORT: Final = models("Claude 3 to 4.5, but Opus 4.5", f"{_3}|{_4}|{_OPUS_4_1}|{_4_5}")
_ADAPTIVE: Final = models("Opus 4.7, 4.8; Opus, Sonnet, Fable, Mythos 5", _NEWER)
_THINKING: Final = models("Opus, Sonnet 5.5", "claude-(?:opus|sonnet)-5-5")
_ONE_SAMPLING: Final = models("Opus 4.1; Claude 4.5", f"{_OPUS_4_1}|{_OPUS_4_5}|{_4_5}")

_DOCS: Final = "https://platform.claude.com/docs/en"
_EFFORT: Final = f"{_DOCS}/build-with-claude/effort"
_GUIDE: Final = f"{_DOCS}/about-claude/models/migration-guide"
_OVERVIEW: Final = f"{_DOCS}/about-claude/models/overview"

_ROWS: Final = (
    (
        _BEFORE_ADAPTIVE,
        without("thinking", where=beside_only("thinking.type", "adaptive")),
        f"{_DOCS}/build-with-claude/adaptive-thinking",
    ),
    (
        _ADAPTIVE,
        replaced(
            "thinking",
            '{"type":"adaptive"}',
            beside_only("thinking.type", "enabled"),
            "thinking.budget_tokens",
        ),
        _GUIDE,
    ),
    (
        _THINKING,
        without("thinking", where=beside_only("thinking.type", "disabled")),
        f"{_DOCS}/models/opus-5-5/migration-guide",
    ),
    (_ADAPTIVE, without(*_SAMPLING), _GUIDE),
    (_ONE_SAMPLING, without("top_p", where=beside("temperature")), _GUIDE),
    (_BEFORE_EFFORT, without("output_config.effort"), _EFFORT),
    (
        models("Opus 4.5", _OPUS_4_5),
        without("output_config.effort", where=only("max", "xhigh")),
        _EFFORT,
    ),
    (
        models("Opus, Sonnet 4.6", _4_6),
        without("output_config.effort", where=only("xhigh")),
        _EFFORT,
    ),
    (models("Claude 3", "claude-3-(?:opus|sonnet|haiku)"), at_most(4096, "max_tokens"), _OVERVIEW),
    (models("Claude 3.5", "claude-3-5-"), at_most(8192, "max_tokens"), _OVERVIEW),
    (
        models("Opus 4, 4.1", rf"(?=.*opus)(?:{_4}|{_OPUS_4_1})"),
        at_most(32_000, "max_tokens"),
        _OVERVIEW,
    ),
    (
        models("Sonnet 4; Claude 4.5", rf"(?=.*sonnet)(?:{_4})|{_OPUS_4_5}|{_4_5}"),
        at_most(64_000, "max_tokens"),
        _OVERVIEW,
    ),
    (
        models("Claude 4.6, 4.7, 4.8; Opus, Sonnet, Fable, Mythos 5", f"{_4_6}|{_NEWER}"),
        at_most(128_000, "max_tokens"),
        _OVERVIEW,
    ),
)
_OTHER_MAKERS: Final = (
    (
        ALL,
        without(
            "cache_control.ttl",
            "system.*.cache_control.ttl",
            "tools.*.cache_control.ttl",
            "messages.*.content.*.cache_control.ttl",
            "messages.*.content.*.content.*.cache_control.ttl",
            name="cache_control.ttl",
        ),
        "https://github.com/BYK/loreai/pull/560",
    ),
)

CLAUDE: Final[tuple[Patch, ...]] = (
    *rows_of(_FAMILIES, MESSAGES, _ROWS),
    *rows_of(("fireworks", "minimax", "moonshotai"), MESSAGES, _OTHER_MAKERS),
)
