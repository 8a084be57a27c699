"""The door for requests."""

from __future__ import annotations

from sidecar.domain.call import CHAT
from sidecar.runtime.steps import at_once
from sidecar.translate import requests
from sidecar.translate.targets import Target


def test_a_target_is_known_by_its_dialect_family_and_model():
    """Two candidates that are alike in these get the same body."""
    assert Target(CHAT, "openai", "gpt-5") == Target(CHAT, "openai", "gpt-5")
    body = b'{"model":"any","messages":[{"role":"user","content":"Hi"}]}'
    read = at_once(requests.read_in_steps(CHAT, body))
    first, second = (
        at_once(requests.write_in_steps(read, Target(CHAT, "openai", "gpt-5"))) for _ in range(2)
    )
    assert (first, b"Hi" in first) == (second, True)
