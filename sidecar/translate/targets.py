"""Whom a request is written for, and what the model there can do, by its family and id.

Only where a provider is known to refuse or to ignore what its API documents does a row say so; of a
family or model without one that documentation is believed.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from sidecar.domain.call import CHAT, MESSAGES, DialectName
from sidecar.translate.abilities import Abilities
from sidecar.translate.claude_models import claude_abilities, claude_of
from sidecar.translate.openai_models import openai_abilities, openai_model_of

OPENAI_FAMILIES: Final = ("openai", "azure_openai", "chatgpt")
"""Those that serve OpenAI's own models by OpenAI's own API."""
_THREE_EFFORTS: Final = ("low", "medium", "high")
_OTHER_TOKENS: Final = 16_384
"""The limit of a response of a model that is no Claude, in an API that needs one."""

_CHAT: Final = Abilities(has_document_urls=False)
_LOCAL: Final = msgspec.structs.replace(
    _CHAT,
    has_strict_order=True,
    has_late_system=False,
    has_text_parts=False,
    efforts=_THREE_EFFORTS,
    off=None,
)
"""Servers whose models bring their own templates, many of which insist on an order."""
_CHAT_FAMILIES: Final = {
    # "does not support the following: response_format, strict": its own page on compatibility.
    "anthropic": msgspec.structs.replace(
        _CHAT, has_json_schema=False, has_json_object=False, has_strict_tools=False
    ),
    # It documents JSON objects only, texts only, and content that is one text.
    "deepseek": msgspec.structs.replace(
        _CHAT,
        has_json_schema=False,
        has_strict_tools=False,
        has_images=False,
        has_documents=False,
        has_other_documents=False,
        has_text_parts=False,
    ),
    "fireworks": msgspec.structs.replace(_CHAT, efforts=_THREE_EFFORTS, off=None),
    "gemini": msgspec.structs.replace(
        _CHAT, efforts=("none", "minimal", *_THREE_EFFORTS), off="none"
    ),
    "llama_cpp": _LOCAL,
    "lm_studio": _LOCAL,
    # It refuses members that it does not know: "Extra inputs are not permitted".
    "mistral": msgspec.structs.replace(
        _CHAT, has_strict_order=True, has_late_system=False, has_stream_usage=False
    ),
    "ollama": _LOCAL,
    "openrouter": msgspec.structs.replace(
        _CHAT,
        efforts=("none", "minimal", *_THREE_EFFORTS, "xhigh"),
        off="none",
        has_users=True,
    ),
    "vllm": _LOCAL,
    # It documents JSON objects only.
    "zhipu": msgspec.structs.replace(_CHAT, has_json_schema=False, has_strict_tools=False),
}
_RESPONSES: Final = Abilities(
    has_stop=False, max_tokens_name="max_output_tokens", efforts=_THREE_EFFORTS
)
_MESSAGES: Final = Abilities(
    has_json_schema=False,
    has_json_object=False,
    has_strict_tools=False,
    has_other_documents=False,
    has_details=False,
    has_failed_results=True,
    has_output_descriptions=False,
    has_blank_stops=False,
    max_temperature=1,
    has_top_k=True,
    off="disabled",
    default_tokens=_OTHER_TOKENS,
    has_users=True,
    has_cache_marks=True,
    has_late_system=False,
)
"""Anthropic's API before other models: whether they can be held to a schema is not documented."""

_FIXED: Final[tuple[tuple[str, re.Pattern[str], dict[str, Any]], ...]] = (
    (
        "moonshotai",
        re.compile(r"^kimi-(?:k2\.[5-9]|k[3-9])"),
        {"max_temperature": None, "has_top_p": False},
    ),
    ("xai", re.compile(r"^grok-(?:4(?:$|-)|4\.20(?!.*multi)|code|build)"), {"efforts": ()}),
)
"""Family, ids, and what their makers document that such models fix: they refuse to be told it."""


class Target(msgspec.Struct, frozen=True):
    """Whom a request is written for."""

    dialect: DialectName
    """What the candidate is spoken to in: chat, responses or messages."""
    family: str
    """The provider's family, such as ``anthropic``."""
    model_id: str
    """The bare id, as it goes into the body."""


def abilities_of(target: Target) -> Abilities:
    """Return what a target takes."""
    claude = claude_of(target.model_id)
    if target.dialect == MESSAGES:
        if claude is not None:
            return claude_abilities(claude, target.family)
        has_images = target.family != "deepseek"
        return msgspec.structs.replace(_MESSAGES, has_images=has_images, has_documents=has_images)
    is_chat = target.dialect == CHAT
    if target.family in OPENAI_FAMILIES:
        return openai_abilities(openai_model_of(target.model_id), target.dialect)
    known = _CHAT_FAMILIES.get(target.family, _CHAT) if is_chat else _RESPONSES
    for family, ids, fixed in _FIXED:
        if target.family == family and ids.match(target.model_id) is not None:
            return msgspec.structs.replace(known, **fixed)
    if claude is None:
        return known
    own = claude_abilities(claude, target.family)
    return msgspec.structs.replace(
        known,
        has_forced_tools=own.has_forced_tools,
        has_prefill=own.has_prefill,
        max_temperature=own.max_temperature,
        has_top_p=own.has_top_p,
        has_top_p_beside_temperature=False,
        max_tokens=own.max_tokens,
    )
