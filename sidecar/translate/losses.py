"""What a request would be sent without, and how grave that is."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec


class Weight(enum.IntEnum):
    """How grave it is that a field of a request does not reach the model."""

    HARMLESS = 0
    """The response is of the same kind without it. It is named in ``x-plano-lost``."""
    AVOIDABLE = 1
    """A candidate that would not lose it goes first; where none is left it is left out, and named.
    Fields that are not known are such, and tools that are offered but need not be called.
    """
    DECISIVE = 2
    """The caller relies on it: no candidate that would lose it serves the call."""


class Feature(enum.StrEnum):
    """What a request asks for that some targets can take and others cannot. Declared in the order
    in which losses are named.
    """

    OUTPUT = "output"
    """A form of the response's text that is not plain text."""
    OUTPUT_BOUNDS = "output_bounds"
    """Its schema bounds numbers, lengths or counts."""
    OUTPUT_OPEN = "output_open"
    """Its schema lets members of an object be missing, or others be there."""
    OUTPUT_DESCRIPTION = "output_description"
    STRICT_TOOLS = "strict_tools"
    STRICT_BOUNDS = "strict_bounds"
    """The schema of a strict tool does so."""
    STRICT_OPEN = "strict_open"
    """The schema of a strict tool does that."""
    FORCED_TOOLS = "forced_tools"
    TOOLS = "tools"
    IMAGES = "images"
    DOCUMENTS = "documents"
    """PDFs, as base64."""
    OTHER_DOCUMENTS = "other_documents"
    """Files as base64 that are neither PDF nor plain text."""
    DOCUMENT_URLS = "document_urls"
    PREFILL = "prefill"
    """The conversation ends with a turn of the assistant's, to be gone on with."""
    STOP = "stop"
    PARALLEL = "parallel"
    """Tools are to be called one at a time."""
    MAX_TOKENS = "max_tokens"
    EFFORT = "effort"
    REASONING = "reasoning"
    """That the model reasons where it is offered tools."""
    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    VERBOSITY = "verbosity"
    SERVICE_TIER = "service_tier"
    USER = "user"
    CACHE_KEY = "cache_key"
    CACHE = "cache"
    """Marks that ask for caching."""
    CACHE_TTL = "cache_ttl"
    DETAIL = "detail"
    """How closely an image is to be looked at."""
    IS_ERROR = "is_error"
    """A tool result says that the tool failed."""
    LATE_SYSTEM = "late_system"
    """A system text stands behind a user's turn."""


class Loss(msgspec.Struct, frozen=True):
    """One field of a request that the target's API has no place for."""

    field: str
    """Its path as the caller's API spells it, without indices: ``response_format``,
    ``tools.strict``. Never a value.
    """
    weight: Weight


def gravest(losses: Iterable[Loss]) -> Weight | None:
    """Return the weight of the gravest loss; None where there is none."""
    return max((loss.weight for loss in losses), default=None)
