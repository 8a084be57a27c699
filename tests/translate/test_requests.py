"""The door for requests."""

from __future__ import annotations

from sidecar.domain.call import CHAT
from sidecar.translate import requests
from sidecar.translate.targets import Target


def test_a_target_is_known_by_its_dialect_family_and_model():
    """Two candidates that are alike in these get the same body."""
    assert Target(CHAT, "openai", "gpt-5") == Target(CHAT, "openai", "gpt-5")
    assert callable(requests.read_in_steps)
