"""For each alert series that make it fire, what it then says, and series that leave it silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

Series = tuple[str, str]
"""(selector, values), as promtool writes them: one value a minute."""

SHOP: Final = 'namespace="prod", app="shop"'
A: Final = f'{SHOP}, pod="a", instance="10.0.0.1:9901"'
B: Final = f'{SHOP}, pod="b", instance="10.0.0.2:9901"'
APP: Final = {"namespace": "prod", "app": "shop"}
PREFIX: Final = "plano_sidecar_"


@dataclass(frozen=True)
class Case:
    """One alert."""

    alert: str
    fires: tuple[Series, ...]
    says: str
    """Its description then."""
    silent: tuple[tuple[Series, ...], ...]
    """Each of them on its own."""
    labels: dict[str, str] = field(default_factory=lambda: dict(APP))
    """Beside its severity."""
    at: str = "20m"


def _always(name: str, labels: str, value: float) -> Series:
    return f"{PREFIX}{name}{{{labels}}}", f"{value}+0x120"


def _counts(name: str, labels: str, by: float) -> Series:
    """A counter that grows by so much a minute."""
    return f"{PREFIX}{name}{{{labels}}}", f"0+{by}x120"


def _histogram(name: str, labels: str, **below: float) -> tuple[Series, ...]:
    """Args: ``below`` are the counts a minute up to a bound, whose name is written ``le_0_01``."""
    return tuple(
        _counts(
            f"{name}_bucket",
            f'{labels}, le="{bound.removeprefix("le_").replace("_", ".")}"',
            count,
        )
        for bound, count in below.items()
    )


def _lag(le_0_1: float) -> tuple[Series, ...]:
    name = "event_loop_lag_seconds"
    bounds = {"le_0_1": le_0_1, "le_0_25": 60.0, "le_1_0": 60.0}
    return (*_histogram(name, A, **bounds), _counts(f"{name}_bucket", f'{A}, le="+Inf"', 60))


def _overhead(calls: float, slow: float) -> tuple[Series, ...]:
    bounds = {"le_0_005": calls - 2 * slow, "le_0_01": calls - slow, "le_0_025": calls}
    return (
        *_histogram("overhead_seconds", A, **bounds),
        _counts("overhead_seconds_bucket", f'{A}, le="+Inf"', calls),
    )


def _candidate(state: str, reason: str, value: float, pod: str = A) -> Series:
    labels = f'account="eu", model="openai/gpt-4o", state="{state}", reason="{reason}"'
    return _always("candidate_state", f"{pod}, {labels}", value)


def _ejected(alert: str, reason: str, says: str, **labels: str) -> Case:
    return Case(
        alert,
        (_candidate("ejected", reason, 1), _candidate("ejected", reason, 1, B)),
        says,
        (
            (_candidate("serving", "", 1), _candidate("ejected", "", 0)),
            (_candidate("cooling", "busy", 1),),
            (_candidate("ejected", "model_gone" if reason != "model_gone" else "quota", 1),),
        ),
        {**APP, **labels},
    )


CASES: Final = (
    Case(
        "PlanoSidecarDown",
        (
            (f'up{{{A}, job="pods"}}', "1+0x5 0+0x60"),
            (f'{PREFIX}build_info{{{A}, job="pods"}}', "1+0x5 _x60"),
        ),
        "The sidecar of prod/a (10.0.0.1:9901) has not answered its scrapes for 5 minutes (up is"
        " 0): its app cannot call any model.",
        (
            ((f'up{{{A}, job="pods"}}', "1+0x60"), _always("build_info", A, 1)),
            # Something else that is down: another app, a pod without an app, the app's own metrics.
            *(
                (
                    (f'up{{{other}, instance="10.0.0.2:9901"}}', "0+0x60"),
                    (f'{PREFIX}build_info{{{A}, job="pods"}}', "1+0x60"),
                )
                for other in (
                    'namespace="prod", app="db", pod="b", job="pods"',
                    'namespace="prod", pod="b", job="pods"',
                    f'{SHOP}, pod="b", job="apps"',
                )
            ),
            # A pod that was deleted has no `up` either.
            ((f'up{{{A}, job="pods"}}', "1+0x5 _x60"), (f"{PREFIX}build_info{{{A}}}", "1+0x5 _x60")),
        ),
        {**APP, "pod": "a", "instance": "10.0.0.1:9901", "job": "pods"},
    ),
    Case(
        "PlanoSidecarAbsent",
        (("up{}", "1+0x60"),),
        "No series of any sidecar has arrived for 10 minutes (absent is 1). All other alerts on"
        " sidecars are blind.",
        ((_always("build_info", A, 1),),),
        {},
    ),
    Case(
        "PlanoSidecarLoopLag",
        _lag(50),
        "The event loop of prod/a woke up to 241ms late (p99 over 10 minutes).",
        (_lag(60),),
        {**APP, "pod": "a"},
    ),
    Case(
        "PlanoSidecarOverheadHigh",
        _overhead(1000, 50),
        "The sidecars of prod/shop add 22ms to a call (p99 over 5 minutes); the objective is 10ms.",
        (_overhead(1000, 5), _overhead(10, 5)),
    ),
    Case(
        "PlanoSidecarConfigsDiffer",
        (
            _always("config_info", f'{A}, hash="aaaaaaaaaaaa"', 1),
            _always("config_info", f'{B}, hash="bbbbbbbbbbbb"', 1),
        ),
        "The pods of prod/shop have served by 2 different configs for an hour.",
        (
            (
                _always("config_info", f'{A}, hash="aaaaaaaaaaaa"', 1),
                _always("config_info", f'{B}, hash="aaaaaaaaaaaa"', 1),
            ),
            # Two apps may differ.
            (
                _always("config_info", f'{A}, hash="aaaaaaaaaaaa"', 1),
                _always("config_info", 'namespace="prod", app="other", pod="c", hash="b"', 1),
            ),
        ),
        at="90m",
    ),
    Case(
        "PlanoSidecarReloadFailed",
        (_always("config_last_reload_successful", A, 0),),
        "1 sidecars of prod/shop refused their changed config and serve by the one before.",
        ((_always("config_last_reload_successful", A, 1),),),
    ),
    Case(
        "PlanoSidecarLogLinesDropped",
        (_counts("log_lines_dropped_total", A, 2),),
        "prod/a dropped 30 log lines in the last 15 minutes.",
        ((_always("log_lines_dropped_total", A, 7),),),
        {**APP, "pod": "a"},
    ),
    Case(
        "PlanoSidecarSpansDropped",
        (_counts("spans_dropped_total", A, 2), _counts("spans_dropped_total", B, 2)),
        "The sidecars of prod/shop dropped 60 spans in the last 15 minutes.",
        ((_always("spans_dropped_total", A, 7),),),
    ),
    Case(
        "PlanoSidecarAffinityStoreDown",
        (_always("affinity_store_up", A, 0), _always("affinity_store_up", B, 1)),
        "1 sidecars of prod/shop have left Redis alone for 5 minutes, since it fails.",
        (
            (_always("affinity_store_up", A, 1), _always("affinity_store_up", B, 1)),
            # Without Redis there is no such series.
            (_always("in_flight", A, 1),),
        ),
    ),
    Case(
        "PlanoSidecarTrackingDown",
        (_always("affinity_tracking_up", A, 0), _always("affinity_store_up", A, 1)),
        "1 sidecars of prod/shop use Redis without CLIENT TRACKING: what they keep in memory may be"
        " a second old.",
        (
            (_always("affinity_tracking_up", A, 1), _always("affinity_store_up", A, 1)),
            # Redis is down: that has an alert of its own.
            (_always("affinity_tracking_up", A, 0), _always("affinity_store_up", A, 0)),
        ),
    ),
    Case(
        "PlanoSidecarRouterFailing",
        (
            _counts("router_requests_total", f'{A}, outcome="matched"', 6),
            _counts("router_requests_total", f'{A}, outcome="timeout"', 3),
            _counts("router_requests_total", f'{B}, outcome="breaker_open"', 1),
        ),
        "40% of the questions of prod/shop to the router model came to nothing in the last 5"
        " minutes.",
        (
            (
                _counts("router_requests_total", f'{A}, outcome="matched"', 90),
                _counts("router_requests_total", f'{A}, outcome="timeout"', 10),
                _counts("router_requests_total", f'{A}, outcome="other"', 90),
            ),
            # One question a minute.
            (_counts("router_requests_total", f'{A}, outcome="timeout"', 1),),
        ),
    ),
    Case(
        "PlanoSidecarRouteDown",
        (
            _always("route_candidates_serving", f'{A}, route="code"', 0),
            _always("route_candidates_serving", f'{B}, route="code"', 0),
        ),
        "On the route code of prod/shop there were 0 candidates that serve, on average over 5"
        " minutes, in the pod that has the most.",
        (
            (
                _always("route_candidates_serving", f'{A}, route="code"', 0),
                _always("route_candidates_serving", f'{B}, route="code"', 1),
            ),
            (_always("route_candidates_serving", f'{A}, route="code"', 2),),
        ),
        {**APP, "route": "code"},
    ),
    _ejected(
        "PlanoSidecarCredentialRefused",
        "our_credential",
        "The key of account eu is refused in 2 sidecars of prod/shop; its models go last.",
        account="eu",
    ),
    _ejected(
        "PlanoSidecarQuotaSpent",
        "quota",
        "Account eu has no quota left, say 2 sidecars of prod/shop; its models go last.",
        account="eu",
    ),
    _ejected(
        "PlanoSidecarModelGone",
        "model_gone",
        "openai/gpt-4o is unknown at account eu, say 2 sidecars of prod/shop; it goes last.",
        account="eu",
        model="openai/gpt-4o",
    ),
)  # fmt: skip
"""All alerts but those on objectives."""
