"""The values of labels, which dashboards and alerts are written against."""

from __future__ import annotations

import enum

import pytest

from sidecar.domain.decision import Source
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    ConnectionEnd,
    ConnectionState,
    FailureClass,
    PinOperation,
    PinOutcome,
    RouterOutcome,
    TokenKind,
)

VALUES: dict[type[enum.StrEnum], str] = {
    Source: "pinned routed requested default fallback",
    CallOutcome: "ok client_error upstream_error sidecar_error cancelled downstream_idle incomplete",
    ConnectionEnd: "idle crowded unread",
    AttemptOutcome: "ok rate_limited server_error credential_refused client_error connect_failed timeout"
    " malformed error_body cut cancelled",
    FailureClass: "callers_fault swapped callers_patience signed_state refused too_long"
    " our_credential callers_credential quota model_gone busy failing content_policy",
    RouterOutcome: "matched other unknown_route unreadable http_error timeout breaker_open busy",
    PinOperation: "get claim replace release refresh write_back bypass",
    PinOutcome: "near_hit hit miss claimed adopted replaced released lost stale_value error timeout"
    " skipped dialect inline_list no_tenant unknown_model",
    TokenKind: "input output cached_input cache_write reasoning",
    ConnectionState: "active idle",
}


@pytest.mark.parametrize("vocabulary", VALUES, ids=lambda each: each.__name__)
def test_a_vocabulary_has_the_values_that_dashboards_know(vocabulary):
    """A value that is renamed breaks queries without a sound."""
    assert VALUES[vocabulary].split() == list(vocabulary)


@pytest.mark.parametrize(
    "vocabulary",
    [Source, CallOutcome, AttemptOutcome, PinOperation, PinOutcome],
    ids=lambda each: each.__name__,
)
def test_a_member_is_found_in_a_dict_as_fast_as_a_text(vocabulary):
    """Those that are part of a key on every call hash as texts do, in C."""
    assert str.__hash__ is vocabulary.__hash__
