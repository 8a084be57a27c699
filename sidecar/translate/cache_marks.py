"""Marks that ask a provider to cache the prompt up to where they stand."""

from __future__ import annotations

from sidecar.translate.conversation import CacheMark
from sidecar.translate.losses import Feature, Weight
from sidecar.translate.raw_json import Members, is_null
from sidecar.translate.reading import Reading


def mark_of(reading: Reading, holder: Members, path: str) -> CacheMark | None:
    """Read ``cache_control``, which clients send to OpenAI's APIs as well, or OpenAI's own
    ``prompt_cache_breakpoint``, whose lifetimes no other API has. Raises: InvalidBody.

    Args: ``path`` is the holder's, without brackets.
    """
    raw = holder.get("cache_control")
    if not is_null(raw):
        assert raw is not None  # it is not null
        reading.features.add(Feature.CACHE)
        reading.spelled.add(f"{path}.cache_control".strip("."))
        ttl = reading.text(reading.object(raw), "ttl")
        if ttl is not None:
            reading.features.add(Feature.CACHE_TTL)
        return CacheMark(ttl)
    raw = holder.get("prompt_cache_breakpoint")
    if raw is None or is_null(raw):
        return None
    reading.features.add(Feature.CACHE)
    reading.spelled.add(f"{path}.prompt_cache_breakpoint")
    if not is_null(reading.object(raw).get("ttl")):
        reading.lose(f"{path}.prompt_cache_breakpoint.ttl", Weight.HARMLESS)
    return CacheMark()
