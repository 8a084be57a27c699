"""What OpenAI's models take, by their ids.

Source: https://developers.openai.com/api/docs/guides/reasoning, the models' pages beside it, and
what the API says where it refuses a parameter.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from sidecar.domain.call import CHAT, DialectName
from sidecar.translate.abilities import Abilities

_NAME: Final = re.compile(r"(?:\A|[/.])(gpt-(\d)(?!\d)(?:\.(\d+))?|o(\d)(?!\d))")
_O_SERIES_TOKENS: Final = 100_000
_MAX_TOKENS: Final = (
    ("gpt-4o", 16_384),
    ("gpt-4.1", 32_768),
    ("gpt-4.5", 16_384),
    ("gpt-4-turbo", 4_096),
    ("gpt-4", 8_192),
    ("gpt-3.5", 4_096),
    ("gpt-5-chat", 16_384),
    ("gpt-", 128_000),
)
"""By the beginning of an id, the first that fits."""
_NO_IMAGES: Final = ("gpt-3.5", "gpt-4-0", "gpt-4-32k", "o1-mini", "o3-mini")
_NO_SCHEMA: Final = ("gpt-3.5", "gpt-4-", "o1-mini", "o1-preview")
_TIERS: Final = ("auto", "default", "flex", "scale", "priority", "fast")
_LEAST_TOKENS: Final = 16
"""Of the responses API: "integer below minimum value. Expected a value >= 16"."""


class OpenAIModel(msgspec.Struct, frozen=True):
    """What a model's id says."""

    id: str
    """From the model's name on."""
    version: tuple[int, int]
    is_o_series: bool = False

    @property
    def reasons(self) -> bool:
        """Whether it is a reasoning model."""
        return self.is_o_series or (self.version >= (5, 0) and not self.id.startswith("gpt-5-chat"))


def openai_model_of(model_id: str) -> OpenAIModel | None:
    """Read a model's id; None where it is none of OpenAI's names, as of a deployment."""
    name = model_id.lower()
    found = _NAME.search(name)
    if found is None:
        return None
    name = name[found.start(1) :]
    if found[4]:
        return OpenAIModel(name, (0, 0), is_o_series=True)
    return OpenAIModel(name, (int(found[2]), int(found[3] or 0)))


def openai_abilities(model: OpenAIModel | None, dialect: DialectName) -> Abilities:
    """Return what a model takes at OpenAI itself, in chat or in the responses API."""
    is_chat = dialect == CHAT
    own = Abilities(
        refuses_open=True,
        has_stop=is_chat,
        has_document_urls=not is_chat,
        stops_at_most=4,
        min_tokens=1 if is_chat else _LEAST_TOKENS,
        max_tokens_name="max_completion_tokens" if is_chat else "max_output_tokens",
        service_tiers=_TIERS if is_chat else (*_TIERS, "ultrafast"),
        has_users=True,
        has_openai_members=True,
        has_developer_role=True,
    )
    if model is None:
        return own
    reasons, version = model.reasons, model.version
    is_silent_caller = is_chat and version >= (5, 4) and reasons
    efforts = _efforts(model) if reasons else ()
    return msgspec.structs.replace(
        own,
        has_json_schema=not model.id.startswith(_NO_SCHEMA) and model.id != "gpt-4",
        has_tools=not (is_silent_caller and "none" not in efforts),
        calls_without_effort=is_silent_caller,
        has_single_calls=not model.is_o_series,
        has_images=not model.id.startswith(_NO_IMAGES) and model.id != "gpt-4",
        has_stop=is_chat and not reasons,
        max_temperature=None if reasons else 2,
        has_top_p=not reasons,
        efforts=efforts,
        off=_off(efforts),
        max_tokens=_max_tokens(model),
        has_verbosity=version >= (5, 0),
        has_cache_marks=version >= (5, 6),
    )


def _efforts(model: OpenAIModel) -> tuple[str, ...]:
    """Return a reasoning model's words."""
    version, name = model.version, model.id
    if "-pro" in name:
        return ("high",) if version == (5, 0) else ("medium", "high", "xhigh")
    if version >= (5, 6):
        words: tuple[str, ...] = ("none", "low", "medium", "high", "xhigh", "max")
        return words[1:] if "astra" in name else words
    if version >= (5, 2):
        return ("none", "low", "medium", "high", "xhigh")
    if version == (5, 1) and "codex" not in name:
        return ("none", "low", "medium", "high")
    if version == (5, 0) and not model.is_o_series and "codex" not in name:
        return ("minimal", "low", "medium", "high")
    return ("low", "medium", "high")


def _off(efforts: tuple[str, ...]) -> str | None:
    """Return the word that turns reasoning off, as `Abilities.off`."""
    if not efforts:
        return ""
    return "none" if efforts[0] == "none" else None


def _max_tokens(model: OpenAIModel) -> int:
    if model.is_o_series:
        return _O_SERIES_TOKENS
    return next(most for start, most in _MAX_TOKENS if model.id.startswith(start))
