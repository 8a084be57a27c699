"""Prompt caches: each account keeps, for each model, the prefixes that it has read lately."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from tests.support.simulator.values import Segment

_BYTES_A_TOKEN = 4
_STEP_TOKENS = 128
"""OpenAI keeps and counts prefixes in such steps."""
_LOOKBACK = 20
"""Anthropic looks for what it has kept at so many blocks up to a mark."""
_MARKS_AT_MOST = 4
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
        self, account: str, model: str, segments: Sequence[Segment], now_s: float, least: int
    ) -> Read:
        """Read a prompt whose app says by marks which prefixes are kept; others are not, nor are
        those of less than ``least`` tokens. What is kept is found if its end is at most
        `_LOOKBACK` blocks before a mark.

        Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching.
        """
        prefixes = _prefixes(segments)
        total = prefixes[-1][1] if prefixes else 0
        marked = [at for at, segment in enumerate(segments) if segment.ends_prefix]
        assert len(marked) <= _MARKS_AT_MOST, "A maximum of 4 blocks with cache_control"
        cached = max(
            (
                self._longest(account, model, prefixes[max(0, at + 1 - _LOOKBACK) : at + 1], now_s)
                for at in marked
            ),
            default=0,
        )
        kept = [prefixes[at] for at in marked if prefixes[at][1] >= least]
        self._keep(account, model, [digest for digest, _ in kept], now_s)
        end = max((tokens for _, tokens in kept), default=0)
        return Read(total - max(end, cached), cached, max(0, end - cached))

    def read_any(
        self, account: str, model: str, segments: Sequence[Segment], now_s: float, least: int
    ) -> Read:
        """Read a prompt where every prefix of at least ``least`` tokens is kept unasked, in steps.

        Source: https://platform.openai.com/docs/guides/prompt-caching.
        """
        prompt = b"".join(segment.content for segment in segments)
        prefixes = _steps(prompt)
        cached = self._longest(account, model, prefixes, now_s)
        self._keep(account, model, [digest for digest, each in prefixes if each >= least], now_s)
        return Read(max(1, len(prompt) // _BYTES_A_TOKEN) - cached, cached, 0)

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


def _steps(prompt: bytes) -> list[tuple[bytes, int]]:
    """Return for each whole step the digest of the prompt up to its end, and the tokens up to
    there.
    """
    running, found = hashlib.blake2b(digest_size=16), []
    step = _STEP_TOKENS * _BYTES_A_TOKEN
    for start in range(0, len(prompt) - step + 1, step):
        running.update(prompt[start : start + step])
        found.append((running.copy().digest(), (start + step) // _BYTES_A_TOKEN))
    return found
