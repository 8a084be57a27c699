"""The cached share of input tokens of sessions whose calls are translated, beside that of sessions
in the provider's own API, at a simulated provider that prices prefixes.

python -m tests.bench.bench_translated_cache
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.support.simulator.ledger import cached_share
from tests.support.translated import MODELS, WAYS
from tests.support.translated_cache import SESSIONS, Session, usage_of


async def main() -> None:
    """Measure all ways of translation, in all kinds of sessions."""
    with tempfile.TemporaryDirectory() as folder:
        for name, session in SESSIONS.items():
            await _measure(name, session, Path(folder))


async def _measure(name: str, session: Session, work: Path) -> None:
    natives = {each: await usage_of(each, each, session, work) for each in MODELS}
    print(f"{name}, two sessions of {session.turns} turns")
    for source, target in WAYS:
        native = cached_share(natives[target])
        found = await usage_of(source, target, session, work)
        share = cached_share(found)
        print(
            f"  {source + '>' + target:<20} native {native:.3f}, translated {share:.3f}: "
            f"{100 * share / native:.1f} %; tokens {natives[target]}, {found}"
        )


if __name__ == "__main__":
    asyncio.run(main())
