"""Prompt caches are kept where calls are translated: a session reads from its provider's cache what
a session in the provider's own API does.
"""

from __future__ import annotations

import pytest

from tests.support.simulator.ledger import cached_share
from tests.support.translated import MODELS, WAYS
from tests.support.translated_cache import SESSIONS, usage_of

LEAST_OF_NATIVE = 0.95
NATIVE_SHARES = {
    "one call at a time": 0.9,
    "three calls side by side": 0.9,
    "a dozen calls side by side": 0.25,
}
"""What the simulated providers read from their caches at least, of the worst of the three APIs:
that of messages looks back over 20 blocks only, and a round of a dozen calls has more.
"""


@pytest.mark.parametrize("name", SESSIONS)
async def test_a_translated_session_has_the_cached_share_of_a_native_one(name, tmp_path):
    """In all six ways, over two sessions with the same instructions, whatever the number of calls
    in a round.
    """
    session = SESSIONS[name]
    natives = {each: cached_share(await usage_of(each, each, session, tmp_path)) for each in MODELS}
    shares = {
        way: cached_share(await usage_of(*way, session, tmp_path)) / natives[way[1]] for way in WAYS
    }

    assert min(natives.values()) > NATIVE_SHARES[name]
    assert {} == {way: share for way, share in shares.items() if share < LEAST_OF_NATIVE}
