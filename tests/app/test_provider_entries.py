"""Provider entries are told as the rooms know them."""

from __future__ import annotations

import json

from sidecar.build.foundation import build_foundation
from sidecar.build.generation import build_generation
from sidecar.build.provider_entries import base_url_of, provider_entries
from sidecar.config.load import load_config
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.decision import Candidate
from sidecar.domain.events import CandidateFailed
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.support.values import a_call

CONFIG = {
    "model_providers": [
        {"model": "openai/gpt-4o", "access_key": "sk-marked", "name": "us"},
        {"model": "anthropic/*", "access_key": "sk-marked", "base_url": "http://[::1]:9/api"},
        {"model": "plano/router", "base_url": "http://router:8000"},
    ],
    "overrides": {"llm_routing_model": "plano/router"},
}  # fmt: skip
US = Candidate("us", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())


async def test_an_entry_is_told_with_its_state_and_its_last_failure(tmp_path):
    """Its server and what it speaks too; no key and no query of a URL."""
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(CONFIG))
    loaded = load_config(file, {})
    foundation = build_foundation(loaded, {}, DIALECTS, lambda: None)
    generation = build_generation(loaded, foundation)
    now_s = foundation.clock.monotonic_s()
    failure = Failure(FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY)
    foundation.cooling.observe_failure(US, failure, now_s)
    foundation.averages.observe(US, 0.25, now_s)
    report = FailureReport("h:1", "credential refused", 401, "bad_key", "r", "put a key")
    foundation.telemetry.observers.emit(
        CandidateFailed(a_call(), US, FailureClass.OUR_CREDENTIAL, report)
    )
    us, anthropic, router = provider_entries(foundation, generation)
    await generation.aclose()
    await foundation.pools.aclose()

    assert ("us", "openai", "openai/gpt-4o", "https://api.openai.com:443/v1") == (
        us.entry,
        us.family,
        us.model,
        us.base_url,
    )
    assert ("ejected", "our_credential", 0.25, 1) == (
        us.state,
        us.reason,
        us.first_byte_s,
        us.first_byte_samples,
    )
    assert us.due_s is not None
    assert us.last_failure is not None
    assert ("credential refused", 401, "put a key") == (
        us.last_failure.cause,
        us.last_failure.status,
        us.last_failure.to_do,
    )
    assert (
        "anthropic/*",
        "http://[::1]:9/api/v1",
        ["messages"],
        ["chat>messages", "responses>messages"],
        "serving",
        None,
        None,
    ) == (
        anthropic.model,
        anthropic.base_url,
        anthropic.dialects,
        anthropic.translated,
        anthropic.state,
        anthropic.first_byte_s,
        anthropic.last_failure,
    )
    assert (True, "serving") == (router.is_router, router.state)
    assert "marked" not in str((us, anthropic, router))
    assert anthropic.base_url == base_url_of(loaded.providers[1])
