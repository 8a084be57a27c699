"""Prompt caches: each account keeps, for each model, the prefixes that it has read lately."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from tests.support.simulator.values import Segment

_BYTES_A_TOKEN = 4
_STEP_TOKENS = 128
"""OpenAI counts cached tokens in such steps."""
_SWEPT_AT = 500_000


class Read(NamedTuple):
    """Tokens of a prompt, by how they were read."""

    fresh: int
    cached: int
    written: int


class PromptCache:
    """The prefixes that all accounts keep, until ``ttl_s`` after their last use."""

    def __init__(self, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._due_s: dict[tuple[str, str, bytes], float] = {}

    def read_marked(
        self, account: str, model: str, segments: Sequence[Segment], now_s: float
    ) -> Read:
        """Read a prompt whose app says by marks which prefixes are kept; others are not."""
        prefixes = _prefixes(segments)
        total = prefixes[-1][1] if prefixes else 0
        marked = [at for at, segment in enumerate(segments) if segment.ends_prefix]
        if not marked:
            return Read(total, 0, 0)
        cached = self._longest(account, model, prefixes[: marked[-1] + 1], now_s)
        end = prefixes[marked[-1]][1]
        self._keep(account, model, [prefixes[at][0] for at in marked], now_s)
        return Read(total - end, cached, end - cached)

    def read_any(
        self, account: str, model: str, segments: Sequence[Segment], now_s: float, least: int
    ) -> Read:
        """Read a prompt where every prefix of at least ``least`` tokens is kept unasked."""
        prefixes = _prefixes(segments)
        total = prefixes[-1][1] if prefixes else 0
        cached = self._longest(account, model, prefixes, now_s)
        cached = 0 if cached < least else cached - cached % _STEP_TOKENS
        self._keep(account, model, [digest for digest, _ in prefixes], now_s)
        return Read(total - cached, cached, 0)

    def _longest(
        self, account: str, model: str, prefixes: Sequence[tuple[bytes, int]], now_s: float
    ) -> int:
        for digest, tokens in reversed(prefixes):
            if self._due_s.get((account, model, digest), 0.0) > now_s:
                self._due_s[account, model, digest] = now_s + self.ttl_s
                return tokens
        return 0

    def _keep(self, account: str, model: str, digests: Sequence[bytes], now_s: float) -> None:
        if len(self._due_s) > _SWEPT_AT:
            self._due_s = {key: due_s for key, due_s in self._due_s.items() if due_s > now_s}
        for digest in digests:
            self._due_s[account, model, digest] = now_s + self.ttl_s


def _prefixes(segments: Sequence[Segment]) -> list[tuple[bytes, int]]:
    """Return for each segment the digest of the prompt up to its end, and the tokens up to there."""
    running, tokens = hashlib.blake2b(digest_size=16), 0
    found = []
    for segment in segments:
        running.update(segment.content)
        tokens += max(1, len(segment.content) // _BYTES_A_TOKEN)
        found.append((running.copy().digest(), tokens))
    return found
