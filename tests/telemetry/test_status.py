"""What `/status` tells: the numbers of the metrics, and what the rooms say of themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar import __version__
from sidecar.config.load import LoadedConfig, load_config, zero_config
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.observers import Observers
from sidecar.domain.ports import CandidateSnapshot, StoreSnapshot
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    CandidateCondition,
    FailureClass,
    RouterOutcome,
)
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.last_failures import LastFailure
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.status import SCHEMA, ReloadStatus
from sidecar.telemetry.status_reader import RunningSnapshot, StatusReader
from tests.support.live_status import a_call_record
from tests.support.metrics_reference import every_event
from tests.support.sidecar_process import sidecar_config
from tests.support.values import FakeClock

MODEL = "openai/gpt-4o"
ROUTED: dict[str, Any] = {
    "model_providers": [
        {"model": MODEL, "name": "eu", "access_key": "sk-SECRET", "default": True},
        {"model": "vllm/small", "base_url": "http://127.0.0.1:1"},
    ],
    "overrides": {"llm_routing_model": "vllm/small"},
    "model_aliases": {},
    "passthrough": [],
}


def read(
    tmp_path,
    scrape: ScrapeSnapshot | None = None,
    metrics: Metrics | None = None,
    failure_of: Any = lambda account: None,
    **changes: Any,
) -> dict[str, Any]:
    """The status as a client reads it."""
    if "loaded" not in changes:
        file = tmp_path / "sidecar.yaml"
        file.write_text(json.dumps(sidecar_config("http://127.0.0.1:1") | ROUTED))
        changes["loaded"] = load_config(file, {})
    fields: dict[str, Any] = {
        "scrape": scrape or ScrapeSnapshot(config_hash="0123abcd"),
        "state": "ready",
        "in_flight_limit": 64,
        "generation": 3,
        "since_unix_s": 1_700_000_000.0,
        "reload": ReloadStatus(1_700_000_001.0, False, 1_700_000_000.0, ["c.yaml:1: bad"]),
        "store_place": "memory",
        "routes": [("code", [("eu", MODEL)])],
        "is_breaker_open": False,
    }
    snapshot = RunningSnapshot(**{**fields, **changes})
    clock = FakeClock()
    metrics = metrics or Metrics(ScrapeSnapshot)
    reader = StatusReader(
        metrics, clock, lambda: snapshot, lambda: [a_call_record(7)], failure_of, "fast"
    )
    clock.advance(7.5)
    status: dict[str, Any] = json.loads(reader.render())
    return status


def full() -> Metrics:
    """Metrics in which everything has happened."""
    metrics = Metrics(ScrapeSnapshot)
    observers = Observers(metrics.observers)
    for event in every_event():
        observers.emit(event)
    return metrics


def test_a_sidecar_at_rest_tells_all_its_fields(tmp_path):
    """A reader of the first second meets zeros, and no missing field."""
    status = read(tmp_path)

    assert (SCHEMA, "ready", 7.5) == (status["schema"], status["state"], status["uptime_s"])
    assert (0, 64, 0) == (status["in_flight"], status["in_flight_limit"], status["failovers"])
    assert ({}, {}) == (status["requests"], status["decisions"])
    assert (__version__, "fast") == (status["build"]["version"], status["build"]["listener_path"])
    for name in ("first_byte", "overhead", "loop_lag"):
        bounds, counts = status[name]["bounds_s"], status[name]["counts"]
        assert [0] * (len(bounds) + 1) == counts
    assert {} == status["routing"]["counts"]
    assert ["req-7"] == [each["request_id"] for each in status["calls"]]


def test_what_was_counted_is_told_by_how_it_ended(tmp_path):
    """Each member of a vocabulary has its number, summed over the labels that do not matter."""
    status = read(tmp_path, metrics=full())

    assert {str(each) for each in CallOutcome} == set(status["requests"])
    assert {str(each) for each in RouterOutcome} == set(status["router"]["questions"])
    assert {"pinned": 1, "routed": 1, "requested": 1, "default": 1, "fallback": 1} == status[
        "decisions"
    ]
    assert len(FailureClass) == status["failovers"]
    assert len(AttemptOutcome) == sum(status["first_byte"]["counts"])
    assert {1} == {sum(counts) for counts in status["routing"]["counts"].values()}


def test_a_candidate_has_its_state_and_its_attempts(tmp_path):
    """Why it does not serve, for how long, and what its provider did."""
    scrape = ScrapeSnapshot(
        candidates=[
            CandidateSnapshot("openai", MODEL),
            CandidateSnapshot(
                "eu", "groq/*", CandidateCondition.EJECTED, FailureClass.QUOTA, left_s=12.5
            ),
        ]
    )
    well, ejected = read(tmp_path, scrape, full())["candidates"]

    assert ("openai", "serving", None, None) == (
        well["provider"], well["state"], well["reason"], well["left_s"],
    )  # fmt: skip
    assert dict.fromkeys(map(str, AttemptOutcome), 1) == well["attempts"]
    assert len(AttemptOutcome) == sum(well["first_byte"])
    assert ("groq", "eu", "ejected", "quota", 12.5) == tuple(
        ejected[name] for name in ("provider", "account", "state", "reason", "left_s")
    )
    assert ({}, 0) == (ejected["attempts"], sum(ejected["first_byte"]))


def test_a_candidate_that_waits_tells_the_cause_of_its_last_failure(tmp_path):
    """Its own, and not that of another model of its entry; one that serves tells none."""
    report = FailureReport("api.openai.com:443", "connection refused", to_do="look")
    failure = LastFailure(1.0, MODEL, FailureClass.BUSY, report)
    cooling: dict[str, Any] = {
        "condition": CandidateCondition.COOLING,
        "reason": FailureClass.BUSY,
        "left_s": 2.0,
    }
    scrape = ScrapeSnapshot(
        candidates=[
            CandidateSnapshot("eu", MODEL, **cooling),
            CandidateSnapshot("eu", "openai/other", **cooling),
            CandidateSnapshot("eu", MODEL),
        ]
    )
    status = read(tmp_path, scrape, failure_of={"eu": failure}.get)

    assert [
        ("connection refused", "api.openai.com:443", "look"), (None,) * 3, (None,) * 3,
    ] == [
        tuple(each[name] for name in ("cause", "place", "to_do")) for each in status["candidates"]
    ]  # fmt: skip


def test_the_config_is_named_and_its_secrets_are_not(tmp_path):
    """File, hash, generation and warnings; no key of it."""
    status = read(tmp_path)

    assert (str(tmp_path / "sidecar.yaml"), "0123abcd", 3) == tuple(
        status["config"][name] for name in ("file", "hash", "generation")
    )
    assert [{"name": "code", "candidates": [{"account": "eu", "model": MODEL}]}] == status["routes"]
    assert "SECRET" not in json.dumps(status)


def test_the_last_reload_is_told_of(tmp_path):
    """How it ended, why it was refused, and by how many older configs calls are still served."""
    config = read(tmp_path, ScrapeSnapshot(generations=3))["config"]

    assert (2, False, ["c.yaml:1: bad"], []) == (
        config["older"],
        *(config["reload"][name] for name in ("is_successful", "problems", "changes")),
    )


def test_without_a_file_the_environment_is_named(tmp_path):
    """And there is no router model then."""
    loaded: LoadedConfig = zero_config({"OPENAI_API_KEY": "sk-SECRET"})
    status = read(tmp_path, loaded=loaded)

    assert ("environment", None) == (status["config"]["file"], status["router"])
    assert "SECRET" not in json.dumps(status)


def test_the_router_model_is_named_with_its_breaker(tmp_path):
    """An open breaker is a state, which the counters alone do not tell."""
    router = read(tmp_path, is_breaker_open=True)["router"]

    assert ("vllm/small", True) == (router["model"], router["is_breaker_open"])


@pytest.mark.parametrize("is_up", [True, False])
def test_redis_is_told_as_the_gauges_have_it(tmp_path, is_up):
    """Up, tracking, pins here, pins to write back."""
    store = StoreSnapshot(near_entries=5, shadow_entries=6, is_up=is_up, is_tracking=False)
    place = "redis at r:6379"

    assert {
        "place": place,
        "is_shared": True,
        "is_up": is_up,
        "is_tracking": False,
        "near_entries": 5,
        "shadow_entries": 6,
    } == read(tmp_path, ScrapeSnapshot(store=store), store_place=place)["store"]


def test_pins_of_this_process_alone_have_no_state_of_redis(tmp_path):
    """Null, not false: nothing is down."""
    store = read(tmp_path)["store"]

    assert ("memory", False, None) == (store["place"], store["is_shared"], store["is_up"])


def test_price_sources_tell_their_age(tmp_path):
    """Old prices rank wrongly."""
    scrape = ScrapeSnapshot(price_ages_s=[("models.dev", 3.5)])

    assert [{"source": "models.dev", "age_s": 3.5}] == read(tmp_path, scrape)["sources"]
