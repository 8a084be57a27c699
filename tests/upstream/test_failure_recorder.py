"""What is recorded of failed attempts, and what a call hands to observers of it."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, Endpoint, Operation
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import AppTimeout, ConnectFailed
from sidecar.domain.events import AttemptEnded, Listeners
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt
from sidecar.domain.vocabulary import AttemptOutcome, FailureClass
from sidecar.upstream.attempts import FailureRecord
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.failure_recorder import FailureRecorder
from sidecar.upstream.latency import FirstByteAverages
from sidecar.upstream.registry import ConnectionPools, ProviderRegistry
from tests.support.providers import a_provider
from tests.support.values import FakeClock, a_call

PASSED = Endpoint("/v1/moderations", CHAT, Operation.PASSTHROUGH)
A = Candidate("openai/gpt-4o", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())


class _Ear:
    def listeners(self) -> Listeners:
        return {AttemptEnded: lambda event: None}


class _Whole(BufferedReply):
    """A reply that has been read."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.reason, self.headers, self.content_length = status, b"", (), len(body)
        self.beginning, self.error, self.sends, self.is_whole = body, None, 1, True

    @property
    def readable(self) -> bytes:
        return self.beginning

    def abort(self) -> None:
        """Nothing is open."""


def _recorder(*observers: Any) -> FailureRecorder:
    pools = ConnectionPools(lambda *_files: ssl.create_default_context())
    registry = ProviderRegistry([a_provider("openai/gpt-4o")], pools, DIALECTS.by_name)
    averages = FirstByteAverages()
    return FailureRecorder(registry, FakeClock(), Observers(observers), Cooling(), averages)


def test_an_error_is_recorded_with_its_meaning_and_a_phrase():
    """Both are at hand when the call ends."""
    record, tried = FailureRecord((A,)), list[Attempt]()
    _recorder(_Ear()).record_error(a_call(), record, A, ConnectFailed("x"), 0.0, tried)
    (attempt,) = tried

    assert attempt.report is not None
    assert (FailureClass.BUSY, "p", AttemptOutcome.CONNECT_FAILED) == (
        attempt.reason,
        attempt.report.cause and "p",
        attempt.outcome,
    )
    assert [FailureClass.BUSY] == [each.failure.failure_class for each in record.failed]


async def test_a_refusal_is_told_as_the_call_sees_it():
    """Another model than the requested one refuses: that is no fault of the app's yet."""
    body = b'{"error":{"code":"invalid_value","message":"no"}}'
    reasons = []
    for requested in ((A,), ()):
        record, tried = FailureRecord(requested), list[Attempt]()
        await _recorder(_Ear()).record_reply(a_call(), record, A, _Whole(400, body), 0.0, tried)
        (attempt,) = tried
        assert attempt.report is not None
        reasons.append((attempt.reason, attempt.report.code))

    assert [
        (FailureClass.CALLERS_FAULT, "invalid_value"),
        (FailureClass.SWAPPED, "invalid_value"),
    ] == reasons


def test_what_no_observer_hears_is_recorded_without_attempts():
    """The walk over candidates needs none."""
    record, recorder, tried = FailureRecord((A,)), _recorder(), list[Attempt]()
    recorder.record_error(a_call(), record, A, ConnectFailed("x"), 0.0, tried)
    recorder.report_lost(a_call(), A, tried)
    recorder.report_given_up(a_call(), A, KeyboardInterrupt(), 0.0, 1, tried)

    assert ([], 1) == (tried, len(record.failed))


def test_an_apps_own_timeout_is_told_as_such():
    """Not as the provider's."""
    record, tried = FailureRecord((A,)), list[Attempt]()
    _recorder(_Ear()).record_error(a_call(), record, A, AppTimeout("x"), 0.0, tried)

    assert ["the app's own timeout ended"] == [
        each.report.cause for each in tried if each.report is not None
    ]


@pytest.mark.parametrize(("endpoint", "is_held"), [(None, True), (PASSED, False)])
async def test_a_model_that_is_gone_on_a_path_that_is_passed_through_is_none_of_the_configs(
    endpoint, is_held
):
    """The app named it there: nothing is ejected, and no alert goes off."""
    body = b'{"error":{"code":"model_not_found","message":"The model `gpt-4o` does not exist."}}'
    ear = _Ear()
    changes = {} if endpoint is None else {"endpoint": endpoint}
    recorder, record = _recorder(ear), FailureRecord((A,))
    await recorder.record_reply(a_call(**changes), record, A, _Whole(404, body), 0.0, [])

    assert [FailureClass.MODEL_GONE] == [each.failure.failure_class for each in record.failed]
    assert is_held == (recorder._cooling.due_s(A, FakeClock().now_s) is not None)
